"""A channel moves everywhere or nowhere, wherever a run is killed."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bakery.catalog import Catalog, ChannelEntry, Record
from bakery.catalog import moves as journal
from bakery.clouds.target import Finding
from bakery.engine import channels
from bakery.engine.pointers import Channel, compare_pointers
from bakery.host.errors import BakeryError, BusyError, ConflictError, NotFoundError
from bakery.model.documents import ImageLocation, Location, Publication
from bakery.signing import Keyring
from doubles.channels import DictTarget, open_channel

PLACES = [Location(f"{account:012}", f"region-{region}") for account in range(5) for region in range(20)]


class Killed(BaseException):
    """Nobody catches it, and nothing is written any more."""


class World:
    """A catalog in memory and a target with 100 places. It is killed at a boundary: before or after a write."""

    location = "memory"

    def __init__(self, keys: Path) -> None:
        self.objects: dict[str, bytes] = {}
        self.boundaries = 0
        self.last_boundary: int | None = None
        self.target = DictTarget(PLACES, self._pass_boundary)
        self.targets = {"aws": self.target}
        self._keys = keys

    @property
    def catalog(self) -> Catalog:
        return Catalog(self, Keyring(self._keys, {}))

    def channel(self, owner: str = "tester") -> Channel:
        return open_channel(self.catalog, self.targets, owner=owner)

    def list(self, prefix: str) -> list[str]:
        start = f"{prefix.rstrip('/')}/"
        return list({key.removeprefix(start).split("/")[0] for key in self.objects if key.startswith(start)})

    def read(self, key: str) -> bytes:
        if key not in self.objects:
            raise NotFoundError("not in the catalog", where=key)
        return self.objects[key]

    def create(self, key: str, data: bytes) -> bool:
        self._pass_boundary()
        if key in self.objects:
            return False
        self.objects[key] = data
        self._pass_boundary()
        return True

    def add_version(self, places: Sequence[Location] = PLACES) -> Record:
        """The next version, complete in these places."""
        catalog = self.catalog
        key = str(len(catalog.versions("web", "x86_64")))
        reserved = catalog.reserve("web", "x86_64", "1.0", key, {}, "builder", "bake-private")
        locations = tuple(ImageLocation(*place, f"{place.region}-{reserved.version}") for place in places)
        publication = Publication("web", "x86_64", reserved.version, "0" * 64, "aws", locations)
        return catalog.revise(replace(reserved, state="complete", publications=(publication,)))

    def kill_at(self, boundary: int | None) -> None:
        """Have the next writes end at a boundary from now; None for none."""
        self.boundaries, self.last_boundary = 0, boundary

    def versions(self, channel: str = "stable") -> set[str]:
        """The versions that the channel's pointers have, over all places that have one."""
        return {value.rpartition("-")[2] for (name, _), value in self.target.pointers.items() if name == channel}

    def _pass_boundary(self) -> None:
        self.boundaries += 1
        if self.last_boundary is not None and self.boundaries > self.last_boundary:
            raise Killed


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture
def world(keys: Path) -> World:
    return World(keys)


def _promote(world: World, record: Record, **options: Any) -> ChannelEntry:
    return channels.promote(world.channel(), record, "", is_new=True, **options)


def _assert_whole(world: World, version: str, places: Sequence[Location] = PLACES) -> None:
    """The channel has this version in all of these places and nowhere else, and nothing is left to do."""
    head = world.channel().head
    assert head
    assert head.version == version
    assert world.versions() == ({version} if version else set())
    assert {location for _, location in world.target.pointers} == set(places if version else [])
    last = world.channel().last_move
    assert last
    assert last.state != "begun"


def test_a_promotion(world: World) -> None:
    entry = _promote(world, world.add_version())
    _assert_whole(world, "1.0.0")
    assert len(entry.pointers) == len(PLACES)
    writes = len(world.target.writes)
    assert _promote(world, _record(world, "1.0.0")) == entry
    assert len(world.target.writes) == writes


