"""Retires old versions: deprecates, disables and removes them by the age, number and use that a definition allows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from bakery.catalog import Record
from bakery.catalog.catalog import require_change
from bakery.catalog.record import State
from bakery.catalog.search import find_descendants
from bakery.engine.channels import find_earlier
from bakery.engine.lifecycle import change_state, open_image_targets, settle
from bakery.engine.pointers import Targets
from bakery.engine.session import Session
from bakery.engine.uses import describe_use, find_uses
from bakery.host.errors import ConflictError
from bakery.host.parallel import raise_failures, run_parallel
from bakery.host.text import count_of
from bakery.model.documents import Strict
from bakery.model.retention import LAUNCHED_WITHIN_DAYS, Retention
from bakery.model.version import ImageVersion

Texts = Mapping[Path, str]  # of states of Terraform, in small letters
LIVING: tuple[State, ...] = ("complete", "deprecated", "disabled")  # versions that can be used, or used again


@dataclass(frozen=True)
class Retirement(Strict):
    """One step of a version from the state `before` to `after`; it is not done while there are `blockers`."""

    image: str
    arch: str
    version: str
    before: State
    after: State
    reason: str
    blockers: tuple[str, ...] = ()
    schema: Literal["bakery/retirement/1"] = "bakery/retirement/1"


def plan_retirement(retention: Retention, records: Sequence[Record], now: datetime) -> list[Retirement]:
    """The steps that are due by age and number; `records` are all of an image, oldest first.

    A version takes one step at a time, and the days between two steps pass in between, however late the first one was.
    """
    # By time, not by number: a definition may go back to an older release line.
    records = sorted((record for record in records if not record.pending), key=_read_bake_time)
    newest = [record.version for record in records if record.state in LIVING][-retention.keep :]
    retirements = []
    for index, record in enumerate(records):
        successor = next((later for later in records[index + 1 :] if later.state in LIVING), None)
        if record.version in newest or (successor is None and record.state != "revoked"):
            continue
        if step := _find_step(retention, record, successor, now):
            after, reason = step
            identity = (record.image, record.arch, record.version)
            retirements.append(Retirement(*identity, record.state, after, reason))
    return retirements


def _find_step(
    retention: Retention, record: Record, successor: Record | None, now: datetime
) -> tuple[State, str] | None:
    """The next state of a version and the reason, if its days have passed."""
    in_state = _days(record.at, now)
    deprecate, disable = retention.deprecate_after_days, retention.disable_after_days
    remove = retention.remove_after_days
    if record.state == "revoked":
        if remove and disable and in_state >= remove - disable:
            return "removed", f"revoked {count_of(in_state, 'day')} ago"
        return None
    assert successor  # the caller passes over versions without one
    age = _days(successor.baked, now)
    reason = f"replaced by {successor.version} {count_of(age, 'day')} ago"
    if record.state == "complete" and deprecate and age >= deprecate:
        return "deprecated", reason
    if record.state == "complete" and not deprecate and disable and age >= disable:
        return "disabled", reason
    if record.state == "deprecated" and disable and age >= disable and in_state >= disable - (deprecate or 0):
        return "disabled", reason
    if record.state == "disabled" and remove and disable and age >= remove and in_state >= remove - disable:
        return "removed", reason
    return None


def _read_bake_time(record: Record) -> datetime:
    return datetime.fromisoformat(record.baked or record.at)


def _days(since: str, now: datetime) -> int:
    return (now - datetime.fromisoformat(since)) // timedelta(days=1)


def plan_image(session: Session, image: str, states: Texts, now: datetime | None = None) -> list[Retirement]:
    """The steps that are due for an image by the policy of its definition, with all that blocks them."""
    definition = session.definitions.images[image]
    if definition.retention is None:
        return []
    records = session.catalog.records(image, definition.arch)
    steps = plan_retirement(definition.retention, records, now or datetime.now(UTC))
    with open_image_targets(session, image) as targets:
        return [_add_blockers(session, targets, step, states) for step in steps]


def plan_version(session: Session, record: Record, after: State, reason: str, states: Texts) -> Retirement:
    """The step that a person asks for, with all that blocks it."""
    require_change(record, after)
    step = Retirement(record.image, record.arch, record.version, record.state, after, reason)
    with open_image_targets(session, record.image) as targets:
        return _add_blockers(session, targets, step, states)


def retire_versions(session: Session, retirements: Sequence[Retirement], states: Texts) -> list[Record]:
    """Do the steps without blockers, which are looked for again; their records.

    A version that fails keeps no other one from its step.
    """
    by_name = {f"{step.image} {step.version}": step for step in retirements if not step.blockers}

    def retire(name: str) -> Record:
        step = by_name[name]
        with open_image_targets(session, step.image) as targets:
            if blockers := list(_find_blockers(session, targets, step, states)):
                raise ConflictError(f"{name} stays {step.before}: {'; '.join(blockers)}", hint="nothing was changed")
            return change_state(session, targets, _read_record(session, step), step.after, step.reason)

    outcomes = run_parallel(list(by_name), retire, jobs=1)
    raise_failures(outcomes, nouns="versions")
    return [outcome.result for outcome in outcomes if outcome.result]


def settle_image(session: Session, image: str) -> None:
    """End the changes of state that a run left pending."""
    definition = session.definitions.images[image]
    pending = [record for record in session.catalog.records(image, definition.arch) if record.pending]
    if pending:
        with open_image_targets(session, image) as targets:
            for record in pending:
                settle(session, targets, record)


def _add_blockers(session: Session, targets: Targets, step: Retirement, states: Texts) -> Retirement:
    return replace(step, blockers=tuple(_find_blockers(session, targets, step, states)))


def _find_blockers(session: Session, targets: Targets, step: Retirement, states: Texts) -> Iterator[str]:
    """The reasons to keep a version; the targets are asked only if it would be disabled or removed."""
    record = _read_record(session, step)
    catalog = session.catalog
    definition = session.definitions.images.get(record.image)
    for line in ("", definition.version) if definition else ("",):
        newest = catalog.newest(record.image, record.arch, line)
        if newest and newest.version == record.version:
            scope = f" of release line {line}" if line else ""
            yield f"it is the newest complete version{scope}: only 'bakery revoke' forbids it"
            break
    for head in catalog.heads(record.image, record.arch):
        earlier = find_earlier(catalog, head)
        if head.version == record.version:
            yield f"{head.channel} points at it"
        elif earlier and earlier.version == record.version:
            yield f"{head.channel} would roll back to it"
    if step.after == "deprecated":
        return
    for child in find_descendants(catalog, record):
        yield f"{child.image} {child.version} is built on it"
    retention = definition.retention if definition else None
    idle_days = retention.launched_within_days if retention else LAUNCHED_WITHIN_DAYS
    uses, unknown = find_uses(targets, record)
    if unknown:
        yield f"its users are unknown: {unknown}"
    began = datetime.now(UTC) - timedelta(days=idle_days)
    for use in uses:
        if use.kind != "launch" or datetime.fromisoformat(use.at) >= began:
            yield describe_use(use)
    yield from _find_in_states(record, states)


def _find_in_states(record: Record, states: Texts) -> Iterator[str]:
    locations = [
        location for publication in record.publications for location in (*publication.locations, *publication.withdrawn)
    ]
    identities = sorted({text for location in locations for text in (location.id, location.snapshot)} - {""})
    for path, text in states.items():
        yield from (f"{path} has {identity}" for identity in identities if identity.casefold() in text)


def _read_record(session: Session, step: Retirement) -> Record:
    return session.catalog.record(ImageVersion(step.image, step.arch, step.version))
