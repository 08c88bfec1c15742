"""A guest on this machine: booted from a throwaway overlay, reached by SSH on loopback, stopped afterwards."""

import json
import re
import shlex
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bakery.host import files, process
from bakery.host.errors import BakeryError
from bakery.host.waiting import wait_until
from bakery.machine import qemu
from bakery.machine.timeout import ssh_timeout, to_seconds

ADDRESS = "127.0.0.1"
OVERLAY = "overlay.qcow2"
NO_SHARING = "none"  # of an SSH connection, in the words of ssh_config(5)
POLL_SECONDS = 0.5  # each probe is one connection; a boot takes 10 to 60 s
BANNER_SECONDS = 2.0  # QEMU accepts connections before the guest does, and then sends nothing
LOGIN_SECONDS = 60.0  # one login takes up to 3 s in an emulated guest on a busy host
STOP_SECONDS = 5.0  # QEMU may end at once, since its disk is discarded
SERIAL_LINES = 20  # of the serial console shown with a failure
SERIAL_TAIL = 1 << 16  # bytes that hold the newest report of a lockup, which comes every 28 s
LOCKUP = re.compile(rb"soft lockup - CPU#\d+ stuck for (\d+)s")  # kernel/watchdog.c of Linux
TERMINAL_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1bc|[\x00-\x08\x0b-\x1f]")


@dataclass(frozen=True)
class Patience:
    """Seconds that a guest may be silent on its serial console, and that it may take until SSH answers.

    An emulated guest takes 60 s on an idle machine with 2 CPUs, and is silent for up to 20 s of it.
    """

    silence: float = 180.0
    total: float = 900.0

    @classmethod
    def from_environment(cls) -> "Patience":
        """The user's BAKERY_SSH_TIMEOUT, a fifth of it for the silence."""
        total = to_seconds(ssh_timeout("15m"))
        return cls(total / 5, total)


class GuestError(BakeryError):
    """A guest did not start; `detail` has the last lines of its serial console."""


@dataclass(frozen=True)
class Guest:
    """A guest that answers. `ssh_config` names it `guest`, and all logins share one connection."""

    address: str
    ssh_port: int
    user: str
    key: Path
    ssh_config: Path
    serial: Path

    def ssh(self, *command: str, timeout: float = LOGIN_SECONDS, check: bool = True) -> process.Finished:
        """Run a command line in the guest's shell."""
        return process.run(["ssh", "-F", self.ssh_config, "guest", *command], timeout=timeout, check=check)


@contextmanager
def boot_guest(
    overlay_of: Path,
    *,
    user: str,
    key: Path,
    folder: Path,
    accelerator: str,
    patience: Patience | None = None,
) -> Iterator[Guest]:
    """Boot a qcow2 disk without changing it and wait until `user` can log in with `key` (the public one beside it).

    `folder` keeps `serial.log` and `qemu.log`. The guest cannot reach any network. Raises GuestError if it ends, is
    silent for too long or takes too long.
    """
    patience = patience or Patience.from_environment()
    serial = folder / "serial.log"
    serial.unlink(missing_ok=True)
    with files.scratch(folder, "guest") as scratch, socket_folder() as sockets:
        port = qemu.free_port()
        guest = Guest(ADDRESS, port, user, key, scratch / "ssh_config", serial)
        write_ssh_config(guest, str(sockets / "ssh"))
        process.run(_overlay_command(overlay_of, scratch))
        command = _qemu_command(guest, scratch, accelerator)
        qemu_process = process.spawn(command, log=folder / "qemu.log")
        try:
            await_ssh(guest, qemu_process, patience, folder / "qemu.log")
            with _shared_connection(guest, folder / "qemu.log"):
                yield guest
        finally:
            process.stop(qemu_process, STOP_SECONDS)


def write_start(disk: Path, *, user: str, key: Path, folder: Path, accelerator: str) -> Guest:
    """Write `start.sh` to a folder, which boots a qcow2 or raw disk without changing it; returns the guest to come.

    Its files are in the folder, and its process ID is in `guest.pid` while it runs.
    """
    guest = Guest(ADDRESS, qemu.free_port(), user, key, folder / "ssh_config", folder / "serial.log")
    write_ssh_config(guest, NO_SHARING)
    command = _qemu_command(guest, folder, accelerator)
    lines = (
        "#!/bin/sh",
        # What an earlier start wrote is gone then. qemu-img refuses it while a guest runs.
        f"{shlex.join(map(str, _overlay_command(disk, folder)))} || exit 1",
        f"echo {shlex.quote(f'the guest boots; its console is in {guest.serial}; Ctrl-C ends it')}",
        f"exec {shlex.join(map(str, [*command, '-pidfile', folder / 'guest.pid']))}",
    )
    files.write_atomic(folder / "start.sh", "".join(f"{line}\n" for line in lines).encode())
    return guest


def last_lines(serial: Path) -> str:
    """The end of a serial log as plain text."""
    text = serial.read_text(errors="replace") if serial.exists() else ""
    lines = [line.strip() for line in TERMINAL_CODES.sub("", text).splitlines()]
    return "\n".join([line for line in lines if line][-SERIAL_LINES:])


def _overlay_command(disk: Path, folder: Path) -> list[str | Path]:
    """Makes an empty overlay on a disk, in place of one that is there."""
    form = "raw" if disk.suffix == ".raw" else "qcow2"
    return ["qemu-img", "create", "-q", "-f", "qcow2", "-F", form, "-b", disk.resolve(), folder / OVERLAY]