@pytest.mark.parametrize("harmless", [True, False])
def test_a_finding_that_keeps_nobody_from_an_image_stops_no_promotion(
    world: World, monkeypatch: pytest.MonkeyPatch, *, harmless: bool
) -> None:
    finding = Finding("consumer/eu-central-1 tags", "incorrect", "Name is not set", harmless)
    monkeypatch.setattr(world.target, "inspect", lambda publication: [finding])
    if harmless:
        assert _promote(world, world.add_version()).version == "1.0.0"
    else:
        with pytest.raises(BakeryError):
            _promote(world, world.add_version())


def _record(world: World, version: str) -> Record:
    record = world.channel().record(version)
    assert record
    return record


Repair = Callable[[World], object]
REPAIRS: dict[str, Repair] = {
    "promote": lambda world: _promote(world, _record(world, "1.0.2")),
    "run": lambda world: channels.follow(world.channel(), _record(world, "1.0.2"), "published"),
    "rollback": lambda world: channels.rollback(world.channel(), ""),
    "promote another": lambda world: _promote(world, _record(world, "1.0.0")),
}


class TestKilled:
    """At every boundary of a move over 100 places, and repaired by each verb that may come next."""

    @pytest.fixture
    def promoted(self, world: World) -> World:
        """Three versions; the channel went from the first to the second."""
        for _ in range(2):
            _promote(world, world.add_version())
        world.add_version()
        return world

    @pytest.mark.parametrize("repair", REPAIRS)
    def test_a_promotion(self, promoted: World, repair: str) -> None:
        expected = {"promote": {"1.0.2"}, "run": {"1.0.2"}, "rollback": {"1.0.0", "1.0.1"}}.get(repair, {"1.0.0"})
        record = _record(promoted, "1.0.2")
        points = 0
        for _ in _kill_everywhere(promoted, lambda: _promote(promoted, record)):
            REPAIRS[repair](promoted)
            head = promoted.channel().head
            assert head
            assert head.version in expected, f"killed at boundary {points}"
            _assert_whole(promoted, head.version)
            points += 1
        sys.stdout.write(f"killed at {points} boundaries, then {repair}\n")
        assert points > 2 * len(PLACES), "each pointer has two boundaries"

    def test_the_first_promotion(self, world: World) -> None:
        record = world.add_version()
        for _ in _kill_everywhere(world, lambda: _promote(world, record)):
            _promote(world, record)
            _assert_whole(world, "1.0.0")

    def test_a_deletion(self, promoted: World) -> None:
        for _ in _kill_everywhere(promoted, lambda: channels.delete(promoted.channel(), "")):
            with suppress(NotFoundError):  # the interrupted deletion was finished first
                channels.delete(promoted.channel(), "")
            _assert_whole(promoted, "")

    def test_a_version_that_cannot_be_used_any_more(self, promoted: World) -> None:
        """A move to it is taken back."""
        record = _record(promoted, "1.0.2")
        for point in _kill_everywhere(promoted, lambda: _promote(promoted, record)):
            promoted.target.findings = [Finding("eu", "missing", "no image")]
            with pytest.raises(BakeryError, match="cannot be used everywhere"):
                _promote(promoted, record)
            promoted.target.findings = []
            head = promoted.channel().head
            assert head
            # Once the entry is there, the move has happened.
            assert promoted.versions() == {head.version}, f"killed at boundary {point}"

    def test_while_it_is_repaired(self, promoted: World) -> None:
        """A repair that is killed is repaired as well."""
        record = _record(promoted, "1.0.2")
        for point in _kill_everywhere(promoted, lambda: _promote(promoted, record)):
            promoted.kill_at(point % 40)
            with suppress(Killed):
                _promote(promoted, record)
            promoted.kill_at(None)
            _promote(promoted, record)
            _assert_whole(promoted, "1.0.2")

    def test_the_history_has_the_move_once(self, promoted: World) -> None:
        record = _record(promoted, "1.0.2")
        for boundary in _kill_everywhere(promoted, lambda: _promote(promoted, record)):
            channels.repair_pointers(promoted.channel())
            versions = [entry.version for entry in promoted.catalog.history("web", "x86_64", "stable")]
            assert versions in (["1.0.0", "1.0.1"], ["1.0.0", "1.0.1", "1.0.2"]), f"killed at boundary {boundary}"

    def test_a_run_that_wakes_up_finds_its_place_taken(self, promoted: World) -> None:
        """Once its move was taken back, it cannot write its entry."""
        record, head = _record(promoted, "1.0.2"), promoted.channel().head
        promoted.kill_at(20)
        with pytest.raises(Killed):
            _promote(promoted, record)
        promoted.kill_at(None)
        promoted.target.findings = [Finding("eu", "missing", "no image")]
        with pytest.raises(BakeryError, match="cannot be used everywhere"):
            _promote(promoted, record)
        with pytest.raises(ConflictError, match="was moved by another run"):
            promoted.catalog.move(record, "stable", "late", head)
        _assert_whole(promoted, "1.0.1")

    def test_neither_of_its_versions_is_revoked(self, promoted: World) -> None:
        """Some pointers may still be at either of them."""
        promoted.kill_at(20)
        with pytest.raises(Killed):
            _promote(promoted, _record(promoted, "1.0.2"))
        promoted.kill_at(None)
        with pytest.raises(ConflictError, match="a move of stable was interrupted"):
            promoted.catalog.change_state(_record(promoted, "1.0.2"), "revoked", "leaks")
        _promote(promoted, _record(promoted, "1.0.0"))
        promoted.catalog.change_state(_record(promoted, "1.0.2"), "revoked", "leaks")

    def test_another_owner_waits_for_the_lease(self, promoted: World, monkeypatch: pytest.MonkeyPatch) -> None:
        promoted.kill_at(20)
        with pytest.raises(Killed):
            _promote(promoted, _record(promoted, "1.0.2"))
        promoted.kill_at(None)
        other = promoted.channel("pipeline")
        with pytest.raises(BusyError, match=r"moves channel stable of web to 1\.0\.2") as caught:
            channels.rollback(other, "")
        assert "and has until" in caught.value.detail
        monkeypatch.setattr(journal, "datetime", Later)
        channels.rollback(promoted.channel("pipeline"), "")
        _assert_whole(promoted, "1.0.1")


