"""Peak memory and peak disk of a bake in each mode, and of Packer with its plugins' defaults on the same image.

Memory is the sum over all processes of the bake, several times a second, of the kernel's proportional set size: as the
resident set size, but a page that several processes share counts once. `anonymous` leaves out pages of mapped files,
which the kernel can drop. Two other measures do not fit: peaks of a control group count the cache of the disk's pages
too, and the resident set size counts a forked Python twice.

Disk is the growth of the allocated blocks in the folder that a bake works in, temporary files and kept layers included.
Files that are deleted but open, and pages that are not written yet, are not seen.
"""

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bakes import BASE, ROOT, bakery, run_stock, write_image

from bakery.machine import qemu
from bakery.model.project import Project

PAUSE = 0.2  # seconds between two looks
SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of linux/prctl.h


@dataclass
class Footprint:
    """Peaks in bytes. `anonymous` is part of `memory`, at the same time."""

    memory: int = 0
    anonymous: int = 0
    disk: int = 0


def measure(folder: Path) -> dict[str, Footprint]:
    """The footprints of `chroot`, of `vm` with a cold boot that is saved, and of `stock` Packer, on the same base."""
    images = folder / "images"
    images.mkdir(parents=True)
    (images / "debian-13.yaml").write_text(BASE)
    for mode in ("chroot", "vm"):
        (images / f"bench-{mode}.yaml").write_text(write_image(mode))
    project = Project(ROOT, images, folder / "workspace")
    temporary = {"TMPDIR": str(folder / "workspace" / "tmp")}
    bakery(project, "run", "debian-13")
    Path(temporary["TMPDIR"]).mkdir()
    # Orphans of a bake become children of this process, and not of the first one of the machine.
    ctypes.CDLL(None, use_errno=True).prctl(SUBREAPER, 1, 0, 0, 0)
    found: dict[str, Footprint] = {}
    for mode in ("chroot", "vm"):
        with _watch(project.workspace) as found[mode]:
            bakery(project, "bake", f"bench-{mode}", variables=temporary)
    with _watch(project.workspace) as found["stock"]:
        run_stock(project, qemu.accelerator(), temporary | {"PACKER_CACHE_DIR": f"{project.workspace}/packer"})
    return found


@contextmanager
def _watch(folder: Path) -> Iterator[Footprint]:
    """The peaks of all children of this process, and of a folder, while the block runs."""
    peaks, before, stopped = Footprint(), _allocated(folder), threading.Event()

    def look() -> None:
        while not stopped.wait(PAUSE):
            memory, anonymous = _sum_memory()
            if memory > peaks.memory:
                peaks.memory, peaks.anonymous = memory, anonymous
            peaks.disk = max(peaks.disk, _allocated(folder) - before)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peaks
    finally:
        stopped.set()
        thread.join()


def _sum_memory() -> tuple[int, int]:
    """Bytes of all descendants of this process, and those that are no pages of files."""
    total = anonymous = 0
    for process in _list_descendants():
        with suppress(OSError):  # it ended
            sizes = dict(line.split(":", 1) for line in (process / "smaps_rollup").read_text().splitlines()[1:])
            kib = {name: int(size.split()[0]) for name, size in sizes.items()}
            total += kib["Pss"] << 10
            anonymous += (kib["Pss"] - kib["Pss_File"]) << 10
    return total, anonymous


def _list_descendants() -> Iterator[Path]:
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # The name, in parentheses, may hold spaces; the state and the parent follow it.
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    left = [os.getpid()]
    while left:
        found = children.get(left.pop(), [])
        left += found
        yield from (Path("/proc") / str(number) for number in found)


def _allocated(folder: Path) -> int:
    """Bytes of the blocks of all files in a folder, without other file systems that are mounted there."""
    device, seen, total = folder.stat().st_dev, set(), 0
    left = [folder]
    while left:
        with suppress(OSError), os.scandir(left.pop()) as entries:  # it was removed meanwhile
            for entry in entries:
                with suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    if status.st_dev != device or status.st_ino in seen:
                        continue
                    seen.add(status.st_ino)
                    total += status.st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        left.append(Path(entry.path))
    return total
