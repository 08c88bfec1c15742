"""Guests that go on from one saved boot: their images share nothing that must differ, and have nothing of it."""

import json
import mmap
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from bakery.bake import bake
from bakery.bake.request import BakeContext, BakeRequest
from bakery.clouds.definitions import Definition
from bakery.engine import toolbox
from bakery.host.events import Event
from bakery.layers.saved_boots import CachedBoot
from bakery.machine import disk_image, qemu
from bakery.machine.disk_image import BaseDisk
from bakery.machine.file_tree import FileTree, read_tree
from bakery.machine.filesystem import root_of
from bakery.machine.saved_boot import SavedBoot
from bakery.model import documents
from bakery.model.project import Project
from bakery.verify import hygiene
from integration.bases import CACHE, ROOT

pytestmark = [pytest.mark.integration, pytest.mark.guest]

# One task, since each costs an emulated guest seconds. `lookup` runs on the host as the task starts.
ROLE = """\
- name: Write down what tells guests apart
  ansible.builtin.shell:
    cmd: |
      cat >/srv/evidence <<END
      machine_id=$(cat /etc/machine-id)
      boot_id=$(cat /proc/sys/kernel/random/boot_id)
      host_key=$(cat /etc/ssh/ssh_host_*_key.pub)
      login=$(cat /root/.ssh/authorized_keys)
      random=$(head -c 32 /dev/urandom | sha256sum)
      clock=$(date +%s)
      host_clock={{ lookup('ansible.builtin.pipe', 'date +%s') }}
      left=$(ls /run/bakery 2>&1; systemctl is-active bakery-wake)
      END
"""
DEFINITION = {
    "name": "evidence",
    "description": "What a guest knows of itself",
    "os": "debian-13",
    "arch": "x86_64",
    "version": "1.0",
    "base": {"qemu": {"image": "debian-13"}},
    "updates": "none",
    "software": {"roles": [{"name": "evidence"}]},
}
# Below these no file may be left that copies would share.
EMPTY = ("/var/lib/cloud/instances", "/var/lib/dhcp", "/var/log/journal", "/root/.ssh")
GONE = ("/var/lib/systemd/random-seed", "/var/lib/cloud/instance", "/boot/efi/loader/random-seed")
BLOCK = 4096  # bytes of a block of ext4
REFUSED_SECONDS = 60.0  # QEMU reads half of a memory in one or two
RUNNING_SECONDS = 10.0  # after which a guest that goes on has read its memory
CLOCK_SECONDS = 20.0  # between two clocks: a task takes 2 to 10 to start


@dataclass
class Image:
    """A sealed disk."""

    raw: Path
    files: FileTree

    @property
    def evidence(self) -> dict[str, str]:
        """What the role wrote down, by name."""
        return dict(line.split("=", 1) for line in self.files.read("/srv/evidence").splitlines() if "=" in line)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with one role; its saved boots are kept between runs, as its bases are."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "ansible" / "roles" / "evidence" / "tasks").mkdir(parents=True)
    (folder / "ansible" / "roles" / "evidence" / "tasks" / "main.yml").write_text(ROLE)
    (folder / "workspace" / "cache").mkdir(parents=True)
    (CACHE / "boots").mkdir(exist_ok=True)
    (folder / "workspace" / "cache" / "boots").symlink_to(CACHE / "boots")
    (folder / ".bakery").mkdir()
    (folder / ".bakery" / "tools").symlink_to(ROOT / ".bakery" / "tools")
    return Project(folder, ROOT / "packer" / "images", folder / "workspace")


def bake_image(project: Project, base: BaseDisk, version: str, events: list[Event]) -> Image:
    definition = Definition.model_validate_json(json.dumps(DEFINITION))
    context = BakeContext(project, toolbox.toolchain(project), None, events.append)
    artifact = bake(BakeRequest(definition, version, {}, "k" * 64), base, context)
    raw = project.workspace / f"{version}.raw"
    disk_image.write_raw(Path(artifact.disk.path), raw)
    root = root_of(raw)
    assert root
    return Image(raw, read_tree(root))


@dataclass
class Pair:
    """Two images from one saved boot."""

    boot: SavedBoot
    first: Image
    second: Image


@pytest.fixture(scope="module")
def pair(project: Project, base_disk: BaseDisk) -> Pair:
    if toolbox.toolchain(project).accelerator != "tcg":
        pytest.skip("guests with hardware acceleration boot")
    events: list[Event] = []
    images = [bake_image(project, base_disk, version, events) for version in ("1.0.0", "1.0.1")]
    assert not [event.text for event in events if "saved boot" in event.text], "both bakes could use it"
    folder = max((CACHE / "boots").glob("*/boot.json"), key=lambda path: path.parent.stat().st_mtime).parent
    return Pair(SavedBoot(folder), *images)


