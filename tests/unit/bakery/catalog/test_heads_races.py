"""Heads while several writers write: in any order of the operations on the store, and with a crash at any of them."""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakery.catalog import Catalog, Record, changes, channels, heads, search, versions
from bakery.catalog.keys import document_key
from bakery.host.errors import ConflictError
from bakery.signing import Keyring
from unit.bakery.catalog.memory_store import MemoryStore

WEB, DB = ("web", "x86_64"), ("db", "x86_64")
Truth = dict[tuple[str, str], tuple[str, str]]  # keys of the newest complete version and of the channel's entry
ACTORS = 6
FATES = ("go", "go", "go", "crash", "crash after it")
# Somebody who does some operations while all others wait, and what becomes of the last of them.
TURNS = st.lists(
    st.tuples(st.integers(0, ACTORS - 1), st.integers(1, 6) | st.integers(20, 40), st.sampled_from(FATES)), max_size=30
)


class Crash(BaseException):
    """The end of a process, which no code of it notices."""


class Actor:
    """A thread that stops before each operation on the store, until it is told what becomes of the operation."""

    def __init__(self, work: Callable[["Actor"], None]) -> None:
        self._told, self._stopped = threading.Semaphore(0), threading.Semaphore(0)
        self._fate = "go"
        self.has_ended = False
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()
        self._stopped.acquire()

    def _run(self, work: Callable[["Actor"], None]) -> None:
        try:
            work(self)
        except Crash:
            pass
        except Exception as error:  # noqa: BLE001 - `finish` raises it in the thread of the test
            self.error = error
        self.has_ended = True
        self._stopped.release()

    def step(self, fate: str) -> None:
        """Let it do one operation, and wait until it is before the next one."""
        if not self.has_ended:
            self._fate = fate
            self._told.release()
            self._stopped.acquire()

    @contextmanager
    def operation(self) -> Iterator[None]:
        self._stopped.release()
        self._told.acquire()
        fate = self._fate
        if fate == "crash":
            raise Crash
        yield
        if fate == "crash after it":
            raise Crash


@dataclass
class GatedStore:
    """The store as one actor sees it."""

    world: "World"
    actor: Actor
    location: str = "memory"

    def list(self, prefix: str) -> list[str]:
        with self.actor.operation():
            return self.world.store.list(prefix)

    def read(self, key: str) -> bytes:
        with self.actor.operation():
            return self.world.store.read(key)

    def create(self, key: str, data: bytes) -> bool:
        with self.actor.operation():
            created = self.world.store.create(key, data)
            if created and key.startswith("images/"):
                self.world.note_truth()
            return created


@dataclass
class World:
    """The store, and what was true of it after each change."""

    keyring: Keyring
    store: MemoryStore = field(default_factory=MemoryStore)
    truths: list[Truth] = field(default_factory=list)
    answers: int = 0  # that came from heads

    def note_truth(self) -> None:
        self.truths.append(self.read_truth())

    def read_truth(self) -> Truth:
        catalog = Catalog(self.store, self.keyring)
        return {
            image: (_key(catalog.newest(*image, "1.0")), _key(catalog.last_entry(*image, "stable")))
            for image in (WEB, DB)
        }

    def catalog(self, actor: Actor) -> Catalog:
        return Catalog(GatedStore(self, actor), self.keyring)

    def compare(self, catalog: Catalog) -> None:
        """Read the heads. Each answer was true at some time between the beginning and the end of the reading."""
        first = len(self.truths) - 1
        current = catalog.current_heads()
        possible = self.truths[first:]
        for image in (WEB, DB):
            if current.has(*image, "1.0"):
                answer = _key(current.newest(*image, "1.0")), _key(current.last_entry(*image, "stable"))
                assert answer[0] in [truth[image][0] for truth in possible], (image, answer, possible)
                assert answer[1] in [truth[image][1] for truth in possible], (image, answer, possible)
                self.answers += 1


def _key(document: object) -> str:
    return document_key(document) if document else ""  # type: ignore[arg-type]


def publish(catalog: Catalog, image: tuple[str, str], owner: str) -> Record:
    reserved = catalog.reserve(*image, "1.0", "key", {}, owner, "bake-private")
    record = catalog.revise(replace(reserved, state="complete"))
    catalog.move(record, "stable", "", catalog.last_entry(*image, "stable"))
    return record


