"""Which versions take which step, by age and number."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakery.catalog import Record
from bakery.catalog.record import State
from bakery.engine.retirement import LIVING, plan_retirement
from bakery.model.retention import Retention

NOW = datetime(2026, 6, 30, tzinfo=UTC)
POLICY = Retention(keep=1, deprecate_after_days=10, disable_after_days=20, remove_after_days=50)


def record(patch: int, state: State, baked: int, in_state: int = 0) -> Record:
    """A version that was baked, and came to its state, so many days ago."""
    return Record(
        image="web",
        arch="x86_64",
        version=f"1.0.{patch}",
        revision=1,
        state=state,
        input_key="a" * 64,
        inputs={},
        at=(NOW - timedelta(days=in_state)).isoformat(),
        by="somebody",
        baked=(NOW - timedelta(days=baked)).isoformat() if state != "reserved" else "",
    )


def steps(*records: Record, policy: Retention = POLICY) -> list[tuple[str, str]]:
    return [(step.version, step.after) for step in plan_retirement(policy, records, NOW)]


@pytest.mark.parametrize(
    ("state", "replaced", "in_state", "after"),
    [
        ("complete", 9, 9, None),
        ("complete", 10, 9, "deprecated"),
        ("complete", 400, 400, "deprecated"),
        ("deprecated", 19, 9, None),
        ("deprecated", 20, 9, None),
        ("deprecated", 20, 10, "disabled"),
        ("deprecated", 400, 1, None),
        ("disabled", 50, 29, None),
        ("disabled", 50, 30, "removed"),
        ("removed", 400, 400, None),
        ("revoked", 5, 29, None),
        ("revoked", 5, 30, "removed"),
        ("reserved", 400, 400, None),
    ],
)
def test_a_version_takes_one_step_after_its_days(state: State, replaced: int, in_state: int, after: str | None) -> None:
    """The days between two steps pass, even if the first one came late."""
    old, new = record(0, state, baked=500, in_state=in_state), record(1, "complete", baked=replaced)
    assert steps(old, new) == ([("1.0.0", after)] if after else [])


def test_the_days_count_from_the_next_version_that_can_be_used() -> None:
    old = record(0, "complete", baked=500, in_state=500)
    revoked, new = record(1, "revoked", baked=400), record(2, "complete", baked=9)
    assert steps(old, revoked, new) == []
    assert steps(old, revoked, record(2, "reserved", baked=0)) == []


def test_the_newest_ones_stay() -> None:
    versions = [record(patch, "complete", baked=500 - patch, in_state=500) for patch in range(5)]
    policy = Retention(keep=3, deprecate_after_days=1)
    assert steps(*versions, policy=policy) == [("1.0.0", "deprecated"), ("1.0.1", "deprecated")]
    # A version that was removed or revoked is none of the three.
    versions[3] = record(3, "revoked", baked=400)
    assert steps(*versions, policy=policy) == [("1.0.0", "deprecated")]


def test_a_policy_without_deprecation_disables_at_once() -> None:
    policy = Retention(keep=1, disable_after_days=20)
    old, new = record(0, "complete", baked=500, in_state=500), record(1, "complete", baked=20)
    assert steps(old, new, policy=policy) == [("1.0.0", "disabled")]


def test_a_definition_that_went_back_to_an_older_release_line() -> None:
    """Its version there is newer than one with a higher number."""
    old, new = record(0, "complete", baked=500, in_state=500), record(2, "complete", baked=30, in_state=30)
    higher = replace(record(0, "complete", baked=100, in_state=100), version="2.0.0")
    assert steps(old, new, higher) == [("1.0.0", "deprecated"), ("2.0.0", "deprecated")]


def test_the_reason_says_by_which_version_it_was_replaced() -> None:
    [step] = plan_retirement(POLICY, [record(0, "complete", 90), record(1, "complete", 12)], NOW)
    assert step.reason == "replaced by 1.0.1 12 days ago"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["reserved", "complete", "deprecated", "disabled", "removed", "revoked"]),
            st.integers(0, 900),
            st.integers(0, 900),
        ),
        max_size=8,
    ),
    st.integers(1, 4),
)
def test_never_the_newest_and_never_two_steps(history: list[tuple[State, int, int]], keep: int) -> None:
    records = [record(patch, *one) for patch, one in enumerate(history)]
    policy = Retention(keep=keep, deprecate_after_days=10, disable_after_days=20, remove_after_days=50)
    by_time = sorted(records, key=lambda record: record.baked or record.at)
    newest = [record.version for record in by_time if record.state in LIVING][-keep:]
    for step in plan_retirement(policy, records, NOW):
        assert step.version not in newest
        assert step.after == {
            "complete": "deprecated",
            "deprecated": "disabled",
            "disabled": "removed",
            "revoked": "removed",
        }.get(step.before)