def _qemu_command(guest: Guest, scratch: Path, accelerator: str) -> list[str | Path]:
    code, template = qemu.firmware()
    seed = _seed_disk(guest.user, guest.key, scratch)
    variables = scratch / "variables.fd"
    shutil.copyfile(template, variables)
    # fmt: off
    return [
        qemu.SYSTEM,
        "-machine", f"{qemu.MACHINE.type},accel={accelerator}",
        "-cpu", qemu.MACHINE.cpu,
        "-smp", str(qemu.count_cpus(accelerator)),
        "-m", str(qemu.MACHINE.memory_mib),
        "-nodefaults",
        "-display", "none",
        "-serial", f"file:{guest.serial}",
        "-drive", f"if=pflash,format=raw,readonly=on,file={qemu.escape_comma(code)}",
        "-drive", f"if=pflash,format=raw,file={qemu.escape_comma(variables)}",
        # "unsafe" skips flushes: this disk is discarded.
        "-drive", f"if=virtio,format=qcow2,cache=unsafe,discard=unmap,file={qemu.escape_comma(scratch / OVERLAY)}",
        "-drive", f"if=virtio,format=raw,readonly=on,file={qemu.escape_comma(seed)}",
        # "restrict" keeps a guest away from the host's network, where a metadata service may hand out credentials.
        "-netdev", f"user,id=net,restrict=on,hostfwd=tcp:{ADDRESS}:{guest.ssh_port}-:22",
        "-device", "virtio-net-pci,netdev=net",
        "-device", "virtio-rng-pci",
    ]
    # fmt: on


def _seed_disk(user: str, key: Path, scratch: Path) -> Path:
    """A disk that gives cloud-init (NoCloud) the user and the key."""
    login = {
        "name": user,
        "sudo": "ALL=(ALL) NOPASSWD:ALL",
        "shell": "/bin/bash",
        "ssh_authorized_keys": [key.with_name(f"{key.name}.pub").read_text().strip()],
    }
    (scratch / "user-data").write_text("#cloud-config\n" + json.dumps({"users": [login]}))
    (scratch / "meta-data").write_text(json.dumps({"instance-id": scratch.name, "local-hostname": "guest"}))
    image = scratch / "seed.img"
    process.run(["mformat", "-C", "-f", "1440", "-v", "cidata", "-i", image, "::"])
    process.run(["mcopy", "-i", image, scratch / "user-data", scratch / "meta-data", "::"])
    return image


def write_ssh_config(guest: Guest, control: str) -> None:
    """Write the guest's `ssh_config`; `control` is the socket of a connection that all logins share, or NO_SHARING."""
    # No known_hosts: the guest makes its host keys at boot, and the connection never leaves this machine.
    guest.ssh_config.write_text(
        f"""\
Host guest
  HostName {guest.address}
  Port {guest.ssh_port}
  User {guest.user}
  IdentityFile "{guest.key}"
  IdentitiesOnly yes
  BatchMode yes
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  LogLevel ERROR
  ConnectTimeout 20
  ServerAliveInterval 15
  ControlPath "{control}"
"""
    )


def await_ssh(guest: Guest, qemu_process: subprocess.Popen[bytes], patience: Patience, log: Path) -> None:
    """Wait until SSH answers; GuestError if the guest ends or its console is silent for too long."""
    size, last_change = 0, time.monotonic()

    def probe() -> bool | None:
        nonlocal size, last_change
        if _ssh_answers(guest):
            return True
        if (now_size := guest.serial.stat().st_size if guest.serial.exists() else 0) != size:
            size, last_change = now_size, time.monotonic()
        if qemu_process.poll() is not None:
            raise _guest_error("the guest ended before SSH answered", guest, log)
        if (stuck := _stuck_seconds(guest.serial)) > patience.silence:
            raise _guest_error(f"the guest's kernel has been stuck for {stuck} s", guest, log)
        if time.monotonic() - last_change > patience.silence:
            message = f"the guest was silent for {patience.silence:.0f} s, and SSH does not answer"
            raise _guest_error(message, guest, log)
        return None

    if not wait_until(probe, patience.total, POLL_SECONDS):
        raise _guest_error(f"the guest's SSH did not answer within {patience.total:.0f} s", guest, log)


def _stuck_seconds(serial: Path) -> int:
    """How long a CPU of the guest has been stuck, as its kernel last said; 0 if it says nothing of the kind."""
    if not serial.exists():
        return 0
    with serial.open("rb") as stream:
        stream.seek(max(0, serial.stat().st_size - SERIAL_TAIL))
        reports = LOCKUP.findall(stream.read())
    return int(reports[-1]) if reports else 0


def _ssh_answers(guest: Guest) -> bool:
    """Whether the SSH server accepts the user's login; it may refuse while the guest is still booting."""
    try:
        with socket.create_connection((guest.address, guest.ssh_port), BANNER_SECONDS) as connection:
            if connection.recv(4) != b"SSH-":
                return False
    except OSError:
        return False
    try:
        return guest.ssh("true", check=False).returncode == 0
    except process.ProcessError:
        return False


def _guest_error(message: str, guest: Guest, log: Path) -> GuestError:
    console = last_lines(guest.serial) or "(nothing on the serial console)"
    output = log.read_text(errors="replace").strip() if log.exists() else ""
    detail = f"{console}\n{output}" if output else console
    return GuestError(message, detail=detail, hint="the serial console has the reason", log=guest.serial)


@contextmanager
def _shared_connection(guest: Guest, log: Path) -> Iterator[None]:
    """One connection for all logins: each new one costs about a second in an emulated guest."""
    master = process.spawn(["ssh", "-F", guest.ssh_config, "-M", "-N", "guest"], log=log)
    try:
        yield
    finally:
        process.stop(master, STOP_SECONDS)


@contextmanager
def socket_folder() -> Iterator[Path]:
    """A folder with a short name: the path of a socket must stay below 108 bytes."""
    with tempfile.TemporaryDirectory(prefix="bakery-") as folder:
        yield Path(folder)
