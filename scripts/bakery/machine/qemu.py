"""QEMU: the hardware and firmware that guests get, and whether the host can accelerate them."""

import os
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bakery.host import files, process
from bakery.host.cache import Cache
from bakery.host.errors import BakeryError

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
# fails at the first FPU instruction, as UEFI firmware does there, and would need half a minute for the loop.
PROBE = (
    b"\xdb\xe3"  # fninit
    b"\x66\xb9\x00\x2d\x31\x01"  # mov ecx, 20000000: hundredths of a second for a processor
    b"\x66\x49\x75\xfc"  # dec ecx; jnz to it
    b"\xb0\x10\xe6\xf4\xf4"  # mov al, 16; out 0xf4, al; hlt
)
PROBE_EXIT = 33  # isa-debug-exit ends QEMU with (value << 1) | 1
PROBE_SECONDS = 5.0  # the probe takes 0.3 s even without acceleration; a broken /dev/kvm never answers
SECTOR_END = b"\x55\xaa"  # the signature that makes a sector of 512 bytes bootable


@dataclass(frozen=True)
class Machine:
    """The hardware that guests see, in a bake and in a test boot."""

    type: str
    cpu: str
    memory_mib: int


# "pc" has an IDE drive, the only kind of CD that Debian's cloud kernel knows (it lacks AHCI). "qemu64" is emulated
# fastest: a bake took 146 s with it, 164 s with "max".
MACHINE = Machine(type="pc", cpu="qemu64", memory_mib=2048)


def count_cpus(accelerator: str) -> int:
    """The CPUs of a guest. No disk depends on them.

    Emulated guests with two hang at times when their kernel patches code that the other CPU runs (seen with QEMU 7.2).
    A second emulated CPU makes a bake 15 % faster on an idle machine, and takes as much of the machine's time.
    """
    return 2 if accelerator == "kvm" else 1


def firmware() -> tuple[Path, Path]:
    """OVMF's code and its template of variables."""
    for code, variables in FIRMWARE:
        if code.is_file() and variables.is_file():
            return code, variables
    raise BakeryError("no UEFI firmware for guests found", hint="install the package ovmf (Fedora: edk2-ovmf)")


def version() -> str:
    """QEMU's own words about its version, with that of its package."""
    return process.run([SYSTEM, "--version"]).stdout.splitlines()[0]


def accelerator() -> str:
    """`kvm` if a test guest ran on it, else `tcg`: a /dev/kvm that can be opened may still hang.

    The user's cache keeps the result until the host reboots, or its QEMU or /dev/kvm changes.
    """
    if not os.access(KVM, os.R_OK | os.W_OK):
        return "tcg"
    answers = Cache(files.user_cache() / "accelerator.json")
    answer = answers.get(_host_state(), lambda: "kvm" if runs_on("kvm") else "tcg")
    answers.save()
    return answer


def runs_on(accelerator: str) -> bool:
    """Whether the machine's firmware boots a disk on an accelerator."""
    with tempfile.TemporaryDirectory(prefix="bakery-probe-") as scratch:
        disk = Path(scratch, "probe.img")
        disk.write_bytes(PROBE.ljust(510, b"\0") + SECTOR_END)
        # fmt: off
        command = [
            SYSTEM,
            "-machine", f"{MACHINE.type},accel={accelerator}",
            "-cpu", MACHINE.cpu,
            "-m", "64",
            "-nodefaults", "-no-reboot",
            "-display", "none",
            "-drive", f"file={escape_comma(disk)},format=raw,if=floppy,readonly=on",
            "-device", "isa-debug-exit,iobase=0xf4,iosize=1",
        ]
        # fmt: on
        try:
            return process.run(command, timeout=PROBE_SECONDS, check=False).returncode == PROBE_EXIT
        except process.ProcessError:
            return False


def free_port() -> int:
    """A free TCP port on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def escape_comma(path: Path) -> str:
    """A path as a value in QEMU's option lists, where a comma ends the value."""
    return str(path).replace(",", ",,")


def _host_state() -> str:
    """The state that an accelerator depends on: this boot of the host, its QEMU and its /dev/kvm."""
    device = KVM.stat()
    stamp = f"{device.st_rdev} {device.st_ino} {device.st_mode} {device.st_ctime_ns}"
    return f"{BOOT_ID.read_text().strip()}, {version()}, {stamp}"
