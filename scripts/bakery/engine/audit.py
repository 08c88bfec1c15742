"""Compares what the catalog says of images and channels with what their targets have, and repairs the difference."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from bakery.catalog import Record
from bakery.catalog.record import AVAILABILITY
from bakery.clouds.target import Finding, Status, Target
from bakery.engine.channels import open_channel, repair_pointers
from bakery.engine.distribution import distribute_version
from bakery.engine.lifecycle import bring_images, settle
from bakery.engine.notices import announce_repair
from bakery.engine.pointers import Channel, Targets, compare_pointers
from bakery.engine.session import Session
from bakery.engine.targets import open_targets
from bakery.host.errors import BakeryError, describe_error
from bakery.host.events import report_step
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Publication


@dataclass(frozen=True)
class Audited:
    """One comparison: of a version at a location, or of a pointer of a channel; `channel` is empty for a version."""

    image: str
    arch: str
    version: str
    channel: str
    target: str
    location: str
    status: Status
    detail: str
    schema: Literal["bakery/audited/1"] = "bakery/audited/1"

    @property
    def name(self) -> str:
        """The name of what was compared."""
        return f"{self.image} {self.channel or self.version} {self.target} {self.location}"


Failures = list[tuple[str, BakeryError]]  # by what could not be repaired


def audit_image(session: Session, definition: ImageDefinition, *, fix: bool = False) -> tuple[list[Audited], Failures]:
    """Compare the versions of an image that are in use or were retired with their targets, and pointers of channels.

    With `fix`, what is wrong is repaired before: interrupted moves and changes of state, images, tags, shares, and
    pointers that somebody else changed. A repair that fails keeps no other one from its turn.
    """
    with report_step(session.report, "audit", definition.name, "compare it with its targets"):
        results = list(_compare_image(session, definition))
    wrong = [result for result in results if result.status != "correct"]
    if not fix or not wrong:
        return results, []
    failures: Failures = []
    with open_targets(session, definition) as targets:
        for record in _list_records(session, definition):
            if any(result.version == record.version and not result.channel for result in wrong):
                with _collect_failure(failures, f"{record.image} {record.version}"):
                    _repair_version(session, definition, targets, record)
        for name in _list_channels(session, definition):
            with (
                _collect_failure(failures, f"{definition.name} {name}"),
                open_channel(session, definition, name, targets) as channel,
            ):
                repair_pointers(channel)
    results = list(_compare_image(session, definition))
    still_wrong = {result.name for result in results if result.status != "correct"}
    repaired = [f"{one.name}: {one.status}: {one.detail}" for one in wrong if one.name not in still_wrong]
    if repaired:
        announce_repair(session, definition.name, definition.arch, repaired)
    return results, failures


@contextmanager
def _collect_failure(failures: Failures, name: str) -> Iterator[None]:
    """Add an error of the block to a list."""
    try:
        yield
    except BakeryError as error:
        failures.append((name, error))


def _repair_version(session: Session, definition: ImageDefinition, targets: Targets, record: Record) -> None:
    if record.pending:
        settle(session, targets, record)
        return
    bring_images(session, targets, record)  # those of a complete version, too: somebody may have disabled one
    if record.state == "complete":
        distribute_version(session, definition, targets, record)


def _compare_image(session: Session, definition: ImageDefinition) -> Iterator[Audited]:
    with open_targets(session, definition) as targets:
        for record in _list_records(session, definition):
            for name, target in targets.items():
                if publication := record.publication(name):
                    yield from (_of(record, "", name, finding) for finding in _inspect(record, target, publication))
            if record.pending:
                text = f"its change to {record.state} was interrupted, {record.at}"
                yield _of(record, "", "catalog", Finding(session.catalog.location, "incorrect", text))
        for name in _list_channels(session, definition):
            try:
                with open_channel(session, definition, name, targets) as channel:
                    yield from list(_compare_channel(channel))
            except BakeryError as error:
                parts = (definition.name, definition.arch, "", name, "catalog", session.catalog.location)
                yield Audited(*parts, "unreachable", error.message)


def _inspect(record: Record, target: Target, publication: Publication) -> list[Finding]:
    """The comparison of a version with a target; one finding if the target does not answer."""
    try:
        return target.inspect(publication, AVAILABILITY[record.state])
    except BakeryError as error:
        return [Finding(error.where or publication.target, "unreachable", describe_error(error))]


def _compare_channel(channel: Channel) -> Iterator[Audited]:
    head, move = channel.head, channel.unfinished_move
    record = channel.record(head.version) if head else None
    if move:
        text = f"a move to {move.version or 'nothing'} was interrupted, {move.at}"
        of = record or channel.record(move.version)
        if of:
            yield _of(of, channel.name, "catalog", Finding(channel.catalog.location, "incorrect", text))
        return
    if record and record.state != "complete":
        text = f"it points at a version that is {record.state}"
        yield _of(record, channel.name, "catalog", Finding(channel.catalog.location, "incorrect", text))
    for target, finding in compare_pointers(channel) if record else ():
        assert record
        yield _of(record, channel.name, target, finding)


def _list_records(session: Session, definition: ImageDefinition) -> list[Record]:
    """The newest complete version of an image, those that channels point at, and those that may not be used."""
    catalog, image, arch = session.catalog, definition.name, definition.arch
    newest = catalog.newest(image, arch)
    in_use = {head.version for head in catalog.heads(image, arch)} | ({newest.version} if newest else set())
    return [
        record
        for record in catalog.records(image, arch)
        if record.version in in_use or record.pending or record.state in ("deprecated", "disabled", "revoked")
    ]


def _list_channels(session: Session, definition: ImageDefinition) -> list[str]:
    return session.catalog.channel_names(definition.name, definition.arch)


def _of(record: Record, channel: str, target: str, finding: Finding) -> Audited:
    parts = (record.image, record.arch, record.version, channel, target)
    return Audited(*parts, finding.location, finding.status, finding.detail)
