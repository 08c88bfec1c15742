"""Reads of a new disk in one `bakery run` that bakes, verifies and publishes it to a local store and to AWS.

strace sees each system call that reads a file, of all programs that the run starts, with the name of the file. That is
better than the kernel's counters of a process, which hold reads of all files, miss mapped ones, and do not tell two
steps of one process apart. A hook in the bakery's own interpreter adds the functions that opened the file.

A map of a disk counts as one read of all its data: the only program that maps disks is the search for secrets, which
walks over all of it once, and looks at some streams again. The image has a secret to be searched for; without one a run
reads less. Reads count from the end of Packer on, when the disk is finished: what a guest and the tasks read before is
left out, also because the kernel's reads for a mounted disk are not seen. QEMU waits for files with io_uring, but reads
disks with system calls unless it is told otherwise.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import stand_ins
from bakes import BASE, ROOT, bakery, write_image

from bakery.demo.stand_ins.vault import vault_server
from bakery.engine import toolbox
from bakery.machine import disk_image
from bakery.model.project import Project
from bakery.model.version import ImageVersion

MODES = ("chroot", "vm")
READING = ("read", "pread64", "readv", "preadv", "preadv2", "sendfile", "copy_file_range", "splice", "mmap")
OTHER = ("openat", "access", "faccessat", "faccessat2")  # opens, and the hook's marks
MARK = "/opened-by/"
# Just before a disk is opened, the hook looks up a path that names the functions, which strace sees.
HOOK = f"""\
import os, sys


def mark(event, arguments):
    if event == "open" and str(arguments[0]).endswith((".raw", ".qcow2")):
        frame, names = sys._getframe(1), []
        while frame:
            module = frame.f_globals.get("__name__", "")
            if module.startswith("bakery."):
                names.append(module.removeprefix("bakery.") + "." + frame.f_code.co_name)
            frame = frame.f_back
        os.access("{MARK}" + " ".join(names[:4]), os.F_OK)


sys.addaudithook(mark)
"""
TARGETS = """\
secrets:
  password: {path: secret/data/bakery/bench, key: password}
targets: [local, aws]
distribution:
  aws: {regions: [REGION]}
