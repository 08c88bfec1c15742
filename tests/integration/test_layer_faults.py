"""Faults of disks and processes while layers are made, kept and used, in a chroot with the real tools.

Tests elsewhere show a damaged layer (`test_layers.py`), and a frozen file system that a killed bake left
(`test_loops.py`).
"""

import multiprocessing
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from bakery.bake import variables
from bakery.host.errors import DiskError
from bakery.host.events import Event
from bakery.host.waiting import wait_until
from bakery.machine.disk_image import BaseDisk
from bakery.model import documents
from bakery.model.documents import Artifact
from bakery.model.project import Project
from bakery.model.resources import SHIPPED
from bakery.signing import open_keyring
from integration.clones import run_bakery
from integration.test_layers import Bakery, read

pytestmark = [pytest.mark.integration, pytest.mark.root]

SECONDS = 600.0  # for a step that takes a few on an idle machine
POLL_SECONDS = 0.005
ROLES = {"/etc/roles": "early\nlate\n"}

# Tasks on the machine that bakes, beside the image.
RUN_HERE = """
- delegate_to: localhost
  ansible.builtin.command: {{argv: [sh, -euc, '{command}']}}
  changed_when: true
"""
WAIT_HERE = """
- delegate_to: localhost
  ansible.builtin.wait_for: {{path: {path}, timeout: 600}}
"""
FILL = 'fallocate -l "$(($(df -B1 --output=avail {folder} | tail -n 1) - {rest}))" {folder}/filler'
WRITE = """
- ansible.builtin.shell: head -c 64M /dev/urandom >/srv/data && sha256sum /srv/data >/etc/data
  changed_when: true
"""


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """A file system of its own in a folder, with so many bytes."""
    image, mounted = folder / "small.img", folder / "small"
    mounted.mkdir()
    with image.open("wb") as stream:
        stream.truncate(size)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-m", "0", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, mounted], check=True)
    try:
        yield mounted
    finally:
        subprocess.run(["umount", mounted], check=True)
        image.unlink()


@pytest.fixture(autouse=True)
def every_step_is_a_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variables, "LAYER_SECONDS", {"chroot": 0, "vm": 0})


@pytest.fixture
def make(tmp_path: Path, base_disk: BaseDisk) -> Callable[[Path], Bakery]:
    """The bakery of a workspace; all of them have the roles early and late, and one key."""

    def make_bakery(workspace: Path) -> Bakery:
        root = tmp_path / "project"
        made = Bakery(Project(root, root / "packer" / "images", workspace, SHIPPED), base_disk)
        if not root.exists():
            made.role("early")
            made.role("late")
            open_keyring(made.project).require_signer("bake-private")
            shutil.copytree(made.project.keys, tmp_path / "keys")
        if not made.project.keys.exists():
            shutil.copytree(tmp_path / "keys", made.project.keys)
        return made

    return make_bakery


class Apart:
    """A bake in a process of its own, whose events are lines of a file."""

    def __init__(self, bakery: Bakery, version: str) -> None:
        self._file = bakery.project.workspace.with_suffix(".events")
        self._file.touch()
        self.process: BaseProcess = multiprocessing.get_context("fork").Process(
            target=self._bake, args=(bakery, version)
        )
        self.process.start()

    def _bake(self, bakery: Bakery, version: str) -> None:
        class Lines(list[Event]):
            def append(_, event: Event) -> None:
                with self._file.open("a") as stream:
                    stream.write(f"{event.text}\n")

        bakery.events = Lines()
        bakery.bake(version, {})

    @property
    def texts(self) -> list[str]:
        return self._file.read_text().splitlines()

    def await_state(self, is_there: Callable[[], object]) -> None:
        """Wait until the bake has come somewhere."""

        def look() -> bool | None:
            assert self.process.is_alive(), self.texts
            return bool(is_there()) or None

        assert wait_until(look, SECONDS, POLL_SECONDS)

    def kill(self) -> None:
        self.process.kill()
        self.process.join(SECONDS)


def notes(bakery: Bakery) -> list[str]:
    return [event.text for event in bakery.events if event.kind == "note" and "names no commit" not in event.text]


def verify_layers(bakery: Bakery) -> str:
    """The answer of `bakery cache verify`, which finds no fault."""
    layers = str(bakery.project.layers)
    own = {} if bakery.project.layers == bakery.project.own_layers else {"BAKERY_LAYERS": layers}
    workspace = str(bakery.project.workspace)
    arguments = ("cache", "verify", "--workspace", workspace)
    return run_bakery(bakery.project.root, *arguments, code=0, seconds=SECONDS, environment=own).stdout


