"""Channels move at all targets or at none, and the catalog has the last word."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bakery.catalog import Catalog, ChannelEntry, Record, open_store
from bakery.clouds.target import Finding
from bakery.engine import channels
from bakery.host.errors import BakeryError, ConflictError, NotFoundError, UsageError
from bakery.host.events import Reporter, silent
from bakery.model.documents import Pointer, Publication
from bakery.signing import Keyring


class FakeTarget:
    """Points a dict's keys at versions; fails at the versions in `broken`."""

    def __init__(self) -> None:
        self.pointers: dict[str, str] = {}
        self.findings: list[Finding] = []
        self.broken: set[str] = set()
        self.moves: list[str] = []

    def inspect(self, publication: Publication) -> list[Finding]:
        return self.findings

    def point(self, publication: Publication, channel: str, report: Reporter) -> tuple[Pointer, ...]:
        if publication.version in self.broken:
            raise BakeryError(f"cannot point at {publication.version}")
        if self.pointers.get(channel) != publication.version:
            self.moves.append(publication.version)
        self.pointers[channel] = publication.version
        return (Pointer("1", publication.target, channel, 0, publication.version),)

    def unpoint(self, publication: Publication, channel: str) -> None:
        del self.pointers[channel]
        self.moves.append("")


Targets = dict[str, Any]


@pytest.fixture
def targets() -> Targets:
    return {"local": FakeTarget(), "aws": FakeTarget()}


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
            Publication("web", "x86_64", reserved.version, "0" * 64, name, ()) for name in ("local", "aws")
        )
        return catalog.revise(replace(reserved, state="complete", publications=publications))

    return make


def _promote(catalog: Catalog, record: Record, targets: Targets) -> ChannelEntry:
    return channels.promote(catalog, record, "stable", "", targets, silent)


def _rollback(catalog: Catalog, targets: Targets) -> ChannelEntry:
    return channels.rollback(catalog, "web", "x86_64", "stable", "", targets, silent)


def _pointers(targets: Targets) -> list[str | None]:
    return [target.pointers.get("stable") for target in targets.values()]


def test_promote(catalog: Catalog, complete: Complete, targets: Targets) -> None:
    entry = _promote(catalog, complete(), targets)
    assert entry == catalog.channel("web", "x86_64", "stable")
    assert [pointer.region for pointer in entry.pointers] == ["local", "aws"]
    assert _pointers(targets) == ["1.0.0", "1.0.0"]


def test_promote_again_is_nothing(catalog: Catalog, complete: Complete, targets: Targets) -> None:
    record = complete()
    assert _promote(catalog, record, targets) == _promote(catalog, record, targets)
    assert len(catalog.history("web", "x86_64", "stable")) == 1


def test_promote_again_repairs_pointers(catalog: Catalog, complete: Complete, targets: Targets) -> None:
    record = complete()
    _promote(catalog, record, targets)
    targets["aws"].pointers["stable"] = "moved by hand"
    _promote(catalog, record, targets)
    assert _pointers(targets) == ["1.0.0", "1.0.0"]


@pytest.mark.parametrize("channel", ["Stable", "../stable", "a", "1.0.0", ""])
def test_bad_names(catalog: Catalog, complete: Complete, targets: Targets, channel: str) -> None:
    with pytest.raises(UsageError, match="is not a channel name"):
        channels.promote(catalog, complete(), channel, "", targets, silent)


@pytest.mark.parametrize("state", ["reserved", "revoked", "retired"])
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
    with pytest.raises(BakeryError, match="1 of 2 checks failed") as caught:
        _promote(catalog, complete(), targets)
    assert caught.value.detail == "us: missing: no such image"
    assert _pointers(targets) == [None, None]


def test_first_step_fails_at_the_second_target(catalog: Catalog, complete: Complete, targets: Targets) -> None:
    targets["aws"].broken = {"1.0.0"}
    with pytest.raises(BakeryError, match="cannot point") as caught:
        _promote(catalog, complete(), targets)
    assert caught.value.detail == "local: restored to nothing"
    assert _pointers(targets) == [None, None]
    assert catalog.channel("web", "x86_64", "stable") is None


def test_later_step_fails_at_the_second_target(catalog: Catalog, complete: Complete, targets: Targets) -> None:
    _promote(catalog, complete(), targets)
    targets["aws"].broken = {"1.0.1"}
    with pytest.raises(BakeryError, match="cannot point") as caught:
        _promote(catalog, complete(), targets)
    assert caught.value.detail == "local: restored to 1.0.0"
    assert _pointers(targets) == ["1.0.0", "1.0.0"]
    assert targets["local"].moves == ["1.0.0", "1.0.1", "1.0.0"]


def test_what_cannot_be_put_back_is_said(catalog: Catalog, complete: Complete, targets: Targets) -> None:
    _promote(catalog, complete(), targets)
    targets["aws"].broken = {"1.0.1"}
    targets["local"].broken = {"1.0.0"}
    with pytest.raises(BakeryError) as caught:
        _promote(catalog, complete(), targets)
    assert caught.value.detail == "local: NOT restored: cannot point at 1.0.0: "


def test_an_interrupt_puts_back(catalog: Catalog, complete: Complete, targets: Targets) -> None:
    _promote(catalog, complete(), targets)
    targets["aws"].point = _interrupt
    with pytest.raises(KeyboardInterrupt):
        _promote(catalog, complete(), targets)
    assert _pointers(targets) == ["1.0.0", "1.0.0"]


def _interrupt(*_: object) -> tuple[Pointer, ...]:
    raise KeyboardInterrupt


def test_a_lost_race(catalog: Catalog, complete: Complete, targets: Targets, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes second leaves the pointers where the winner's entry says."""
    _promote(catalog, complete(), targets)
    ours, theirs = complete(), complete()
    move = catalog.move

    def beaten(record: Record, channel: str, reason: str, before: ChannelEntry | None, pointers: Any) -> ChannelEntry:
        move(theirs, channel, "theirs", before, ())
        return move(record, channel, reason, before, pointers)

    monkeypatch.setattr(catalog, "move", beaten)
    with pytest.raises(ConflictError, match="moved by another run") as caught:
        _promote(catalog, ours, targets)
    assert caught.value.detail == "local: restored to 1.0.2\naws: restored to 1.0.2"
    assert _pointers(targets) == ["1.0.2", "1.0.2"]


def test_a_lost_answer(catalog: Catalog, complete: Complete, targets: Targets, monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry was written, its repetition was refused: that is a success."""
    move = catalog.move

    def twice(*arguments: Any) -> ChannelEntry:
        move(*arguments)
        return move(*arguments)

    monkeypatch.setattr(catalog, "move", twice)
    assert _promote(catalog, complete(), targets).version == "1.0.0"
    assert _pointers(targets) == ["1.0.0", "1.0.0"]


def test_a_catalog_that_went_away(
    catalog: Catalog, complete: Complete, targets: Targets, monkeypatch: pytest.MonkeyPatch
) -> None:
    _promote(catalog, complete(), targets)
    record, before = complete(), catalog.channel("web", "x86_64", "stable")

    def gone(*_: object) -> ChannelEntry:
        monkeypatch.setattr(catalog, "channel", gone)
        raise BakeryError("the catalog cannot be reached")

    monkeypatch.setattr(catalog, "move", gone)
    with pytest.raises(BakeryError, match="cannot be reached"):
        _promote(catalog, record, targets)
    assert before
    assert _pointers(targets) == [before.version, before.version]


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
    with pytest.raises(BakeryError, match="never pointed at another version"):
        _rollback(catalog, targets)
