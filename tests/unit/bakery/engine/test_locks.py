"""Locks are made from what dated archives have, hold an image back, and are compared with what was baked."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import pytest

from bakery.engine import locks
from bakery.host.errors import BakeryError, OutageError
from bakery.model.observations import Update, Upgrade
from bakery.refresh import Archives
from unit.bakery.cli.cli_runner import CliRunner

DEBIAN = "http://deb.debian.org/debian"
DATED = {DEBIAN: "http://snapshot.example/1/debian", "http://own": "http://own"}
RECIPE = Path(__file__).parents[4] / "packer" / "base" / "debian" / "recipe.toml"
OPENSSL = Update("openssl", "3.0.17", "3.0.18", "bookworm-security", True)
Observe = Callable[[bytes, Archives, datetime], tuple[dict[str, str], Upgrade]]


@pytest.fixture
def baked(bakery: CliRunner) -> CliRunner:
    """The image `web`, which is pinned from now on, with known packages."""
    bakery.packages = {"web": {"dpkg": "1", "openssl": "3.0.17", "nginx": "1.22", "old": "1"}}
    bakery.line()
    bakery.edit("web", "channel: stable\n", "channel: stable\npackage_versions: pinned\n")
    return bakery


def answer(monkeypatch: pytest.MonkeyPatch, upgrade: Upgrade, archives: Mapping[str, str] = DATED) -> None:
    """Answer for the dated archives."""
    monkeypatch.setattr(locks, "observe_dated", lambda *_: (dict(archives), upgrade))


def read_lock(bakery: CliRunner) -> dict[str, dict[str, str]]:
    document: dict[str, dict[str, str]] = json.loads((bakery.project.definitions / "web.lock.json").read_text())
    return document


def test_an_update_writes_the_upgrade(baked: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, Upgrade())
    first = baked("update", "web")
    assert first.out.splitlines()[:2] == [
        "web: wrote packer/images/web.lock.json (4 packages)",
        "web: http://own has no dated archive, so its lock has only versions",
    ]
    added = Update("libnew", "", "1", "bookworm", False)
    answer(monkeypatch, Upgrade((OPENSSL,), (added,), ("old",)))
    second = baked("update", "web")
    assert second.out.splitlines()[:6] == [
        "PACKAGE  BEFORE  AFTER",
        "libnew   -       1",
        "old      1       -",
        "openssl  3.0.17  3.0.18",
        "web: wrote packer/images/web.lock.json (4 packages)",
        "web: http://own has no dated archive, so its lock has only versions",
    ]
    assert read_lock(baked) == {
        "archives": DATED,
        "packages": {"dpkg": "1", "libnew": "1", "nginx": "1.22", "openssl": "3.0.18"},
        "schema": "bakery/lock/1",
    }


def test_a_new_lock_is_the_reason_of_a_bake(baked: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, Upgrade())
    baked("update", "web")
    baked.line("web")
    answer(monkeypatch, Upgrade((OPENSSL,)))
    result = baked("update", "web")
    row = next(line for line in result.out.splitlines() if line.startswith("web  "))
    assert " ".join(row.split()) == "web bake 1.0.1 -> 1.0.2 lock:openssl: 3.0.17 -> 3.0.18"


def test_an_update_without_changes_keeps_the_file(baked: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, Upgrade())
    baked("update", "web")
    answer(monkeypatch, Upgrade(), {address: dated.replace("/1/", "/2/") for address, dated in DATED.items()})
    result = baked("update", "--all")
    assert "web: packer/images/web.lock.json is up to date" in result.out
    assert read_lock(baked)["archives"] == DATED, "another date alone makes no image due"


def test_an_archive_that_is_dated_from_now_on_makes_a_new_lock(
    baked: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, Upgrade())
    baked("update", "web")
    dated = DATED | {"http://own": "http://own/20261129"}
    answer(monkeypatch, Upgrade(), dated)
    assert "has no dated archive" not in baked("update", "web").out
    assert read_lock(baked)["archives"] == dated


def test_a_damaged_lock_is_made_again_as_the_hint_says(baked: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, Upgrade())
    path = baked.project.definitions / "web.lock.json"
    path.write_text("<<<<<<< HEAD")
    for verb in ("plan", "update"):
        assert "it is damaged: remove it and run 'bakery update web'" in baked(verb, "web").err, verb
    path.unlink()
    assert baked("update", "web").code == 0


def test_the_kernel_that_a_new_one_replaces_goes(baked: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    baked.packages["web"] = {"dpkg": "1", "linux-image-6.1.0-1-amd64": "6.1.1", "linux-image-amd64": "6.1.1"}
    baked.edit("web", "hello", "again")
    baked.edit("web", "package_versions: pinned\n", "")
    baked.line()
    baked.edit("web", "channel: stable\n", "channel: stable\npackage_versions: pinned\n")
    meta = Update("linux-image-amd64", "6.1.1", "6.1.2", "bookworm-security", True)
    kernel = Update("linux-image-6.1.0-2-amd64", "", "6.1.2", "bookworm-security", True)
    answer(monkeypatch, Upgrade((meta,), (kernel,)))
    baked("update", "web")
    assert read_lock(baked)["packages"] == {
        "dpkg": "1",
        "linux-image-6.1.0-2-amd64": "6.1.2",
        "linux-image-amd64": "6.1.2",
    }


def test_an_image_that_was_never_baked_gets_its_archives(bakery: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    bakery.write(
        "packer/base/debian/recipe.toml", (Path(__file__).parents[4] / "packer/base/debian/recipe.toml").read_text()
    )
    monkeypatch.delenv("BAKERY_DATED_ARCHIVES", raising=False)
    bakery.edit("base", "targets: [local]\n", "targets: [local]\npackage_versions: pinned\n")
    result = bakery("update", "base")
    assert "run 'bakery run base', then 'bakery update base' again for the packages" in result.out
    lock = json.loads((bakery.project.definitions / "base.lock.json").read_text())
    assert list(lock["archives"]) == [DEBIAN, f"{DEBIAN}-security"]
    assert lock["packages"] == {}


def test_a_lock_is_not_emptied_by_another_catalog(baked: CliRunner, tmp_path: Path) -> None:
    lock_packages(baked, {"openssl": "3.0.17"})
    result = baked("update", "web", "--catalog", str(tmp_path / "other"))
    assert result.code == 1
    assert "web has no complete version in this catalog" in result.err
    assert read_lock(baked)["packages"] == {"openssl": "3.0.17"}


def test_an_archive_out_of_reach_changes_nothing(baked: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> tuple[dict[str, str], Upgrade]:
        raise OutageError("the archive cannot be reached")

    monkeypatch.setattr(locks, "observe_dated", fail)
    result = baked("update", "web")
    assert result.code == 75
    assert "the archive cannot be reached" in result.err
    assert not (baked.project.definitions / "web.lock.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        ((), "name images, or --all", "'bakery update --all' updates the lock of every image"),
        (("--all", "web"), "name images, or --all", "'bakery update --all' updates the lock of every image"),
        (("web", "jq", "curl"), "no image named 'jq'", "'bakery add web jq curl' adds packages"),
        (("wbe",), "no image named 'wbe'", "did you mean 'web'?"),
    ],
)
def test_a_wrong_call_is_explained(bakery: CliRunner, arguments: tuple[str, ...], message: str, hint: str) -> None:
    result = bakery("update", *arguments)
    assert (result.code, result.err) == (64, f"error: {message}\nhint: {hint}\n")


def test_an_image_that_tracks_needs_no_lock(bakery: CliRunner) -> None:
    result = bakery("update", "web")
    assert (result.code, result.out) == (0, "web: needs no lock, because its package_versions is track\n")


def test_an_image_without_its_lock_is_refused(baked: CliRunner) -> None:
    for verb in ("validate", "plan", "run"):
        result = baked(verb, "web")
        assert result.code == 64, verb
        assert "web has no lock, but package_versions is pinned" in result.err
        assert "run 'bakery update web'" in result.err


def lock_packages(bakery: CliRunner, packages: dict[str, str]) -> None:
    lock = {"archives": DATED, "packages": packages}
    (bakery.project.definitions / "web.lock.json").write_text(json.dumps(lock))


def test_a_disk_with_other_versions_is_refused(baked: CliRunner) -> None:
    lock_packages(baked, {"openssl": "3.0.18", "nginx": "1.22", "old": "1"})
    with pytest.raises(BakeryError, match=r"web 1\.0\.1 has 1 package in another version than its lock") as failure:
        baked.line("web")
    assert failure.value.detail == "openssl: the disk has 3.0.17, the lock 3.0.18"
    assert failure.value.where == "packer/images/web.lock.json"
    assert failure.value.hint == "run 'bakery update web' and look at the difference"
    assert baked("publish", "web").code != 0, "nor is it published"


def test_packages_that_the_lock_lacks_are_a_note(baked: CliRunner) -> None:
    lock_packages(baked, {"openssl": "3.0.17", "gone": "1"})
    baked.line("web")
    notes = [event.text for event in baked.events if event.stage == "contents" and event.kind == "note"]
    hint = "run 'bakery update web' and look at the difference"
    assert notes[0] == f"the lock lacks dpkg, nginx, old; the disk lacks gone: {hint}"


def test_a_note_does_not_name_hundreds(baked: CliRunner) -> None:
    baked.packages["web"] = {f"p{number:02}": "1" for number in range(12)} | {"dpkg": "1"}
    lock_packages(baked, {"dpkg": "1"})
    baked.line("web")
    notes = [event.text for event in baked.events if event.stage == "contents" and event.kind == "note"]
    assert notes[0].startswith("the lock lacks p00, p01, ")
    assert "p09 and 2 more: run" in notes[0]


def test_a_lock_of_the_dated_archives_alone_holds_no_version(baked: CliRunner) -> None:
    lock_packages(baked, {})
    assert [record.version for record in baked.line("web")] == ["1.0.1"]


def test_the_lock_is_that_of_the_bake(baked: CliRunner) -> None:
    lock_packages(baked, {"openssl": "3.0.17"})
    baked("bake", "web")
    lock_packages(baked, {"openssl": "9"})
    assert baked("verify", "web").code == 0
    assert baked("publish", "web").code == 0, "an edit after the bake is for the next version"


def test_a_comparison_names_each_package_once(baked: CliRunner) -> None:
    lock_packages(baked, {"openssl": "3.0.18", "nginx": "1.22", "old": "1", "dpkg": "1"})
    baked.packages["web"]["openssl"] = "3.0.18"
    baked.line("web")
    result = baked("compare", "web@1.0.0", "web@1.0.1")
    assert "openssl:amd64  3.0.17  3.0.18" in result.out
    assert [line for line in result.out.splitlines() if line.startswith("input ")] == [
        "input archive:http://deb.debian.org/debian added",
        "input archive:http://own added",
    ]
