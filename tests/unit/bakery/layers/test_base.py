import hashlib
import os
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from bakery.host.errors import BakeryError, ConflictError
from bakery.host.events import Event, Reporter, silent
from bakery.host.process import ProcessError
from bakery.layers import archive_lists, base, debian
from bakery.layers.base import find_disk_size, prepare
from bakery.machine.disk_image import BaseDisk
from bakery.model.bases import Debootstrap, QemuBase
from bakery.model.documents import Base
from doubles.programs import Programs

CONTENT = b"a vendor's disk"
URL = "https://vendor.example/disk.img"
VENDOR = QemuBase(url=URL, sha256=hashlib.sha256(CONTENT).hexdigest())
DISK = 'size_mib = 16\nesp_serial = "1"\nroot_uuid = "u"\nhash_seed = "u"\n'
DEBIAN = QemuBase(debootstrap=Debootstrap(suite="bookworm"))
TRIXIE = QemuBase(debootstrap=Debootstrap(suite="trixie"))
QEMU_IMG = """
case "$1" in
info) cat "{info}" ;;
convert) eval "target=\\${{$#}}"; shift $(($# - 2)); cp "$1" "$target" ;;
esac
"""


CLOCK = 1_780_000_000


class FakeSources:
    """A cache, a recipe, and stand-ins for the network and for mmdebstrap that count how often they are used."""

    def __init__(self, folder: Path, programs: Programs) -> None:
        self.folder = folder
        self.programs = programs
        self.cache = folder / "cache"
        self.recipe = folder / "recipe"
        self.recipe.mkdir()
        (self.recipe / "recipe.toml").write_text("packages = []")
        self.info = folder / "info.json"
        self.info.write_text('{"format": "qcow2", "virtual-size": 15}')
        self.made = 0
        self.state = ("a", "b")
        self.packages: tuple[str, ...] = ("apt 2.6.1 amd64", "base-files 12.4 amd64")
        self.resolved = 0
        programs.shell("qemu-img", QEMU_IMG.format(info=self.info))

    def download(self, url: str, sha256: str, target: Path, report: Reporter) -> None:
        assert (url, sha256) == (URL, VENDOR.sha256)
        self.made += 1
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(CONTENT)

    def build(
        self,
        spec: Debootstrap,
        recipe: Path,
        target: Path,
        log: Path,
        report: Reporter,
        archives: Mapping[str, str],
        clock: int,
    ) -> None:
        assert clock == CLOCK
        self.made += 1
        target.write_text(f"{spec.suite} {self.made}")

    def read_state(self, spec: Debootstrap, recipe: Path, archives: Mapping[str, str]) -> tuple[str, ...]:
        return self.state

    def resolve(self, spec: Debootstrap, recipe: Path, archives: Mapping[str, str]) -> tuple[str, ...]:
        self.resolved += 1
        return self.packages

    def prepare(self, base: QemuBase, report: Reporter = silent) -> BaseDisk:
        return prepare(base, self.cache, self.recipe, report)

    def left(self) -> list[str]:
        """What is beside finished entries and their locks."""
        entries = (
            path for path in (self.cache / "bases").iterdir() if path.suffix not in (".lock", ".packages", ".last")
        )
        return sorted(path.name for path in entries if not (path / "base.json").exists())


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSources:
    found = FakeSources(tmp_path, Programs(tmp_path / "bin", monkeypatch))
    monkeypatch.setattr(base, "download", found.download)
    monkeypatch.setattr(debian, "build", found.build)
    monkeypatch.setattr(debian, "resolve", found.resolve)
    monkeypatch.setattr(archive_lists, "read_state", found.read_state)
    monkeypatch.setattr(archive_lists, "read_clock", lambda *_: CLOCK)
    return found


def test_a_vendors_image_is_fetched_once(bench: FakeSources) -> None:
    first, second = bench.prepare(VENDOR), bench.prepare(VENDOR)
    assert first == second
    assert first.base == Base(URL, "", VENDOR.sha256 or "")
    assert first.path.read_bytes() == CONTENT
    assert bench.made == 1
    assert bench.left() == []


def test_a_debian_is_built_once(bench: FakeSources) -> None:
    first, second = bench.prepare(DEBIAN), bench.prepare(DEBIAN)
    assert first == second
    assert first.base == Base("debian bookworm", "", hashlib.sha256(b"bookworm 1").hexdigest())


def test_a_debian_is_built_again_when_one_of_its_packages_changed(bench: FakeSources) -> None:
    first = bench.prepare(DEBIAN)
    bench.state, bench.packages = ("a", "c"), ("apt 2.6.2 amd64", "base-files 12.4 amd64")
    assert bench.prepare(DEBIAN).base != first.base
    assert bench.made == 2


def test_a_debian_stays_when_an_archive_changed_and_none_of_its_packages(bench: FakeSources) -> None:
    first = bench.prepare(DEBIAN)
    bench.state = ("a", "c")
    assert bench.prepare(DEBIAN) == bench.prepare(DEBIAN) == first
    assert (bench.made, bench.resolved) == (1, 2), "apt is asked once for each state of the archives"


