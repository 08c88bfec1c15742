"""One image by `bakery bake` in chroot mode, by mkosi and by diskimage-builder: from nothing, again, with another file.

The others get the packages that the bakery's image has, by name. mkosi has its cache; diskimage-builder has none, so
one run of each kind is enough. mkosi makes no EFI system partition here, since that needs a kernel that mounts FAT, and
diskimage-builder no boot loader: their images do not boot, and they have less to do. Neither reads nor signs what it
made.
"""

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Protocol

import image_builder
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


class Rival(Protocol):
    """A program that builds the same image."""

    @property
    def disk(self) -> Path:
        """The image as qcow2."""

    def write_file(self, number: int) -> None:
        """Change the file that is in the image."""

    def build(self) -> float:
        """The seconds of one build."""


@dataclass(frozen=True)
class Compared:
    """Wall seconds, ours and those of a rival: `cold` from nothing, and medians after that.

    `packages` counts those of our image, `differ` those that only one of both images has.
    """

    rival: str
    cold: tuple[float, float]
    nothing: tuple[float, float]
    one_file: tuple[float, float]
    packages: int
    differ: int


@dataclass(frozen=True)
class Missing:
    """A rival that was not measured, and the reason."""

    rival: str
    reason: str


def measure(folder: Path) -> Iterator[Compared | Missing]:
    """Each rival in turn with the bakery."""
    ours = _Ours(folder / "ours")
    ours.write_file(0)
    cold = ours.bake()
    packages = list_packages(ours.disk)
    if shutil.which("mkosi"):
        answer = subprocess.run(["mkosi", "--version"], check=True, capture_output=True, text=True).stdout
        yield _compare(answer.strip(), _Mkosi(folder / "mkosi", packages), RUNS, ours, cold, packages)
    else:
        yield Missing("mkosi", "apt-get install mkosi")
    name = f"diskimage-builder {image_builder.VERSION}"
    absent = [program for program in image_builder.PROGRAMS if shutil.which(program) is None]
    if absent:
        yield Missing(name, f"no {', '.join(absent)}")
        return
    image_builder.install()
    rival = image_builder.ImageBuilder(folder / "dib", SUITE, packages)
    try:
        yield _compare(name, rival, 1, ours, cold, packages)
    except RuntimeError as error:
        yield Missing(name, str(error))


def _compare(name: str, rival: Rival, runs: int, ours: "_Ours", cold: float, packages: set[str]) -> Compared:
    rival.write_file(0)
    cold_build = rival.build()
    differ = packages ^ list_packages(rival.disk)
    nothing, one_file = [], []
    for _ in range(runs):
        nothing.append((ours.bake(), rival.build()))
        number = ours.change_file()
        rival.write_file(number)
        one_file.append((ours.bake(), rival.build()))
    return Compared(name, (cold, cold_build), _medians(nothing), _medians(one_file), len(packages), len(differ))


class _Ours:
    def __init__(self, folder: Path) -> None:
        role = folder / "ansible" / "roles" / "note"
        for name, text in {"tasks/main.yml": TASKS, "meta/bakery.yml": "modes: [vm, chroot]\n"}.items():
            (role / name).parent.mkdir(parents=True, exist_ok=True)
            (role / name).write_text(text)
        self._root = folder
        self._number = 0
        self._project = Project(folder, folder / "images", folder / "workspace")
        self._project.definitions.mkdir()

    @property
    def disk(self) -> Path:
        """The disk of the first version."""
        return self._project.artifact_folder(ImageVersion("peer", "x86_64", "1.0.0")) / "disk.qcow2"

    def write_file(self, number: int) -> None:
        (self._project.definitions / "peer.yaml").write_text(IMAGE.format(text=f"text {number}"))

    def change_file(self) -> int:
        """Write what no version has in the file; the number that is in it."""
        self._number += 1
        self.write_file(self._number)
        return self._number

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
