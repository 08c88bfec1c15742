"""Channels move at all targets or at none, and the catalog has the last word."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bakery.catalog import Catalog, ChannelEntry, Record, open_store
from bakery.catalog.store import FolderStore
from bakery.clouds.target import Finding
from bakery.engine import channels
from bakery.host.errors import BakeryError, ConflictError, NotFoundError, UsageError
from bakery.model.documents import ImageLocation, Location, Publication
from bakery.model.version import ImageVersion
from bakery.signing import Keyring
from doubles.channels import DictTarget, open_channel

HERE = Location("1", "eu")


Targets = dict[str, Any]


@pytest.fixture
def targets() -> Targets:
    return {"local": DictTarget([HERE]), "aws": DictTarget([HERE])}


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(open_store(str(tmp_path / "catalog")), Keyring(tmp_path / "keys", {}))


Complete = Callable[[], Record]


@pytest.fixture
def complete(catalog: Catalog) -> Complete:
    """Makes the next version, complete at both targets."""

    def make() -> Record:
        reserved = catalog.reserve(
            "web", "x86_64", "1.0", str(len(catalog.versions("web", "x86_64"))), {}, "builder", "bake-private"
        )
        publications = tuple(
            Publication("web", "x86_64", reserved.version, "0" * 64, name, (ImageLocation(*HERE, reserved.version),))
            for name in ("local", "aws")
        )
        return catalog.revise(replace(reserved, state="complete", publications=publications))

    return make


def _promote(catalog: Catalog, record: Record, targets: Targets) -> ChannelEntry:
    return channels.promote(open_channel(catalog, targets), record, "", is_new=True)


def _rollback(catalog: Catalog, targets: Targets) -> ChannelEntry:
    return channels.rollback(open_channel(catalog, targets), "")


def _pointers(targets: Targets) -> list[str | None]:
    return [target.pointers.get(("stable", HERE)) for target in targets.values()]


def test_promote(catalog: Catalog, complete: Complete, targets: Targets) -> None:
    entry = _promote(catalog, complete(), targets)
    assert entry == catalog.channel("web", "x86_64", "stable")
    assert [pointer.value for pointer in entry.pointers] == ["1.0.0", "1.0.0"]
    assert _pointers(targets) == ["1.0.0", "1.0.0"]


def test_promote_again_is_nothing(catalog: Catalog, complete: Complete, targets: Targets) -> None:
    record = complete()
    assert _promote(catalog, record, targets) == _promote(catalog, record, targets)
    assert len(catalog.history("web", "x86_64", "stable")) == 1


@pytest.mark.parametrize("channel", ["Stable", "../stable", "a", "1.0.0", ""])
def test_bad_names(channel: str) -> None:
    with pytest.raises(UsageError, match="is not a channel name"):
        channels.require_name(channel)


@pytest.mark.parametrize("state", ["reserved", "revoked", "deprecated", "disabled", "removed"])
def test_only_complete_versions(catalog: Catalog, complete: Complete, targets: Targets, state: Any) -> None:
    record = catalog.revise(replace(complete(), state=state), "leaks")
    with pytest.raises(BakeryError, match=f"is {state}: only a complete version"):
        _promote(catalog, record, targets)
    assert _pointers(targets) == [None, None]


def test_only_what_is_published_at_every_target(catalog: Catalog, complete: Complete, targets: Targets) -> None:
    record = complete()
    with pytest.raises(BakeryError, match="was never published at aws"):
        _promote(catalog, replace(record, publications=record.publications[:1]), targets)
    assert _pointers(targets) == [None, None]


def test_only_what_can_be_used(catalog: Catalog, complete: Complete, targets: Targets) -> None:
    targets["aws"].findings = [Finding("eu", "correct"), Finding("us", "missing", "no such image")]
    with pytest.raises(BakeryError, match="cannot be used everywhere: 1 check failed") as caught:
        _promote(catalog, complete(), targets)
    assert caught.value.detail == "us: missing: no such image"
    assert _pointers(targets) == [None, None]


def test_first_step_fails_at_the_second_target(catalog: Catalog, complete: Complete, targets: Targets) -> None:
    targets["aws"].refusing = {HERE}
    with pytest.raises(BakeryError, match="cannot write in eu") as caught:
        _promote(catalog, complete(), targets)
    assert caught.value.detail == "local: restored to nothing\naws: restored to nothing"
    assert _pointers(targets) == [None, None]
    assert catalog.channel("web", "x86_64", "stable") is None
    assert catalog.channels("web", "x86_64") == []


def test_later_step_fails_at_the_second_target(catalog: Catalog, complete: Complete, targets: Targets) -> None:
    _promote(catalog, complete(), targets)
    targets["aws"].refusing = {HERE}
    with pytest.raises(BakeryError, match="cannot write in eu") as caught:
        _promote(catalog, complete(), targets)
    assert caught.value.detail == "local: restored to 1.0.0\naws: restored to 1.0.0"
    assert _pointers(targets) == ["1.0.0", "1.0.0"]
    assert targets["local"].writes == [(HERE, "1.0.0"), (HERE, "1.0.1"), (HERE, "1.0.0")]


def test_what_cannot_be_put_back_is_said(catalog: Catalog, complete: Complete, targets: Targets) -> None:
    """The next run puts it back."""
    _promote(catalog, complete(), targets)
    record = complete()
    targets["aws"].refusing = {HERE}
    point = targets["local"].point

    def refuse_old(publication: Publication, *arguments: Any) -> Any:
        if publication.version == "1.0.0":
            raise BakeryError("cannot point at 1.0.0")
        return point(publication, *arguments)

    targets["local"].point = refuse_old
    with pytest.raises(BakeryError) as caught:
        _promote(catalog, record, targets)
    assert "local: NOT restored to 1.0.0: cannot point at 1.0.0" in caught.value.detail
    targets["local"].point, targets["aws"].refusing = point, set()
    _rollback_or_nothing(catalog, targets)
    assert len(set(_pointers(targets))) == 1


def _rollback_or_nothing(catalog: Catalog, targets: Targets) -> None:
    """Roll back; the first version of a channel has none before it."""
    with suppress(BakeryError):
        _rollback(catalog, targets)


def test_an_interrupt_puts_back(catalog: Catalog, complete: Complete, targets: Targets) -> None:
    _promote(catalog, complete(), targets)
    record, point = complete(), targets["aws"].point

    def interrupt(publication: Publication, *arguments: Any) -> Any:
        if publication.version == "1.0.1":
            raise KeyboardInterrupt
        return point(publication, *arguments)

    targets["aws"].point = interrupt
    with pytest.raises(KeyboardInterrupt):
        _promote(catalog, record, targets)
    assert _pointers(targets) == ["1.0.0", "1.0.0"]


def test_a_lost_race(catalog: Catalog, complete: Complete, targets: Targets, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes second leaves the pointers where the winner's entry says."""
    _promote(catalog, complete(), targets)
    ours, theirs = complete(), complete()
    move = catalog.move

    def beaten(record: Record, channel: str, reason: str, before: ChannelEntry | None, *rest: Any, **more: Any) -> Any:
        move(theirs, channel, "theirs", before, ())
        return move(record, channel, reason, before, *rest, **more)

    monkeypatch.setattr(catalog, "move", beaten)
    with pytest.raises(ConflictError, match="moved by another run") as caught:
        _promote(catalog, ours, targets)
    assert caught.value.detail == "local: restored to 1.0.2\naws: restored to 1.0.2"
    assert _pointers(targets) == ["1.0.2", "1.0.2"]