class Later(datetime):
    """A clock after the end of each lease."""

    @classmethod
    def now(cls, tz: Any = None) -> "Later":
        return cls.fromisoformat((datetime.now(tz or UTC) + 2 * journal.LEASE).isoformat())


def _kill_everywhere(world: World, work: Callable[[], object]) -> Iterator[int]:
    """Kill the work at each of its boundaries, always from the same state; yields with what it left."""
    objects, pointers, boundary = dict(world.objects), dict(world.target.pointers), 0
    while True:
        world.objects, world.target.pointers = dict(objects), dict(pointers)
        world.kill_at(boundary)
        try:
            work()
        except Killed:
            world.kill_at(None)
            yield boundary
            boundary += 1
        else:
            world.kill_at(None)
            return


class TestPlaces:
    def test_a_version_with_fewer_places(self, world: World) -> None:
        """Nothing is left behind: the move is refused while the definition wants the channel there."""
        few, all_places = world.add_version(PLACES[:60]), world.add_version()
        _promote(world, all_places)
        with pytest.raises(ConflictError, match="is not in aws 000000000003/region-0") as caught:
            _promote(world, few)
        assert "stable was not moved" in caught.value.hint
        _assert_whole(world, "1.0.1")

    def test_places_that_the_definition_left(self, world: World) -> None:
        _promote(world, world.add_version())
        world.target.wanted = PLACES[:60]
        _promote(world, world.add_version(PLACES[:60]))
        _assert_whole(world, "1.0.1", PLACES[:60])

    def test_places_that_the_same_version_left(self, world: World) -> None:
        record = world.add_version()
        _promote(world, record)
        world.target.wanted = PLACES[:60]
        [publication] = record.publications
        fewer = replace(publication, locations=publication.locations[:60])
        record = world.catalog.revise(replace(record, publications=(fewer,)))
        _promote(world, record)
        _assert_whole(world, "1.0.0", PLACES[:60])

    def test_places_left_when_a_move_fails(self, world: World) -> None:
        """The pointers that were removed are there again."""
        _promote(world, world.add_version())
        world.target.wanted = PLACES[:60]
        record = world.add_version(PLACES[:60])
        world.target.refusing = {PLACES[59]}
        with pytest.raises(BakeryError, match="cannot write"):
            _promote(world, record)
        _assert_whole(world, "1.0.0")

    def test_a_repaired_version_moves_its_own_pointers(self, world: World) -> None:
        """An image that was made again has another ID."""
        record = world.add_version()
        _promote(world, record)
        [publication] = record.publications
        again = tuple(replace(location, id=f"{location.region}-again-1.0.0") for location in publication.locations)
        record = world.catalog.revise(replace(record, publications=(replace(publication, locations=again),)))
        _promote(world, record)
        assert {value for value in world.target.pointers.values() if "again" not in value} == set()
        _assert_whole(world, "1.0.0")

    def test_a_target_that_the_definition_left(self, world: World) -> None:
        record = world.add_version()
        _promote(world, record)
        world.targets = {}
        with pytest.raises(BakeryError, match="also points at aws, where the definition has no target"):
            _promote(world, record)