def test_a_disk_that_layers_fill_keeps_the_first_ones(
    make: Callable[[Path], Bakery], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bakery = make(tmp_path / "workspace")
    with small_disk(tmp_path, 900 << 20) as shared:
        monkeypatch.setenv("BAKERY_LAYERS", str(shared))
        artifact = bakery.bake("1.0.0", {})
        assert notes(bakery) == [f"no more layers are kept in {shared}: cannot be written: No space left on device"]
        assert verify_layers(bakery) == "1 layer checked\n"
        assert list(shared.glob(".layer-*")) == []
        assert read(artifact, "/etc/roles") == ROLES


def test_a_workspace_that_fills_up(make: Callable[[Path], Bakery], tmp_path: Path) -> None:
    """Whatever meets it first: a role, whose file system is in a file there, the log, or what reads the disk."""
    with small_disk(tmp_path, 5 << 30) as workspace:
        bakery = make(workspace)
        bakery.role("late", RUN_HERE.format(command=FILL.format(folder=workspace, rest=8 << 20)) + WRITE)
        with pytest.raises(DiskError) as caught:
            bakery.bake("1.0.0", {})
        assert caught.value.exit_code == 1
        assert caught.value.where.startswith(str(workspace))
        assert re.search(r"\d+ MiB are free, and the bake of web needs \d+ MiB", caught.value.detail)
        (workspace / "filler").unlink()
        bakery.role("late")
        artifact = bakery.bake("1.0.0", {"late_text": "again"})
        assert bakery.start in ("", "with updates and packages", "after the role early"), "layers need room as well"
        assert read(artifact, "/etc/roles", "/etc/late") == {**ROLES, "/etc/late": "again\n"}
        assert verify_layers(bakery) == "3 layers checked\n"


# Writes more to a file system in a file than the disk below takes, and asks three times whether all is there.
LOSE = """
OUTPUT="$1" root="$1/root"
. "$2"
mkdir "$root"
mke2fs -q -t ext4 -O ^has_journal "$OUTPUT/disk.raw" 128M >/dev/null
mount -o loop "$OUTPUT/disk.raw" "$root"
trap 'umount "$root"' EXIT
: >"$OUTPUT/whole"
ask() { if require_written; then echo whole; else echo lost; fi; }
ask
head -c 64M /dev/urandom >"$root/data"
sync
ask
rm "$root/data"
ask
"""


def test_what_a_full_disk_lost_is_noticed(tmp_path: Path) -> None:
    """No program that writes sees an error, and there is room again later."""
    with small_disk(tmp_path, 48 << 20) as folder:
        script = SHIPPED / "packer" / "templates" / "chroot" / "written.sh"
        answer = subprocess.run(["sh", "-euc", LOSE, "sh", folder, script], check=True, capture_output=True, text=True)
    assert answer.stdout.split() == ["whole", "lost", "lost"]
    assert answer.stderr.count("error: not all that was written is on the disk") == 2


def test_the_second_of_two_bakes_starts_from_the_layers_of_the_first(
    make: Callable[[Path], Bakery], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They share a folder of layers, and have workspaces of their own."""
    (tmp_path / "shared").mkdir()
    monkeypatch.setenv("BAKERY_LAYERS", str(tmp_path / "shared"))
    first, second = make(tmp_path / "first"), make(tmp_path / "second")
    first.role("late", WAIT_HERE.format(path=tmp_path / "go"))
    one = Apart(first, "1.0.0")
    one.await_state(lambda: list(first.project.cache.glob("layer-drafts/*/began")))
    two = Apart(second, "1.0.0")
    two.await_state(lambda: "waiting for another bake that makes the same layer" in two.texts)
    (tmp_path / "go").touch()
    for bake in (one, two):
        bake.process.join(SECONDS)
        assert bake.process.exitcode == 0, bake.texts
    assert [text for text in two.texts if text.startswith("start from the layer after the role late")]
    assert not [text for text in one.texts if text.startswith("start from the layer")]
    for bakery in (first, second):
        [artifact] = bakery.project.workspace.glob("artifacts/web-*/artifact.json")
        assert read(documents.load(Artifact, artifact), "/etc/roles") == ROLES


def test_a_layer_that_is_removed_while_a_bake_uses_it(make: Callable[[Path], Bakery], tmp_path: Path) -> None:
    bakery = make(tmp_path / "workspace")
    bakery.bake("1.0.0", {})
    assert len(bakery.layers) == 3
    bakery.role("late", RUN_HERE.format(command=f"rm -r {bakery.project.layers}"))
    artifact = bakery.bake("1.0.1", {"late_text": "new"})
    assert bakery.start == "after the role early"
    assert read(artifact, "/etc/roles", "/etc/late") == {**ROLES, "/etc/late": "new\n"}
    assert verify_layers(bakery) == "1 layer checked\n"


def test_a_bake_that_is_killed_while_it_makes_a_layer(make: Callable[[Path], Bakery], tmp_path: Path) -> None:
    """The file system of its disk is frozen then. The layer before is whole, and of use."""
    bakery = make(tmp_path / "workspace")
    drafts = bakery.project.cache / "layer-drafts" / "web"
    bake = Apart(bakery, "1.0.0")
    bake.await_state(lambda: list(drafts.glob("*.qcow2")) and list(drafts.glob("*.part")))
    bake.kill()
    assert list(drafts.glob("*.part"))
    artifact = bakery.bake("1.0.1", {})
    assert bakery.start == "with updates and packages"
    assert read(artifact, "/etc/roles") == ROLES
    assert verify_layers(bakery) == "3 layers checked\n"
    used = subprocess.check_output(["losetup", "--noheadings", "--list", "--output", "BACK-FILE"], text=True)
    assert str(tmp_path) not in used


def test_a_bake_that_is_killed_while_it_keeps_a_layer(
    make: Callable[[Path], Bakery], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bakery = make(tmp_path / "workspace")
    with small_disk(tmp_path, 4 << 30) as shared:
        monkeypatch.setenv("BAKERY_LAYERS", str(shared))
        bake = Apart(bakery, "1.0.0")
        bake.await_state(lambda: list(shared.glob(".layer-*/entry/disk.qcow2")))
        bake.kill()
        assert list(shared.glob(".layer-*/entry/disk.qcow2"))
        assert verify_layers(bakery) == "0 layers checked\n"
        artifact = bakery.bake("1.0.1", {})
        assert bakery.start == "after the role late"
        assert read(artifact, "/etc/roles") == ROLES
        assert verify_layers(bakery) == "3 layers checked\n"
        assert list(shared.glob(".layer-*")) == []