def test_a_lost_answer(catalog: Catalog, complete: Complete, targets: Targets, monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry was written, and its repetition refused: that is a success."""
    create = FolderStore.create

    def create_twice(store: FolderStore, key: str, data: bytes) -> bool:
        create(store, key, data)
        return create(store, key, data)

    monkeypatch.setattr(FolderStore, "create", create_twice)
    assert _promote(catalog, complete(), targets).version == "1.0.0"
    assert _pointers(targets) == ["1.0.0", "1.0.0"]


def test_a_catalog_that_went_away(
    catalog: Catalog, complete: Complete, targets: Targets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the entry was written is unknown, so nothing is put back; the next run finishes the move."""
    _promote(catalog, complete(), targets)
    record = complete()

    def fail(*_: object, **__: object) -> ChannelEntry:
        raise BakeryError("the catalog cannot be reached")

    with monkeypatch.context() as patch:
        patch.setattr(catalog, "move", fail)
        patch.setattr(catalog, "end_move", fail)
        with pytest.raises(BakeryError, match="cannot be reached"):
            _promote(catalog, record, targets)
    assert _promote(catalog, record, targets).version == "1.0.1"
    assert _pointers(targets) == ["1.0.1", "1.0.1"]


def test_rollback(catalog: Catalog, complete: Complete, targets: Targets) -> None:
    for record in (complete(), complete()):
        _promote(catalog, record, targets)
    entry = _rollback(catalog, targets)
    assert (entry.version, entry.reason) == ("1.0.0", "rollback from 1.0.1")
    assert _pointers(targets) == ["1.0.0", "1.0.0"]


def test_rollback_passes_over_what_is_revoked(catalog: Catalog, complete: Complete, targets: Targets) -> None:
    records = [complete(), complete(), complete()]
    for record in records:
        _promote(catalog, record, targets)
    catalog.revise(replace(records[1], state="revoked"), "leaks")
    assert _rollback(catalog, targets).version == "1.0.0"


def test_rollback_without_a_past(catalog: Catalog, complete: Complete, targets: Targets) -> None:
    with pytest.raises(NotFoundError, match="web has no channel stable"):
        _rollback(catalog, targets)
    _promote(catalog, complete(), targets)
    with pytest.raises(BakeryError, match=r"never pointed at a version before 1\.0\.0"):
        _rollback(catalog, targets)


def test_rollback_twice_goes_further_back(catalog: Catalog, complete: Complete, targets: Targets) -> None:
    """It never goes forward again: the version that was rolled back may be bad."""
    for record in (complete(), complete(), complete()):
        _promote(catalog, record, targets)
    assert [_rollback(catalog, targets).version for _ in range(2)] == ["1.0.1", "1.0.0"]
    with pytest.raises(BakeryError, match="never pointed at a version before"):
        _rollback(catalog, targets)


class TestHold:
    @pytest.fixture
    def rolled_back(self, catalog: Catalog, complete: Complete, targets: Targets) -> None:
        for record in (complete(), complete()):
            _promote(catalog, record, targets)
        assert _rollback(catalog, targets).held

    def _follow(self, catalog: Catalog, record: Record, targets: Targets) -> ChannelEntry:
        return channels.follow(open_channel(catalog, targets), record, "published")

    @pytest.mark.usefixtures("rolled_back")
    def test_no_run_moves_it(self, catalog: Catalog, complete: Complete, targets: Targets) -> None:
        entry = self._follow(catalog, complete(), targets)
        assert (entry.version, entry.held) == ("1.0.0", True)
        assert _pointers(targets) == ["1.0.0", "1.0.0"]

    @pytest.mark.usefixtures("rolled_back")
    def test_a_release_ends_it(self, catalog: Catalog, complete: Complete, targets: Targets) -> None:
        entry = channels.release(open_channel(catalog, targets), "fixed")
        assert (entry.version, entry.held, entry.reason) == ("1.0.0", False, "fixed")
        assert channels.release(open_channel(catalog, targets), "again") == entry
        assert self._follow(catalog, complete(), targets).version == "1.0.2"

    @pytest.mark.usefixtures("rolled_back")
    def test_a_promotion_of_the_newest_ends_it(self, catalog: Catalog, complete: Complete, targets: Targets) -> None:
        newest = complete()
        assert _promote(catalog, catalog.record(ImageVersion("web", "x86_64", "1.0.1")), targets).held
        assert not _promote(catalog, newest, targets).held


def test_a_run_moves_a_channel_forward_only(catalog: Catalog, complete: Complete, targets: Targets) -> None:
    older, newer = complete(), complete()
    entry = _promote(catalog, newer, targets)
    assert channels.follow(open_channel(catalog, targets), older, "published") == entry
    assert _pointers(targets) == ["1.0.1", "1.0.1"]


def test_a_mistyped_channel(catalog: Catalog, complete: Complete, targets: Targets) -> None:
    record = complete()
    _promote(catalog, record, targets)
    with pytest.raises(UsageError, match="web has no channel stabel") as caught:
        channels.promote(open_channel(catalog, targets, "stabel"), record, "")
    assert caught.value.hint == "did you mean 'stable'?; --new makes a new one"


def test_delete(catalog: Catalog, complete: Complete, targets: Targets) -> None:
    record = complete()
    _promote(catalog, record, targets)
    assert channels.delete(open_channel(catalog, targets), "unused").version == ""
    assert _pointers(targets) == [None, None]
    assert catalog.channels("web", "x86_64") == []
    catalog.change_state(record, "revoked", "no channel points at it")
    with pytest.raises(NotFoundError, match="has no channel stable"):
        channels.delete(open_channel(catalog, targets), "")
    assert _promote(catalog, complete(), targets).number == 2