class TestForeignValues:
    def test_a_pointer_that_somebody_else_moved(self, world: World) -> None:
        first, second = world.add_version(), world.add_version()
        _promote(world, first)
        world.target.pointers["stable", PLACES[7]] = "ami-of-somebody"
        with pytest.raises(ConflictError, match="somebody else changed 1 pointer of channel stable") as caught:
            _promote(world, second)
        assert "region-7: stable is ami-of-somebody, expected region-7-1.0.0" in caught.value.detail
        assert world.target.pointers["stable", PLACES[0]] == "region-0-1.0.0"
        _promote(world, second, overwrite=True)
        _assert_whole(world, "1.0.1")

    def test_a_new_channel_takes_no_pointer_from_others(self, world: World) -> None:
        world.target.pointers["stable", PLACES[0]] = "ami-of-somebody"
        with pytest.raises(ConflictError, match="somebody else changed"):
            _promote(world, world.add_version())

    def test_a_pointer_that_somebody_removed_is_written_again(self, world: World) -> None:
        record = world.add_version()
        _promote(world, record)
        del world.target.pointers["stable", PLACES[3]]
        _promote(world, record)
        _assert_whole(world, "1.0.0")


class TestComparison:
    def _statuses(self, world: World) -> list[str]:
        return sorted({finding.status for _, finding in compare_pointers(world.channel())})

    def test_a_channel_that_is_right(self, world: World) -> None:
        _promote(world, world.add_version())
        assert self._statuses(world) == ["correct"]

    def test_each_difference(self, world: World) -> None:
        record = world.add_version()
        _promote(world, record)
        world.target.wanted = PLACES[:60]
        _promote(world, record)
        [publication] = record.publications
        fewer = replace(publication, locations=publication.locations[:60], withdrawn=publication.locations[60:])
        world.catalog.revise(replace(record, publications=(fewer,)))
        assert self._statuses(world) == ["correct"]
        del world.target.pointers["stable", PLACES[0]]
        world.target.pointers["stable", PLACES[1]] = "ami-of-somebody"
        world.target.pointers["stable", PLACES[99]] = "ami-left"
        assert self._statuses(world) == ["correct", "incorrect", "missing", "unexpected"]