def test_a_debian_that_apt_cannot_simulate_follows_its_archives(
    bench: FakeSources, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(spec: Debootstrap, recipe: Path, archives: object) -> tuple[str, ...]:
        raise ProcessError("mmdebstrap failed with exit code 25", 25, "E: apt-get failed")

    monkeypatch.setattr(debian, "resolve", fail)
    events: list[Event] = []
    first = bench.prepare(DEBIAN, events.append)
    assert bench.prepare(DEBIAN) == first
    (note,) = [event.text for event in events if event.kind == "note"]
    assert note.startswith("apt cannot simulate its installation, so each change of an archive makes it again: mmdeb")
    bench.state = ("a", "c")
    assert bench.prepare(DEBIAN).base != first.base


def test_an_older_debian_goes_when_no_bake_used_it_for_a_week(bench: FakeSources) -> None:
    vendor, *debians = bench.prepare(VENDOR), bench.prepare(DEBIAN), bench.prepare(TRIXIE)
    bench.state, bench.packages = ("a", "c"), ("apt 2.6.2 amd64",)
    for path in (bench.cache / "bases").iterdir():
        os.utime(path, (0, 0))
    new = bench.prepare(DEBIAN)
    left = {path.parent for path in (bench.cache / "bases").glob("*/base.json")}
    assert left == {disk.path.parent for disk in (vendor, debians[1], new)}
    assert len(list((bench.cache / "bases").glob("*.packages"))) == 1, "older answers of apt go as well"


def test_a_debian_that_is_used_stays(bench: FakeSources) -> None:
    old = bench.prepare(DEBIAN)
    os.utime(old.path.parent, (0, 0))
    bench.prepare(DEBIAN)
    bench.packages, bench.state = ("apt 2.6.2 amd64",), ("a", "c")
    bench.prepare(DEBIAN)
    assert old.path.exists()


@pytest.mark.parametrize("base", [VENDOR, DEBIAN])
@pytest.mark.parametrize("lost", ["base.json", "disk.qcow2"])
def test_an_entry_that_lost_a_file_is_made_again(bench: FakeSources, base: QemuBase, lost: str) -> None:
    entry = bench.prepare(base).path.parent
    (entry / lost).unlink()
    assert bench.prepare(base).path.exists()
    (entry / "base.json").write_bytes(b"{")
    assert bench.prepare(base) == bench.prepare(base)
    assert (bench.made, bench.left()) == (3, [])


@pytest.mark.parametrize("base", [VENDOR, DEBIAN])
def test_a_disk_that_changed_in_the_cache_is_made_again(bench: FakeSources, base: QemuBase) -> None:
    """Whoever writes to the workspace changes it, and leaves the document beside it as it was."""
    first = bench.prepare(base)
    first.path.chmod(0o644)
    first.path.write_bytes(b"evil")
    events: list[Event] = []
    second = bench.prepare(base, events.append)
    assert bench.made == 2
    assert (second.path.read_bytes(), second.sha256) != (b"evil", hashlib.sha256(b"evil").hexdigest())
    assert second.sha256 == hashlib.sha256(second.path.read_bytes()).hexdigest()
    (note,) = [event.text for event in events if event.kind == "note"]
    assert note.startswith("its disk in the cache changed, and is made again: ")
    assert first.sha256 in note and hashlib.sha256(b"evil").hexdigest() in note


def test_the_digest_of_a_converted_disk_is_kept(bench: FakeSources) -> None:
    """A base is known by its download, which no longer exists."""
    bench.info.write_text('{"format": "vmdk", "virtual-size": 15}')
    converting = QEMU_IMG.replace('cp "$1" "$target"', 'echo disk >"$target"')
    bench.programs.shell("qemu-img", converting.format(info=bench.info))
    disk = bench.prepare(VENDOR)
    assert disk.base.sha256 == VENDOR.sha256
    assert disk.sha256 == hashlib.sha256(b"disk\n").hexdigest()
    assert bench.prepare(VENDOR) == disk
    assert bench.made == 1


def test_nobody_writes_to_a_base(bench: FakeSources) -> None:
    assert bench.prepare(DEBIAN).path.stat().st_mode & 0o222 == 0


@pytest.mark.parametrize("changed", ["suite", "mirror", "content", "mode", "new file"])
def test_whatever_changes_a_debian_makes_another(bench: FakeSources, changed: str) -> None:
    bench.prepare(DEBIAN)
    suite = "trixie" if changed == "suite" else "bookworm"
    mirror = {"mirror": "http://mirror.example/debian"} if changed == "mirror" else {}
    file = bench.recipe / "recipe.toml"
    if changed == "content":
        file.write_text("packages = ['jq']")
    elif changed == "mode":
        file.chmod(0o755)
    elif changed == "new file":
        (bench.recipe / "rootfs").mkdir()
        (bench.recipe / "rootfs" / "hosts").touch()
    bench.prepare(QemuBase(debootstrap=Debootstrap(suite=suite, **mirror)))
    assert bench.made == 2


def test_the_recipe_says_nothing_about_a_vendors_image(bench: FakeSources) -> None:
    bench.prepare(VENDOR)
    (bench.recipe / "recipe.toml").write_text("packages = ['jq']")
    bench.prepare(VENDOR)
    assert bench.made == 1


def test_an_image_that_points_at_files_of_the_host_is_refused(bench: FakeSources) -> None:
    bench.info.write_text('{"format": "qcow2", "virtual-size": 15, "backing-filename": "/etc/shadow"}')
    with pytest.raises(BakeryError, match="has a backing file") as failure:
        bench.prepare(VENDOR)
    assert failure.value.detail == "/etc/shadow"
    assert bench.left() == []


def test_a_failed_build_leaves_nothing(bench: FakeSources, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(spec: Debootstrap, recipe: Path, target: Path, log: Path, report: Reporter, *_: object) -> None:
        target.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(debian, "build", fail)
    with pytest.raises(KeyboardInterrupt):
        bench.prepare(DEBIAN)
    assert bench.left() == []
    monkeypatch.setattr(debian, "build", bench.build)
    assert bench.prepare(DEBIAN).path.read_text() == "bookworm 1"


def test_two_that_want_the_same_base_make_it_once(bench: FakeSources, monkeypatch: pytest.MonkeyPatch) -> None:
    building, waiting = threading.Event(), threading.Event()

    def build(spec: Debootstrap, recipe: Path, target: Path, log: Path, report: Reporter, *_: object) -> None:
        building.set()
        assert waiting.wait(10)
        bench.build(spec, recipe, target, log, report, {}, CLOCK)

    def told(event: Event) -> None:
        if "waiting" in event.text:
            waiting.set()

    monkeypatch.setattr(debian, "build", build)
    found: list[BaseDisk] = []
    first = threading.Thread(target=lambda: found.append(bench.prepare(DEBIAN)))
    first.start()
    assert building.wait(10)
    found.append(bench.prepare(DEBIAN, told))
    first.join()
    assert found[0] == found[1]
    assert bench.made == 1


def test_the_wait_for_another_run_ends(bench: FakeSources, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "WAIT_SECONDS", 0.05)

    def build(spec: Debootstrap, recipe: Path, target: Path, log: Path, report: Reporter, *_: object) -> None:
        with pytest.raises(ConflictError, match="debian bookworm"):
            bench.prepare(DEBIAN)
        bench.build(spec, recipe, target, log, report, {}, CLOCK)

    monkeypatch.setattr(debian, "build", build)
    bench.prepare(DEBIAN)


DATED = {"http://deb.debian.org/debian": "http://snapshot.example/1/debian"}


def prepare_locked(bench: FakeSources, archives: Mapping[str, str], offline: bool = False) -> BaseDisk:
    sources = ["deb [signed-by=/key] {mirror} {suite} main"]
    (bench.recipe / "recipe.toml").write_text(f"sources = {sources}\npackages = []\n[disk]\n{DISK}")
    return prepare(DEBIAN, bench.cache, bench.recipe, silent, archives, offline)


def test_an_offline_base_is_the_last_one_of_its_lock(bench: FakeSources) -> None:
    with pytest.raises(BakeryError, match="the base 'debian bookworm' for this lock is not in the cache") as failure:
        prepare_locked(bench, DATED, offline=True)
    assert "package_versions: pinned" in failure.value.hint
    pinned = prepare_locked(bench, DATED)
    bench.state = ("c", "d")
    assert prepare_locked(bench, DATED, offline=True) == pinned
    with pytest.raises(BakeryError, match="not in the cache"):
        prepare_locked(bench, {"http://deb.debian.org/debian": "http://snapshot.example/2/debian"}, offline=True)


def test_an_offline_base_that_changed_is_not_used(bench: FakeSources) -> None:
    disk = prepare_locked(bench, DATED)
    disk.path.chmod(0o644)
    disk.path.write_bytes(b"evil")
    with pytest.raises(BakeryError, match="not in the cache"):
        prepare_locked(bench, DATED, offline=True)


@pytest.mark.parametrize("text", ["", "/", '{"entry": "absent", "vendor_base": null}'])
def test_a_damaged_name_of_the_last_base_is_like_none(bench: FakeSources, text: str) -> None:
    prepare_locked(bench, DATED)
    (last,) = bench.cache.glob("bases/*.last")
    last.write_text(text)
    with pytest.raises(BakeryError, match="not in the cache"):
        prepare_locked(bench, DATED, offline=True)


def test_apt_is_not_asked_about_dated_archives(bench: FakeSources) -> None:
    prepare_locked(bench, DATED)
    assert bench.resolved == 0
    prepare_locked(bench, {})
    assert bench.resolved == 1


def test_the_size_of_a_base_is_that_of_its_smallest_disk(bench: FakeSources) -> None:
    assert find_disk_size(DEBIAN, bench.cache) == 0
    bench.prepare(TRIXIE)
    assert find_disk_size(DEBIAN, bench.cache) == 0
    disk = bench.prepare(DEBIAN)
    assert find_disk_size(DEBIAN, bench.cache) == disk.path.stat().st_blocks * 512 > 0
