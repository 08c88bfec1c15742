"""Machines and disk images of QEMU: what a guest is given, whether the host can speed it up, and conversions."""

import hashlib
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakery.host import files, process
from bakery.host.errors import BakeryError
from bakery.model.documents import Disk

SYSTEM = "qemu-system-x86_64"
KVM = Path("/dev/kvm")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

# Code and variables of OVMF, as distributions install them. The 4 MB build first: Debian 12 deprecates the 2 MB one.
FIRMWARE = (
    (Path("/usr/share/OVMF/OVMF_CODE_4M.fd"), Path("/usr/share/OVMF/OVMF_VARS_4M.fd")),  # Debian, Ubuntu
    (Path("/usr/share/edk2/ovmf/OVMF_CODE.fd"), Path("/usr/share/edk2/ovmf/OVMF_VARS.fd")),  # Fedora
    (Path("/usr/share/edk2/x64/OVMF_CODE.4m.fd"), Path("/usr/share/edk2/x64/OVMF_VARS.4m.fd")),  # Arch
    (Path("/usr/share/OVMF/OVMF_CODE.fd"), Path("/usr/share/OVMF/OVMF_VARS.fd")),  # older Debian, Ubuntu
)

# A boot sector that proves an accelerator, in 16-bit code. Some hosts have a KVM that emulates each instruction: it
# fails at the first one for the FPU (where UEFI firmware ends, too) and would count for half a minute.
PROBE = (
    b"\xdb\xe3"  # fninit
    b"\x66\xb9\x00\x2d\x31\x01"  # mov ecx, 20000000: hundredths of a second for a processor
    b"\x66\x49\x75\xfc"  # dec ecx; jnz to it
    b"\xb0\x10\xe6\xf4\xf4"  # mov al, 16; out 0xf4, al; hlt
)
PROBE_EXIT = 33  # isa-debug-exit ends QEMU with (value << 1) | 1
PROBE_SECONDS = 5.0  # it takes 0.3 s even without acceleration; a broken /dev/kvm never answers
SECTOR_END = b"\x55\xaa"  # what makes a sector of 512 bytes one to boot from

ZEROS = bytes(files.CHUNK)


@dataclass(frozen=True)
class Machine:
    """The hardware that guests see, in a bake and in a test boot."""

    type: str
    cpu: str
    memory_mib: int
    cpus: int


# "pc" has an IDE drive, the only kind of CD that Debian's cloud kernel knows (it lacks AHCI). "qemu64" is what
# emulation is fastest with: a bake took 146 s with it, 164 s with "max". A second CPU made it 15 % faster.
MACHINE = Machine(type="pc", cpu="qemu64", memory_mib=2048, cpus=2)


@dataclass(frozen=True)
class Partition:
    """An entry of a GPT; start and size in bytes, type as an upper-case GUID."""

    name: str
    type: str
    start: int
    size: int


def firmware() -> tuple[Path, Path]:
    """OVMF's code and its template of variables."""
    for code, variables in FIRMWARE:
        if code.is_file() and variables.is_file():
            return code, variables
    raise BakeryError("no UEFI firmware for guests found", hint="install the package ovmf (Fedora: edk2-ovmf)")


def accelerator(cache: Path) -> str:
    """`kvm` if a guest really ran on it, else `tcg`: a /dev/kvm that opens can still hang.

    The answer is kept in the JSON file `cache` until the host boots anew or its QEMU or /dev/kvm changes.
    """
    if not os.access(KVM, os.R_OK | os.W_OK):
        return "tcg"
    host = _host()
    known = _remembered(cache)
    if known.get("host") != host:
        known = {"host": host, "accelerator": "kvm" if runs_on("kvm", cache.parent) else "tcg"}
        files.write_atomic(cache, json.dumps(known).encode())
    return str(known["accelerator"])


def runs_on(accelerator: str, folder: Path) -> bool:
    """Whether the machine's firmware boots a disk on an accelerator; `folder` holds that disk for the moment."""
    with files.scratch(folder, "probe") as scratch:
        disk = scratch / "probe.img"
        disk.write_bytes(PROBE.ljust(510, b"\0") + SECTOR_END)
        # fmt: off
        command = [
            SYSTEM,
            "-machine", f"{MACHINE.type},accel={accelerator}",
            "-cpu", MACHINE.cpu,
            "-m", "64",
            "-nodefaults", "-no-reboot",
            "-display", "none",
            "-drive", f"file={escape(disk)},format=raw,if=floppy,readonly=on",
            "-device", "isa-debug-exit,iobase=0xf4,iosize=1",
        ]
        # fmt: on
        try:
            return process.run(command, timeout=PROBE_SECONDS, check=False).returncode == PROBE_EXIT
        except process.ProcessError:
            return False


def inspect(image: Path) -> dict[str, Any]:
    """What `qemu-img info` says of an image, its format found by looking at the content."""
    found: dict[str, Any] = json.loads(process.run(["qemu-img", "info", "--output=json", image]).stdout)
    return found