""".replace("REGION", stand_ins.REGION)
SECRET = {"password": "correct-horse-battery-staple-7391"}
# strace -f -Y -y: 12<qemu-img> pread64(3</tmp/disk.raw>, ""..., 65536, 0) = 65536
LINE = re.compile(r"(\d+)<(.*?)> (.*)")
CALL = re.compile(r"(\w+)\((.*)\) += (0x[0-9a-f]+|-?\d+)")
RESUMED = re.compile(r"<\.\.\. \w+ resumed>")
UNFINISHED = "<unfinished ...>"
DISK = re.compile(r"(\d+)<([^<>]*\.(?:raw|qcow2))>")


@dataclass(frozen=True)
class Reader:
    """A program, the file that it read, and for the bakery itself the functions that opened it, innermost first."""

    program: str
    file: Path
    functions: tuple[str, ...]

    @property
    def name(self) -> str:
        """The function above the layers `machine` and `host` that called for the read, else the program."""
        above = (name for name in self.functions if not name.startswith(("machine.", "host.")))
        return next(above, self.functions[-1] if self.functions else self.program)


@dataclass(frozen=True)
class Reads:
    """Bytes of the disk that are not in holes, bytes read of it by reader, and bytes read of other disks by folder."""

    data: int
    disk: Counter[Reader]
    others: Counter[str]

    @property
    def times(self) -> float:
        """The number of reads of the whole disk."""
        return self.disk.total() / self.data


def measure(folder: Path) -> dict[str, Reads]:
    """One run for each mode, on a base that was made before."""
    images = folder / "images"
    images.mkdir(parents=True)
    (images / "debian-13.yaml").write_text(BASE)
    project = Project(ROOT, images, folder / "workspace")
    bakery(project, "run", "debian-13")
    for mode in MODES:
        (images / f"bench-{mode}.yaml").write_text(write_image(mode) + TARGETS)
    vault_program = toolbox.find(project, "vault")
    with stand_ins.aws() as url, vault_server(vault_program, folder / "vault") as vault:
        vault.put("secret/data/bakery/bench", SECRET)
        environment = stand_ins.environment(url) | vault.env
        return {mode: _trace_run(project, folder, mode, environment) for mode in MODES}


def _trace_run(project: Project, folder: Path, mode: str, environment: dict[str, str]) -> Reads:
    image, trace, hook = f"bench-{mode}", folder / f"{mode}.trace", folder / "hook"
    hook.mkdir(exist_ok=True)
    (hook / "sitecustomize.py").write_text(HOOK)
    strace = ("strace", "-f", "-Y", "-y", "-s", "0", "--seccomp-bpf", "-o", str(trace))
    calls = ("-e", f"trace={','.join(READING + OTHER)}", "-e", "signal=none")
    bakery(project, "run", image, "--yes", before=(*strace, *calls), variables={**environment, "PYTHONPATH": str(hook)})
    version = ImageVersion(image, "x86_64", "1.0.0")
    layout = disk_image.qcow2_layout(project.artifact_folder(version) / "disk.qcow2")
    data = sum(extent.end - extent.start for extent in layout.extents)
    disk: Counter[Reader] = Counter()
    others: Counter[str] = Counter()
    for reader, packer_ended, size in _read_trace(trace, data):
        place = _place_of(reader, project)
        if place == "disk" and packer_ended:
            disk[reader] += size
        elif place and place != "disk":
            others[place] += size
    return Reads(data, disk, others)


def _place_of(reader: Reader, project: Project) -> str:
    """The disk itself, or the kind of another disk that a file belongs to; empty for files of other programs."""
    if not reader.file.is_relative_to(project.workspace):
        return ""
    parts = reader.file.relative_to(project.workspace).parts
    if parts[0] == "cache":
        # A vm bake's disk is flattened from its overlay and the file below that one, which the saved boot holds.
        return "disk" if parts[1] == "boots" and reader.program == "qemu-img" else parts[1]
    return "base" if any(part.startswith("debian-13") for part in parts) else "disk"


def _read_trace(trace: Path, data: int) -> Iterator[tuple[Reader, bool, int]]:
    """Each read of a disk, whether Packer had ended before it, and its bytes; a map has `data` bytes."""
    marks: dict[str, str] = {}  # by thread
    opened: dict[tuple[str, str], str] = {}  # marks by thread and descriptor
    calls = list(_read_calls(trace))
    end = max(number for number, call in enumerate(calls) if call.program.startswith("packer"))
    for number, call in enumerate(calls):
        _, found, mark = call.arguments.partition(MARK)
        if found:
            marks[call.thread] = mark.partition('"')[0]
        elif call.name == "openat":
            opened[call.thread, str(call.result)] = marks.get(call.thread, "")
        elif call.name in READING and call.result > 0:
            source = call.arguments.partition(", ")[2] if call.name == "sendfile" else call.arguments
            if disk := DISK.search(source):
                mark = opened.get((call.thread, disk[1]), marks.get(call.thread, ""))
                functions = mark.split() if call.program == "bakery" else ()
                size = data if call.name == "mmap" else call.result
                yield Reader(call.program, Path(disk[2]), tuple(functions)), number > end, size


@dataclass(frozen=True)
class _Call:
    thread: str
    program: str
    name: str
    arguments: str
    result: int


def _read_calls(trace: Path) -> Iterator[_Call]:
    """The calls in the order in which they ended; one that others interrupted has two lines."""
    begun: dict[str, str] = {}
    with trace.open(errors="replace") as lines:
        for line in lines:
            if not (match := LINE.match(line)):
                continue
            thread, program, text = match.groups()
            if text.endswith(UNFINISHED):
                begun[thread] = text.removesuffix(UNFINISHED)
                continue
            if resumed := RESUMED.match(text):
                text = begun.pop(thread, "") + text[resumed.end() :]
            if call := CALL.match(text):
                yield _Call(thread, program, call[1], call[2], int(call[3], 0))