@pytest.fixture
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    return Keyring(tmp_path_factory.mktemp("keys"), {})


@pytest.fixture
def in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads of one actor come one after the other, and each renewal writes."""
    for module in (changes, channels, heads, search, versions):
        monkeypatch.setattr(module, "read_all", lambda items, read: [read(item) for item in items])
    monkeypatch.setattr(heads, "FEW_CHANGES", -1)


def begin(keyring: Keyring) -> tuple[World, Record]:
    """A catalog with two images and a snapshot, and the version of the second one."""
    world = World(keyring)
    catalog = Catalog(world.store, keyring)
    _, record = (publish(catalog, image, "before") for image in (WEB, DB))
    catalog.renew_heads()
    world.note_truth()
    return world, record


def finish(*actors: Actor) -> None:
    """Let each actor do the rest of its work."""
    for actor in actors:
        while not actor.has_ended:
            actor.step("go")
        if actor.error:
            raise actor.error


def compare_at_end(world: World) -> None:
    """Compare heads with records, before and after the next snapshot."""
    catalog = Catalog(world.store, world.keyring)
    world.compare(catalog)
    catalog.renew_heads()
    world.compare(catalog)


def revoke(catalog: Catalog, record: Record) -> None:
    catalog.revise(replace(record, state="revoked"), "leaks")


def move(catalog: Catalog, record: Record) -> None:
    catalog.move(record, "stable", "again", catalog.channel(*DB, "stable"))


@pytest.mark.usefixtures("in_turn")
@pytest.mark.parametrize("fate", ["go", "crash"])
@pytest.mark.parametrize("write", [revoke, move])
def test_a_write_and_a_snapshot_at_each_pair_of_places(
    keyring: Keyring, write: Callable[[Catalog, Record], None], fate: str
) -> None:
    """The writer stops before one of its operations, goes on or crashes before one of the snapshot's."""
    start, record = begin(keyring)
    points = 0
    for before_stop in itertools.count():
        for before_rest in itertools.count():
            world = World(keyring, MemoryStore(dict(start.store.objects)), [*start.truths])
            writer = Actor(lambda actor, world=world: write(world.catalog(actor), record))  # type: ignore[misc]
            for _ in range(before_stop):
                writer.step("go")
            renewal = Actor(lambda actor, world=world: world.catalog(actor).renew_heads())  # type: ignore[misc]
            for _ in range(before_rest):
                renewal.step("go")
            was_last, was_last_point = writer.has_ended, renewal.has_ended
            writer.step(fate)
            finish(writer, renewal)
            compare_at_end(world)
            points += 1
            if was_last_point:
                break
        if was_last:
            break
    assert points > 80


def play(world: World, first: Record, turns: list[tuple[int, int, str]]) -> None:
    """Three writers, two who write snapshots, and a reader, in the order of the turns; then each does its rest."""

    def publish_both(actor: Actor) -> None:
        for image in (WEB, DB):
            with suppress(ConflictError):
                publish(world.catalog(actor), image, "one")

    def publish_web(actor: Actor) -> None:
        with suppress(ConflictError):
            publish(world.catalog(actor), WEB, "two")

    def renew(actor: Actor) -> None:
        for _ in range(2):
            world.catalog(actor).renew_heads()

    def read(actor: Actor) -> None:
        for _ in range(4):
            world.compare(world.catalog(actor))

    works = (publish_both, publish_web, lambda actor: revoke(world.catalog(actor), first), renew, renew, read)
    actors = [Actor(work) for work in works]
    for number, count, fate in turns:
        for _ in range(count - 1):
            actors[number].step("go")
        actors[number].step(fate)
    finish(*actors)


@pytest.mark.usefixtures("in_turn")
def test_no_order_and_no_crash_makes_heads_differ_from_the_records(keyring: Keyring) -> None:
    answers = 0

    @settings(max_examples=60)
    @given(TURNS)
    def check(turns: list[tuple[int, int, str]]) -> None:
        nonlocal answers
        world, first = begin(keyring)
        play(world, first, turns)
        compare_at_end(world)
        answers += world.answers

    check()
    assert answers > 60  # heads answered, and not only the records
