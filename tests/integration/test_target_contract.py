"""The contract of targets, the same for every cloud: rerun, killed, refused, damaged, promoted, retired.

Each test loops over the writing calls of an operation, each kind of call once, as the wire sees them: it covers a new
one by itself.
The first publication into an empty cloud, which makes more, has tests beside each target.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import get_args

import pytest
import stamina

from bakery.clouds.target import Target
from bakery.host.errors import BakeryError, NotFoundError
from bakery.host.events import silent
from bakery.model import tags
from bakery.model.documents import Availability, Publication
from integration.contract_benches import Bench, open_bench
from integration.wire import Cut, Killed

pytestmark = [
    pytest.mark.integration,
    # A killed run leaves threads that find the wire dead.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]

CLOUDS = ("local", "vsphere", "azure", "aws")
KILLS: tuple[Cut, ...] = ("killed before", "killed after")
# Each follows on the one before; "available" again from each that can go back.
LIFE: tuple[Availability, ...] = (
    "deprecated",
    "available",
    "deprecated",
    "disabled",
    "available",
    "disabled",
    "removed",
)

STEPS = [("available", "disabled"), ("disabled", "available"), ("disabled", "removed")]
VARYING = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\?.*comp=.*|[0-9]+")  # IDs, numbers, pages of blobs


@pytest.fixture(scope="module")
def benches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Bench]]:
    """Benches by cloud, each opened by the first test that needs it."""
    opened: dict[str, Bench] = {}
    with ExitStack() as stack:

        def find_bench(cloud: str) -> Bench:
            if cloud not in opened:
                opened[cloud] = stack.enter_context(open_bench(cloud, tmp_path_factory.mktemp(cloud)))
            return opened[cloud]

        yield find_bench


@pytest.fixture
def bench(
    request: pytest.FixtureRequest, benches: Callable[[str], Bench], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bench]:
    """The cloud of a test, with one version that channels point at, and waits fifty times as fast as in life."""
    bench = benches(request.param)
    nap = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: nap(seconds / 50))
    bench.tap(monkeypatch)
    with stamina.set_testing(True, attempts=10, cap=True):
        yield bench


each_cloud = pytest.mark.parametrize("bench", CLOUDS, indirect=True)
each_retiring_cloud = pytest.mark.parametrize("bench", CLOUDS, indirect=True)


def _same(first: Publication, second: Publication) -> bool:
    return replace(first, seconds={}) == replace(second, seconds={})


def _statuses(target: Target, publication: Publication) -> set[str]:
    return {finding.status for finding in target.inspect(publication)}


def _assert_whole(bench: Bench, publication: Publication) -> None:
    """Every image is there, once."""
    assert _statuses(bench.target, publication) == {"correct"}
    assert bench.count_images(publication) == len({location.id for location in publication.locations})


def _number_calls(bench: Bench, operation: Callable[[], object]) -> list[int]:
    """The number of the first writing call of each kind in an operation."""
    with bench.wire.watch() as changes:
        operation()
    assert changes, "the wire saw no call"
    kinds = [VARYING.sub("", call) for call in bench.wire.calls]
    return [number for number, kind in enumerate(kinds) if kind not in kinds[:number]]


@each_cloud
def test_a_second_publication_changes_nothing(bench: Bench) -> None:
    artifact = bench.new_artifact()
    first = bench.publish(artifact)
    with bench.wire.watch() as changes:
        assert _same(bench.publish(artifact), first)
    assert changes == []
    _assert_whole(bench, first)


@each_cloud
def test_a_publication_survives_a_kill_at_any_call(bench: Bench) -> None:
    bench.publish()
    for number in _number_calls(bench, bench.publish):
        for cut in KILLS:
            artifact = bench.new_artifact()
            with bench.wire.cut(number, cut), pytest.raises(Killed):
                bench.publish(artifact)
            bench.let_time_pass()
            publication = bench.publish(artifact)
            _assert_whole(bench, publication)


@each_cloud
def test_a_publication_survives_the_loss_of_any_answer(bench: Bench) -> None:
    """The run may fail, with an error; the next one makes nothing twice."""
    if not bench.can_lose_answers:
        return
    bench.publish()
    for number in _number_calls(bench, bench.publish):
        artifact = bench.new_artifact()
        with bench.wire.cut(number, "lost"):
            _try(partial(bench.publish, artifact))
        bench.let_time_pass()
        _assert_whole(bench, bench.publish(artifact))


@each_cloud
def test_a_denied_call_is_one_error_and_changes_nothing_else(bench: Bench) -> None:
    other = bench.publish()
    locations = bench.target.wanted_locations()
    bench.target.point(other, "stable", locations, silent)
    for number in _number_calls(bench, bench.publish):
        artifact = bench.new_artifact()
        with bench.wire.cut(number, "denied"):
            error = _try(partial(bench.publish, artifact))
        assert error is None or error.message, number
        _assert_whole(bench, other)
        _assert_points(bench, other, "stable")
        bench.let_time_pass()
        _assert_whole(bench, bench.publish(artifact))


@each_cloud
def test_pointers_are_moved_and_removed(bench: Bench) -> None:
    first, second = bench.publish(), bench.publish()
    target, locations = bench.target, bench.target.wanted_locations()
    for publication in (first, second, second, first):
        pointers = target.point(publication, "beta", locations, silent)
        assert {location: pointer.value for location, pointer in pointers.items()} == target.channel_values(publication)
        _assert_points(bench, publication, "beta")
    others = {location: [value] for location, value in target.channel_values(second).items()}
    target.unpoint(first, "beta", others)
    _assert_points(bench, first, "beta")
    own = {location: [value] for location, value in target.channel_values(first).items()}
    for _ in range(2):
        target.unpoint(first, "beta", own)
        assert target.read_channel(first, "beta", locations) == {}


@each_cloud
def test_a_move_of_pointers_survives_any_cut(bench: Bench) -> None:
    first, second = bench.publish(), bench.publish()
    target, locations = bench.target, bench.target.wanted_locations()

    def point(publication: Publication) -> None:
        target.point(publication, "edge", locations, silent)

    point(first)
    for number in _number_calls(bench, lambda: point(second)):
        for cut in _cuts(bench):
            point(first)
            with bench.wire.cut(number, cut):
                _try(lambda: point(second))
            read = {
                location: pointer.value for location, pointer in target.read_channel(first, "edge", locations).items()
            }
            for location, value in read.items():
                assert value in (target.channel_values(first)[location], target.channel_values(second)[location])
            point(second)
            _assert_points(bench, second, "edge")
            _assert_whole(bench, first)


@each_cloud
def test_each_damage_is_seen_and_repaired(bench: Bench) -> None:
    for name, damage in bench.damages().items():
        publication = bench.publish()
        damage(publication)
        assert _statuses(bench.target, publication) & {"incorrect", "missing"}, name
        for _ in range(2):
            publication = bench.target.distribute(publication, tags.of_publication(publication), silent)
        _assert_whole(bench, publication)


@each_cloud
def test_a_lost_version_is_seen_and_cannot_be_distributed(bench: Bench) -> None:
    for name, lose in bench.losses().items():
        artifact = bench.new_artifact()
        publication = bench.publish(artifact)
        lose(publication)
        assert "missing" in _statuses(bench.target, publication), name
        with pytest.raises(NotFoundError, match=r"no |is gone") as caught:
            bench.target.distribute(publication, tags.of_publication(publication), silent)
        assert "bakery run --rebuild web" in caught.value.hint
        _assert_whole(bench, bench.publish(artifact))


@each_cloud
def test_a_withdrawal_leaves_the_other_locations(bench: Bench) -> None:
    publication = bench.publish()
    *rest, last = publication.locations
    if not rest:
        return
    for _ in range(2):
        bench.target.withdraw(publication, [last], silent)
    assert _statuses(bench.target, replace(publication, locations=tuple(rest))) == {"correct"}


@each_retiring_cloud
def test_the_life_of_a_version(bench: Bench) -> None:
    """Each step twice: the second changes nothing. Nobody else's version changes."""
    publication, other = bench.publish(), bench.publish()
    for availability in LIFE:
        bench.target.set_availability(publication, availability, silent)
        with bench.wire.watch() as changes:
            bench.target.set_availability(publication, availability, silent)
        assert changes == [], availability
        _assert_available(bench, _share_again(bench, publication, availability), availability)
    _assert_whole(bench, other)
    with pytest.raises(NotFoundError, match=r"no |is gone"):
        bench.target.set_availability(publication, "available", silent)


