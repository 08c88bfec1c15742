"""Random promotions, rollbacks, revocations, retirements, faults, crashes and a second operator, against a model."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bakery.catalog import Record
from bakery.catalog import moves as journal
from bakery.catalog.keys import version_numbers
from bakery.catalog.record import AVAILABILITY, State
from bakery.engine import channels, lifecycle
from bakery.engine.pointers import Targets
from bakery.engine.session import Session
from bakery.host.errors import BakeryError, BusyError
from bakery.model.definition import Definitions
from bakery.model.project import Project
from unit.bakery.engine.test_moves import PLACES, Killed, Later, World

FEW = PLACES[:6]
OWNERS = ("laptop", "pipeline")
STEPS = 30  # of each example


class Release(RuleBasedStateMachine):
    """One channel of one image in six places. The model has the version that a person or a run asked for last."""

    steps = 0

    def __init__(self) -> None:
        super().__init__()
        self._folder = TemporaryDirectory(prefix="bakery-model-")
        self.world = World(Path(self._folder.name))
        self.expected: set[str] = {""}  # the versions that the channel may have now

    def teardown(self) -> None:
        self._folder.cleanup()

    @initialize()
    def begin(self) -> None:
        self.world.target.wanted = list(FEW)
        self.world.add_version(FEW)

    @rule()
    def publish(self) -> None:
        self._count()
        self.world.add_version(self.world.target.wanted)

    @rule(owner=st.sampled_from(OWNERS), number=st.integers(0, 9), kill=st.none() | st.integers(0, 30))
    def promote(self, owner: str, number: int, kill: int | None) -> None:
        record = self._record(number)
        self._do(
            owner, kill, lambda: channels.promote(self.world.channel(owner), record, "", is_new=True), record.version
        )

    @rule(owner=st.sampled_from(OWNERS), kill=st.none() | st.integers(0, 30))
    def run(self, owner: str, kill: int | None) -> None:
        """A run moves the channel to the newest version, unless a person holds it."""
        newest = self.world.catalog.newest("web", "x86_64")
        if newest:
            head = self.world.channel(owner).head
            version = head.version if head and head.held else newest.version
            self._do(owner, kill, partial(channels.follow, self.world.channel(owner), newest, ""), version)

    @rule(owner=st.sampled_from(OWNERS), kill=st.none() | st.integers(0, 30))
    def roll_back(self, owner: str, kill: int | None) -> None:
        """From where the channel is, or from where an interrupted move takes it first."""
        head, move = self.world.channel().head, self.world.channel().unfinished_move
        starts = [version for version in (head.version if head else "", move.version if move else "") if version]
        if starts:
            newest = max(starts, key=version_numbers)
            older = [version for version in self._versions() if version_numbers(version) < version_numbers(newest)]
            self._do(owner, kill, lambda: channels.rollback(self.world.channel(owner), ""), *older)

    @rule(owner=st.sampled_from(OWNERS), kill=st.none() | st.integers(0, 30))
    def delete(self, owner: str, kill: int | None) -> None:
        self._do(owner, kill, partial(channels.delete, self.world.channel(owner), ""), "")

    @rule(
        number=st.integers(0, 9),
        state=st.sampled_from(["complete", "deprecated", "disabled", "removed", "revoked"]),
        kill=st.none() | st.integers(0, 8),
    )
    def change_state(self, number: int, state: State, kill: int | None) -> None:
        """Refused while the channel is at the version, or a move to or from it was interrupted."""
        self._count()
        record = self._record(number)
        self.world.kill_at(kill)
        try:
            lifecycle.change_state(self._session(), self._targets, record, state, "")
        except Killed:
            pass
        except BakeryError:
            assert self._record(number) == record
        else:
            assert (self._record(number).state, self._record(number).pending) == (state, False)
        finally:
            self.world.kill_at(None)

    @rule(number=st.integers(0, 9))
    def settle(self, number: int) -> None:
        """The next verb finishes a change of state that was interrupted."""
        self._count()
        lifecycle.settle(self._session(), self._targets, self._record(number))

    @rule(place=st.sampled_from(FEW))
    def refuse(self, place: object) -> None:
        self._count()
        self.world.target.refusing = {place}  # type: ignore[arg-type]

    @rule()
    def answer(self) -> None:
        self._count()
        self.world.target.refusing = set()

    @precondition(lambda self: not self.world.target.refusing)
    @rule(owner=st.sampled_from(OWNERS))
    def repair(self, owner: str) -> None:
        """Whatever was left, the next verb ends it, by its owner at once or by another one after the lease."""
        self._count()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(journal, "datetime", Later)
            channels.repair_pointers(self.world.channel(owner))
        move = self.world.channel().last_move
        assert move is None or move.state != "begun"

    @invariant()
    def the_channel_is_at_one_version_or_a_move_is_kept(self) -> None:
        channel = self.world.channel()
        move, head = channel.last_move, channel.head
        version = head.version if head else ""
        if move is None or move.state != "begun":
            assert self.world.versions() == ({version} if version else set())
            assert {place for _, place in self.world.target.pointers} == (set(FEW) if version else set())
            assert version in self.expected
        else:
            assert self.world.versions() <= {move.before, move.version}

    @invariant()
    def images_are_as_records_say_and_channels_at_what_can_be_used(self) -> None:
        used = self.world.versions()
        move = self.world.channel().last_move
        for version in self._versions():
            record = self.world.channel().record(version)
            assert record
            if not record.pending:
                actual = self.world.target.availabilities.get(version, "available")
                assert actual == AVAILABILITY[record.state]
            if move is None or move.state != "begun":
                assert record.state == "complete" or version not in used

    @property
    def _targets(self) -> Targets:
        return cast(Targets, self.world.targets)

    def _session(self) -> Session:
        folder = Path(self._folder.name)
        return Session(Project(folder, folder, folder / "workspace"), Definitions({}, {}), self.world.catalog)

    def _do(self, owner: str, kill: int | None, work: Callable[[], object], *versions: str) -> None:
        """Do what moves the channel to one of some versions, if it is not refused, killed or another one's turn."""
        self._count()
        head = self.world.channel().head
        move = self.world.channel().last_move
        self.expected = {*versions, head.version if head else ""}
        if move and move.state == "begun":
            self.expected |= {move.before, move.version}
        self.world.kill_at(kill)
        try:
            work()
        except Killed:
            pass
        except BusyError:
            assert move
            assert move.owner != owner, "the owner of a move continues it"
        except BakeryError:
            pass
        finally:
            self.world.kill_at(None)

    def _record(self, number: int) -> Record:
        versions = self._versions()
        record = self.world.channel().record(versions[number % len(versions)])
        assert record
        return record

    def _versions(self) -> list[str]:
        return self.world.catalog.versions("web", "x86_64")

    def _count(self) -> None:
        Release.steps += 1


def _run(examples: int) -> int:
    """The steps of a number of examples."""
    Release.steps = 0
    run_state_machine_as_test(
        Release,
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=True,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
    sys.stdout.write(f"{Release.steps} steps\n")
    return Release.steps


def test_a_channel_follows_the_model() -> None:
    assert _run(30) >= 500


@pytest.mark.soak
def test_a_channel_follows_the_model_for_long() -> None:
    assert _run(500) >= 10_000
