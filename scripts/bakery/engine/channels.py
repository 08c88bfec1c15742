"""Channels: named pointers to versions. They move at all targets or at none; the catalog is written last."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from bakery.catalog import Catalog, ChannelEntry, Record
from bakery.clouds.target import Target
from bakery.host.errors import BakeryError, ConflictError, NotFoundError, UsageError
from bakery.host.events import Event, Reporter
from bakery.model.documents import Pointer, Publication
from bakery.model.fields import NAME
from bakery.model.version import ImageVersion

Targets = Mapping[str, Target]
Publications = Mapping[str, Publication]  # one version's, by target


def promote(
    catalog: Catalog, record: Record, channel: str, reason: str, targets: Targets, report: Reporter
) -> ChannelEntry:
    """Point `channel` at a complete version and return its entry, which may exist already.

    No pointer moves unless the version can be used in every location. If a later step fails, the pointers of all
    targets get their old values back.
    """
    _refuse_incomplete(record, channel)
    publications = _read_publications(record, targets)
    _refuse_unusable(record, publications, targets)
    catalog.require_publisher()
    before = catalog.channel(record.image, record.arch, channel)
    move = _Move(catalog, publications, targets, channel, report)
    pointers = move.move_pointers(before)
    if before and before.version == record.version and before.pointers == pointers:
        report(Event("note", "promote", record.image, f"{channel} points at {record.version} already"))
        return before
    try:
        entry = catalog.move(record, channel, reason, before, pointers)
    except BaseException as error:
        head = _read_channel(catalog, record, channel, before)
        if isinstance(error, ConflictError) and head and (head.version, head.pointers) == (record.version, pointers):
            return head  # another writer wrote the same entry, or the answer to our own write was lost
        # The catalog decides, since this run may have overwritten the pointers of a faster one.
        move.restore_pointers(publications, head, error)
        raise
    report(Event("note", "promote", record.image, f"{channel} -> {record.version}"))
    return entry


def rollback(
    catalog: Catalog, image: str, arch: str, channel: str, reason: str, targets: Targets, report: Reporter
) -> ChannelEntry:
    """Point `channel` at its previous version that is still complete."""
    history = catalog.history(image, arch, channel)
    if not history:
        names = ", ".join(catalog.channels(image, arch)) or "none"
        raise NotFoundError(f"{image} has no channel {channel}", where=catalog.location, hint=f"its channels: {names}")
    current = history[-1].version
    for version in dict.fromkeys(entry.version for entry in reversed(history) if entry.version != current):
        record = catalog.record(ImageVersion(image, arch, version))
        if record.state == "complete":
            return promote(catalog, record, channel, reason or f"rollback from {current}", targets, report)
    raise BakeryError(
        f"channel {channel} of {image} never pointed at another version that is still complete",
        where=catalog.location,
        hint=f"choose one: bakery promote {image} VERSION {channel}",
    )


def require_name(channel: str) -> None:
    """Raise UsageError unless `channel` has the form of a channel's name in definitions."""
    if not re.fullmatch(NAME, channel):
        raise UsageError(
            f"'{channel}' is not a channel name", hint="2 to 50 small letters, digits and dashes, a letter first"
        )


def _refuse_incomplete(record: Record, channel: str) -> None:
    require_name(channel)
    if record.state != "complete":
        raise BakeryError(
            f"{record.image} {record.version} is {record.state}: only a complete version can be promoted",
            detail=record.reason if record.state == "revoked" else "",
            hint=f"run 'bakery run {record.image}', then promote the new version",
        )


def _read_publications(record: Record, targets: Targets) -> dict[str, Publication]:
    """The record's publication at every target; BakeryError if it is missing from one."""
    publications = {name: record.publication(name) for name in targets}
    if missing := [name for name, publication in publications.items() if publication is None]:
        raise BakeryError(
            f"{record.image} {record.version} was never published at {', '.join(missing)}",
            hint=f"run 'bakery publish {record.image}', or promote a version that is at every target",
        )
    return {name: publication for name, publication in publications.items() if publication}


def _refuse_unusable(record: Record, publications: Publications, targets: Targets) -> None:
    findings = [finding for name, publication in publications.items() for finding in targets[name].inspect(publication)]
    wrong = [finding for finding in findings if finding.status != "correct"]
    if wrong:
        raise BakeryError(
            f"{record.image} {record.version} cannot be used everywhere: {len(wrong)} of {len(findings)} checks failed",
            detail="\n".join(f"{finding.location}: {finding.status}: {finding.detail}" for finding in wrong),
            hint=f"nothing was moved; run 'bakery publish {record.image}' to repair it, then promote",
        )


def _read_channel(catalog: Catalog, record: Record, channel: str, before: ChannelEntry | None) -> ChannelEntry | None:
    """The channel's newest entry, or `before` if the catalog does not answer."""
    try:
        return catalog.channel(record.image, record.arch, channel)
    except BakeryError:
        return before


@dataclass(frozen=True)
class _Move:
    """Moves the pointers of one channel at all targets to one version."""

    catalog: Catalog
    publications: Publications
    targets: Targets
    channel: str
    report: Reporter

    def move_pointers(self, before: ChannelEntry | None) -> tuple[Pointer, ...]:
        """Move one target after the other; each of them moves all of its pointers or none."""
        pointers: dict[str, tuple[Pointer, ...]] = {}
        try:
            for name, publication in self.publications.items():
                pointers[name] = self.targets[name].point(publication, self.channel, self.report)
        except BaseException as error:
            self.restore_pointers({name: self.publications[name] for name in pointers}, before, error)
            raise
        return tuple(pointer for group in pointers.values() for pointer in group)

    def restore_pointers(self, publications: Publications, entry: ChannelEntry | None, error: BaseException) -> None:
        """Point targets at the version of `entry` again; adds a line per target to `error`."""
        lines = []
        for name, publication in publications.items():
            try:
                lines.append(f"{name}: restored to {self._restore_target(name, publication, entry)}")
            except BakeryError as failure:
                lines.append(f"{name}: NOT restored: {failure.message}: {failure.detail}")
        if isinstance(error, BakeryError):
            error.detail = "\n".join(filter(None, (error.detail, *lines)))

    def _restore_target(self, name: str, publication: Publication, entry: ChannelEntry | None) -> str:
        record = self.catalog.record(entry) if entry else None
        old = record.publication(name) if record else None
        if old is None:
            self.targets[name].unpoint(publication, self.channel)
            return "nothing"
        self.targets[name].point(old, self.channel, self.report)
        return old.version
