"""Retires old versions: deprecates, disables and removes them by the age, number and use that a definition allows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from bakery.catalog import Record
from bakery.catalog.catalog import require_change
from bakery.catalog.record import State
from bakery.engine.blockers import Blockers, Texts
from bakery.engine.lifecycle import change_state, open_image_targets, require_records, settle, work_by_image
from bakery.engine.pointers import Targets
from bakery.engine.restored import describe_restore
from bakery.engine.session import Session
from bakery.engine.uses import report_unseen
from bakery.host.errors import ConflictError
from bakery.host.parallel import Outcome
from bakery.host.text import count_of
from bakery.model.documents import Strict
from bakery.model.retention import Retention
from bakery.model.version import ImageVersion

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
    by_version = {record.version: record for record in records}
    report_unseen(session, [by_version[step.version] for step in steps if step.after != "deprecated"])
    with open_image_targets(session, image) as targets:
        blockers = Blockers(session, targets, image, definition.arch, states)
        planned = [_add_blockers(blockers, step, by_version[step.version]) for step in steps]
    return [_keep_restored(session, step, by_version[step.version], definition.retention) for step in planned]


def _keep_restored(session: Session, step: Retirement, record: Record, retention: Retention) -> Retirement:
    restore = describe_restore(session.catalog, record, retention)
    return replace(step, blockers=(restore, *step.blockers)) if restore else step


def plan_versions(
    session: Session, records: Sequence[Record], after: State, reason: str, states: Texts
) -> list[Outcome[Retirement]]:
    """The step of each version that a person asks for, with all that blocks it."""
    by_version = {ImageVersion.of(record): record for record in records}
    if after != "deprecated":
        report_unseen(session, records)

    def begin(image: str, arch: str, targets: Targets) -> Callable[[ImageVersion], Retirement]:
        blockers = Blockers(session, targets, image, arch, states)

        def plan(version: ImageVersion) -> Retirement:
            record = by_version[version]
            require_change(record, after)
            step = Retirement(image, arch, record.version, record.state, after, reason)
            return _add_blockers(blockers, step, record)

        return plan

    return work_by_image(session, records, begin)


def retire_versions(session: Session, retirements: Sequence[Retirement], states: Texts) -> list[Record]:
    """Do the steps without blockers, which are looked for again; their records.

    Logs in once for each image. A version that fails keeps no other one from its step.
    """
    steps = {ImageVersion.of(step): step for step in retirements if not step.blockers}

    def begin(image: str, arch: str, targets: Targets) -> Callable[[ImageVersion], Record]:
        blockers = Blockers(session, targets, image, arch, states)
        return lambda version: _retire_version(blockers, steps[version])

    return require_records(work_by_image(session, list(steps), begin))


def _retire_version(blockers: Blockers, step: Retirement) -> Record:
    """Do a step; ConflictError if something keeps the version now, or it has another state than in the plan."""
    session, name = blockers.session, f"{step.image} {step.version}"
    record = session.catalog.record(ImageVersion.of(step))
    if record.state not in (step.before, step.after):
        raise ConflictError(f"{name} is {record.state} by now, and was {step.before}", hint="plan again and look")
    if reasons := list(blockers.find(record, step.after)):
        raise ConflictError(f"{name} stays {step.before}: {'; '.join(reasons)}", hint="nothing was changed")
    return change_state(session, blockers.targets, record, step.after, step.reason)


def settle_image(session: Session, image: str) -> None:
    """End the changes of state that a run left pending."""
    definition = session.definitions.images[image]
    pending = [record for record in session.catalog.records(image, definition.arch) if record.pending]
    if pending:
        with open_image_targets(session, image) as targets:
            for record in pending:
                settle(session, targets, record)


def _add_blockers(blockers: Blockers, step: Retirement, record: Record) -> Retirement:
    return replace(step, blockers=tuple(blockers.find(record, step.after)))
