"""One image by `bakery bake` in chroot mode and by mkosi with its cache: from nothing, again, after a change of a file.

mkosi gets the packages that the bakery's image has, by name; it would add libpam-systemd by itself. Here it makes no
EFI system partition, since that needs a kernel that mounts FAT: its image does not boot, and it has less to do. It
neither reads nor signs what it made.
"""

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bakes import bakery, time_command

from bakery.contents import debian
from bakery.machine import disk_image
from bakery.machine.filesystem import root_of
from bakery.model.project import Project
from bakery.model.version import ImageVersion

RUNS = 3
SUITE = "trixie"
IMAGE = """\
name: peer
description: A web server
os: debian-13
arch: x86_64
version: "1.0"
mode: chroot
base:
  qemu: {{debootstrap: {{suite: trixie}}}}
software:
  packages: [jq, libpam-systemd, nginx-light]
  roles:
    - name: note
      vars: {{note_text: "{text}"}}
"""
TASKS = """\
- name: Write a file
  ansible.builtin.copy:
    content: "{{ note_text }}\\n"
    dest: /etc/note
    mode: "0644"
"""


@dataclass(frozen=True)
class Compared:
    """Wall seconds, ours and mkosi's: `cold` from nothing, and the medians of RUNS after that.

    `packages` counts those of our image, `differ` those that only one of both images has.
    """

    cold: tuple[float, float]
    nothing: tuple[float, float]
    one_file: tuple[float, float]
    packages: int
    differ: int


def measure(folder: Path) -> Compared | None:
    """Both in turn; None if mkosi is not installed."""
    if shutil.which("mkosi") is None:
        return None
    ours = _Ours(folder / "ours")
    ours.write_file(0)
    cold = ours.bake()
    packages = list_packages(ours.disk)
    theirs = _Mkosi(folder / "mkosi", packages)
    theirs.write_file(0)
    cold_build = theirs.build()
    differ = packages ^ list_packages(theirs.disk)
    nothing, one_file = [], []
    for number in range(1, RUNS + 1):
        nothing.append((ours.bake(), theirs.build()))
        ours.write_file(number)
        theirs.write_file(number)
        one_file.append((ours.bake(), theirs.build()))
    return Compared((cold, cold_build), _medians(nothing), _medians(one_file), len(packages), len(differ))


class _Ours:
    def __init__(self, folder: Path) -> None:
        role = folder / "ansible" / "roles" / "note"
        for name, text in {"tasks/main.yml": TASKS, "meta/bakery.yml": "modes: [vm, chroot]\n"}.items():
            (role / name).parent.mkdir(parents=True, exist_ok=True)
            (role / name).write_text(text)
        self._root = folder
        self._project = Project(folder, folder / "images", folder / "workspace")
        self._project.definitions.mkdir()

    @property
    def disk(self) -> Path:
        """The disk of the first version."""
        return self._project.artifact_folder(ImageVersion("peer", "x86_64", "1.0.0")) / "disk.qcow2"

    def write_file(self, number: int) -> None:
        (self._project.definitions / "peer.yaml").write_text(IMAGE.format(text=f"text {number}"))

    def bake(self) -> float:
        return bakery(self._project, "bake", "peer", root=self._root)


class _Mkosi:
    def __init__(self, folder: Path, packages: Iterable[str]) -> None:
        (folder / "extra" / "etc").mkdir(parents=True)
        self._folder = folder
        self._packages = packages

    @property
    def disk(self) -> Path:
        return self._folder / "disk.qcow2"

    def write_file(self, number: int) -> None:
        (self._folder / "extra" / "etc" / "note").write_text(f"text {number}\n")

    def build(self) -> float:
        options = [
            *("--distribution=debian", f"--release={SUITE}", "--format=gpt_ext4", "--root-size=4G", "--qcow2"),
            *("--incremental", "--nspawn-keep-unit", "--force", f"--output={self.disk}", "--extra-tree=extra"),
            f"--workspace-dir={self._folder}",
            *(f"--package={name}" for name in self._packages),
        ]
        # Scripts of packages see TMPDIR in mkosi's chroot, where this machine's folder is not.
        environment = {name: value for name, value in os.environ.items() if name != "TMPDIR"}
        return time_command(["mkosi", *options, "build"], self._folder, environment)


def list_packages(image: Path) -> set[str]:
    """The names of the packages on a disk of Debian."""
    with disk_image.as_raw(image) as raw, TemporaryDirectory() as tree:
        root = root_of(raw)
        assert root
        root.copy(debian.STATUS, Path(tree))
        return {package.name for package in debian.read_packages(Path(tree))}


def _medians(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    ours, theirs = zip(*pairs, strict=True)
    return median(ours), median(theirs)
