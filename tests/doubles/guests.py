"""A guest for a machine of a stand-in: what boots is real, where it runs is not a cloud."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from bakery.host import process
from bakery.machine import qemu

# One address each, since test files run side by side; the AWS stand-in's instances take 127.77.0.0/16.
VCENTER_ADDRESS = "127.78.0.1"
VAULT_NODE_ADDRESS = "127.79.0.1"

STOP_SECONDS = 5.0
SERIAL = "serial.log"
RESTARTS = b"reboot: Restarting system"  # kernel/reboot.c of Linux; "reboot: Power down" otherwise
LAST_WORDS = 500  # bytes


def boot(
    name: str,
    disk: Path,
    user_data: bytes,
    address: str,
    folder: Path,
    accelerator: str,
    *,
    volumes: Sequence[Path] = (),
    ports: Sequence[int] = (22,),
) -> subprocess.Popen[bytes]:
    """Start a guest from a throwaway overlay of a disk, with user data as its cloud-init seed; or start it again.

    It answers SSH at `address`, port 22, where only root may listen; its serial log stays in `folder`. `volumes` are
    raw disks beside the root's.
    """
    if not folder.exists():
        _prepare(name, disk, user_data, folder)
    forwards = "".join(f",hostfwd=tcp:{address}:{port}-:{port}" for port in ports)
    # fmt: off
    command = [
        qemu.SYSTEM,
        "-machine", f"{qemu.MACHINE.type},accel={accelerator}", "-cpu", qemu.MACHINE.cpu,
        "-smp", str(qemu.count_cpus(accelerator)), "-m", str(qemu.MACHINE.memory_mib),
        "-nodefaults", "-display", "none",
        "-chardev", f"file,id=serial,append=on,path={folder / SERIAL}", "-serial", "chardev:serial",
        "-no-reboot",  # firmware that is reset under emulation does not always come back: see `wants_restart`
        "-drive", f"if=pflash,format=raw,readonly=on,file={qemu.firmware()[0]}",
        "-drive", f"if=pflash,format=raw,file={folder / 'variables.fd'}",
        "-drive", f"if=virtio,format=qcow2,cache=unsafe,discard=unmap,file={folder / 'disk.qcow2'}",
        "-drive", f"if=virtio,format=raw,readonly=on,file={folder / 'seed.img'}",
        *(part for volume in volumes for part in ("-drive", f"if=virtio,format=raw,cache=unsafe,file={volume}")),
        "-netdev", f"user,id=net{forwards}",
        "-device", "virtio-net-pci,netdev=net", "-device", "virtio-rng-pci",
    ]
    # fmt: on
    return process.spawn(command, log=folder / "qemu.log")


def wants_restart(guest: subprocess.Popen[bytes], folder: Path) -> bool:
    """Whether a guest ended to be started again: QEMU ends when it is switched off, too, and the kernel says which."""
    return guest.poll() is not None and RESTARTS in (folder / SERIAL).read_bytes()[-LAST_WORDS:]


def stop(guest: subprocess.Popen[bytes]) -> None:
    process.stop(guest, STOP_SECONDS)


def _prepare(name: str, disk: Path, user_data: bytes, folder: Path) -> None:
    """Overlay, firmware variables, and the user data as cloud-init's NoCloud disk."""
    folder.mkdir(parents=True)
    overlay = folder / "disk.qcow2"
    process.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", disk.resolve(), overlay])
    (folder / "variables.fd").write_bytes(qemu.firmware()[1].read_bytes())
    (folder / "user-data").write_bytes(user_data)
    (folder / "meta-data").write_text(f"instance-id: {name}\n")
    seed = folder / "seed.img"
    process.run(["mformat", "-C", "-f", "1440", "-v", "cidata", "-i", seed, "::"])
    process.run(["mcopy", "-i", seed, folder / "user-data", folder / "meta-data", "::"])