def describe(path: Path) -> Disk:
    """Digests and size of a qcow2 image."""
    with as_raw(path) as raw:
        content, size = digest(raw), raw.stat().st_size
    return Disk(path=str(path), format="qcow2", virtual_size=size, sha256=files.sha256(path), raw_sha256=content)


@contextmanager
def as_raw(image: Path) -> Iterator[Path]:
    """The content of an image as a sparse raw file beside it, gone afterwards."""
    with files.scratch(image.parent, "raw") as folder:
        raw = folder / "disk.raw"
        _convert(image, raw, "raw")
        yield raw


def to_qcow2(source: Path, target: Path, compress: bool) -> None:
    """Write an image as one qcow2 file that depends on no other. A base for other disks should not be compressed."""
    with files.scratch(target.parent, "qcow2") as folder:
        staged = folder / target.name
        _convert(source, staged, "qcow2", *(("-c", "-o", "compression_type=zstd") if compress else ()))
        process.run(["qemu-img", "check", "-q", "-f", "qcow2", staged])
        settle(staged, target)


def to_raw(source: Path, target: Path) -> None:
    """Write an image as a sparse raw file."""
    with files.scratch(target.parent, "raw") as folder:
        staged = folder / target.name
        _convert(source, staged, "raw")
        settle(staged, target)


def vhd_footer(folder: Path, size: int) -> bytes:
    """The 512 bytes that make a raw disk of `size` bytes a fixed VHD; `folder` holds an empty one for the moment."""
    with files.scratch(folder, "vhd") as scratch:
        empty = scratch / "empty.vhd"
        # Without force_size the size is rounded up to what cylinders, heads and sectors of the nineties can say.
        process.run(["qemu-img", "create", "-q", "-f", "vpc", "-o", "subformat=fixed,force_size=on", empty, str(size)])
        with empty.open("rb") as stream:
            stream.seek(size)
            return stream.read()


def settle(staged: Path, target: Path) -> None:
    """Move a finished file to its place: it is there as a whole or not at all, also after a power cut."""
    with staged.open("rb") as stream:
        os.fsync(stream.fileno())
    staged.replace(target)


def extents(raw: Path) -> Iterator[tuple[int, int]]:
    """(start, end) in bytes of what is not a hole in a sparse file."""
    with raw.open("rb") as stream:
        end, size = 0, raw.stat().st_size
        while end < size:
            try:
                start = os.lseek(stream.fileno(), end, os.SEEK_DATA)
            except OSError:  # ENXIO: only a hole is left
                return
            end = os.lseek(stream.fileno(), start, os.SEEK_HOLE)
            yield start, end


def digest(raw: Path) -> str:
    """SHA-256 of a sparse file's content, holes as zeros, without reading the holes."""
    seen, done = hashlib.sha256(), 0
    with raw.open("rb") as stream:
        for start, end in extents(raw):
            _add_zeros(seen, start - done)
            stream.seek(start)
            for offset in range(start, end, files.CHUNK):
                seen.update(stream.read(min(files.CHUNK, end - offset)))
            done = end
    _add_zeros(seen, raw.stat().st_size - done)
    return seen.hexdigest()


def partitions(raw: Path) -> list[Partition]:
    """The partitions of a raw disk, in the order of the table."""
    table = json.loads(process.run(["sfdisk", "--json", raw]).stdout)["partitiontable"]
    unit = table["sectorsize"]
    return [
        Partition(entry.get("name", ""), entry["type"].upper(), entry["start"] * unit, entry["size"] * unit)
        for entry in table["partitions"]
    ]


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def make_key(folder: Path) -> Path:
    """A fresh SSH key pair `key` and `key.pub` in a folder; gives the private one."""
    key = folder / "key"
    process.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bakery", "-f", key])
    return key


def escape(path: Path) -> str:
    """A path as a value in QEMU's option lists, where a comma ends the value."""
    return str(path).replace(",", ",,")


def _convert(source: Path, target: Path, kind: str, *options: str) -> None:
    process.run(["qemu-img", "convert", "-f", _format(source), "-O", kind, *options, source, target])


def _format(image: Path) -> str:
    """By name where it tells: who looks at the content lets a guest choose, since a raw disk is all its own."""
    return image.suffix[1:] if image.suffix in (".raw", ".qcow2") else str(inspect(image)["format"])


def _add_zeros(seen: "hashlib._Hash", count: int) -> None:
    for _ in range(count // len(ZEROS)):
        seen.update(ZEROS)
    seen.update(ZEROS[: count % len(ZEROS)])


def _host() -> dict[str, Any]:
    device = KVM.stat()
    return {
        "boot": BOOT_ID.read_text().strip(),
        "qemu": process.run([SYSTEM, "--version"]).stdout.splitlines()[0],
        "kvm": [device.st_rdev, device.st_ino, device.st_mode, device.st_ctime_ns],
    }


def _remembered(cache: Path) -> dict[str, Any]:
    try:
        known = json.loads(cache.read_bytes())
    except (OSError, ValueError):
        return {}  # a missing or damaged cache costs one probe
    return known if isinstance(known, dict) else {}