@each_retiring_cloud
@pytest.mark.parametrize(("before", "after"), STEPS)
def test_each_step_of_a_life_survives_any_cut(bench: Bench, before: Availability, after: Availability) -> None:
    def prepare() -> Publication:
        publication = bench.publish()
        bench.target.set_availability(publication, before, silent)
        return publication

    for number in _number_calls(bench, partial(bench.target.set_availability, prepare(), after, silent)):
        for cut in _cuts(bench):
            publication = prepare()
            with bench.wire.cut(number, cut):
                _try(partial(bench.target.set_availability, publication, after, silent))
            bench.target.set_availability(publication, after, silent)
            _assert_available(bench, _share_again(bench, publication, after), after)


@each_retiring_cloud
def test_nobody_uses_a_new_version(bench: Bench) -> None:
    assert bench.target.find_uses(bench.publish()) == []


def _share_again(bench: Bench, publication: Publication, availability: Availability) -> Publication:
    """Bring back what disabling took away, as the caller of `set_availability` does."""
    if availability != "available":
        return publication
    return bench.target.distribute(publication, tags.of_publication(publication), silent)


def _assert_available(bench: Bench, publication: Publication, availability: Availability) -> None:
    """It is as it should be, and not as an availability that means another one."""
    statuses = {
        value: {finding.status for finding in bench.target.inspect(publication, value)}
        for value in get_args(Availability)
    }
    assert statuses[availability] == {"correct"}, availability
    assert (statuses["removed"] == {"correct"}) == (availability == "removed")
    if availability == "disabled":
        assert statuses["available"] != {"correct"}


def _assert_points(bench: Bench, publication: Publication, channel: str) -> None:
    target = bench.target
    pointers = target.read_channel(publication, channel, target.wanted_locations())
    assert {location: pointer.value for location, pointer in pointers.items()} == target.channel_values(publication)


def _cuts(bench: Bench) -> tuple[Cut, ...]:
    return tuple(cut for cut in get_args(Cut) if bench.can_lose_answers or cut != "lost")


def _try(operation: Callable[[], object]) -> BakeryError | None:
    """Do it; the error of the bakery if there is one. Only these two ends and a kill are allowed."""
    try:
        operation()
    except BakeryError as error:
        return error
    except Killed:
        return None
    return None