@pytest.mark.soak  # 300 s of a processor; tests/unit has each decision, with stand-ins for the guest
def test_two_images_from_one_saved_boot_share_nothing_that_must_differ(pair: Pair) -> None:
    first, second = pair.first.evidence, pair.second.evidence
    assert first["boot_id"] == second["boot_id"], "both guests went on from one boot"
    for name in ("machine_id", "host_key", "login", "random"):
        assert len(first[name]) >= 32 and first[name] != second[name], name
    for evidence in (first, second):
        assert abs(int(evidence["clock"]) - int(evidence["host_clock"])) < CLOCK_SECONDS
        assert "ssh-ed25519" in evidence["host_key"] and evidence["host_key"].count("ssh-") == 1
        assert evidence["login"].count("ssh-") == 1
    saved = datetime.fromisoformat(documents.load(CachedBoot, pair.boot.folder / "boot.json").created)
    assert int(second["host_clock"]) - saved.timestamp() > CLOCK_SECONDS, "a clock that stood still would show"

    for image in (pair.first, pair.second):
        assert image.files.read("/etc/machine-id") == ""
        assert not image.files.match("/etc/ssh", "ssh_host_*")
        assert not [path for folder in EMPTY for path, _ in image.files.walk(folder)]
        assert not [path for path in GONE if image.files.find(path)]
        assert [check for check in hygiene.check(image.raw, hygiene.RULES) if not check.passed] == []


@pytest.mark.soak  # it shares the images of the test before
def test_nothing_of_the_saved_guest_is_left(pair: Pair) -> None:
    with disk_image.as_raw(pair.boot.disk) as raw:
        root = root_of(raw)
        assert root
        machine_id = root.read("/etc/machine-id").strip()
        assert len(machine_id) == 32
        assert not [path for path, _ in root.walk("/etc/ssh") if "ssh_host_" in path], "its keys are gone already"
        assert not [path for path, _ in root.walk("/root/.ssh")]
    for image in (pair.first, pair.second):
        assert image.evidence["machine_id"] != machine_id
        assert find_blocks(image.raw, image.evidence["machine_id"]), "the search sees what the role wrote"
        # The file system's own journal has a copy of a folder that journald named by it.
        assert find_blocks(image.raw, machine_id) <= journal_blocks(image.raw)


def find_blocks(raw: Path, text: str) -> set[int]:
    """The blocks of the root file system of a disk that have a text."""
    root = root_of(raw)
    assert root
    offsets, offset = [], -1
    with raw.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        while (offset := content.find(text.encode(), offset + 1)) >= 0:
            offsets.append(offset)
    return {(offset - root.partition.start) // BLOCK for offset in offsets}


def journal_blocks(raw: Path) -> set[int]:
    """The blocks of the journal of the root file system, inode 8 of ext4."""
    root = root_of(raw)
    assert root
    place = f"{raw}?offset={root.partition.start}"
    answer = subprocess.run(["debugfs", "-R", "blocks <8>", place], stdout=subprocess.PIPE, text=True, check=True)
    blocks = {int(number) for number in answer.stdout.split()}
    assert len(blocks) > 1000
    return blocks


@pytest.mark.soak  # it shares the saved boot of the test before
def test_qemu_refuses_half_of_a_memory(pair: Pair, tmp_path: Path) -> None:
    """Its digest is compared before. Should that ever fail, no guest starts, and the bake boots."""
    broken = SavedBoot(Path(shutil.copytree(pair.boot.folder, tmp_path / "boot")))
    content = subprocess.run(["zstd", "-dcq", broken.memory], stdout=subprocess.PIPE, check=True).stdout
    broken.memory.chmod(0o600)
    half = subprocess.run(["zstd", "-q"], input=content[: len(content) // 2], stdout=subprocess.PIPE, check=True).stdout
    broken.memory.write_bytes(half)
    with pytest.raises(subprocess.TimeoutExpired):
        restore(pair.boot, tmp_path, RUNNING_SECONDS)  # a guest that goes on does not end
    refusal = restore(broken, tmp_path, REFUSED_SECONDS)
    assert refusal.returncode != 0
    assert "load of migration failed" in refusal.stderr


def restore(boot: SavedBoot, folder: Path, timeout: float) -> "subprocess.CompletedProcess[str]":
    """Start the machine of a saved boot with files of its own."""
    code, template = qemu.firmware()
    variables, overlay, seed = folder / "vars.fd", folder / "overlay.qcow2", folder / "seed.iso"
    shutil.copyfile(template, variables)
    seed.write_bytes(bytes(1 << 20))
    create: list[str | Path] = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", boot.disk, overlay]
    subprocess.run(create, check=True)
    drives = iter((overlay, seed, code, variables))
    words: list[str] = []
    for line in boot.machine.read_text().splitlines():
        name, value = line.split("\t")
        path = next(drives) if name == "-drive" else folder / "serial"
        mark = {"-drive": f"file={path}", "-serial": f"file:{path}"}.get(name, "file")
        words += [name, re.sub(r"^file", mark, value)]
    return subprocess.run(
        [str(ROOT / "packer" / "templates" / "qemu" / "qemu.sh"), *words],
        env={"PATH": os.environ["PATH"], "QEMU_BOOT": str(boot.folder)},
        stderr=subprocess.PIPE,
        text=True,
        timeout=timeout,
        check=False,
    )
