"""A guest for a machine of a stand-in: what boots is real, where it runs is not a cloud."""

import subprocess
from pathlib import Path

from bakery import process, qemu

STOP_SECONDS = 5.0


def boot(
    name: str, disk: Path, user_data: bytes, address: str, folder: Path, accelerator: str
) -> subprocess.Popen[bytes]:
    """Start a guest from a throwaway overlay of a disk, with user data as its cloud-init seed.

    It answers SSH at `address`, port 22, where only root may listen; its serial log stays in `folder`.
    """
    folder.mkdir(parents=True)
    overlay, code, variables = folder / "disk.qcow2", *qemu.firmware()
    process.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", disk.resolve(), overlay])
    (folder / "variables.fd").write_bytes(variables.read_bytes())
    # fmt: off
    command = [
        qemu.SYSTEM,
        "-machine", f"{qemu.MACHINE.type},accel={accelerator}", "-cpu", qemu.MACHINE.cpu,
        "-smp", str(qemu.MACHINE.cpus), "-m", str(qemu.MACHINE.memory_mib),
        "-nodefaults", "-display", "none", "-serial", f"file:{folder / 'serial.log'}",
        "-drive", f"if=pflash,format=raw,readonly=on,file={code}",
        "-drive", f"if=pflash,format=raw,file={folder / 'variables.fd'}",
        "-drive", f"if=virtio,format=qcow2,cache=unsafe,discard=unmap,file={overlay}",
        "-drive", f"if=virtio,format=raw,readonly=on,file={_seed(name, user_data, folder)}",
        "-netdev", f"user,id=net,hostfwd=tcp:{address}:22-:22",
        "-device", "virtio-net-pci,netdev=net", "-device", "virtio-rng-pci",
    ]
    # fmt: on
    return process.spawn(command, log=folder / "qemu.log")


def stop(guest: subprocess.Popen[bytes]) -> None:
    process.stop(guest, STOP_SECONDS)


def _seed(name: str, user_data: bytes, folder: Path) -> Path:
    """The user data as cloud-init's NoCloud disk."""
    (folder / "user-data").write_bytes(user_data)
    (folder / "meta-data").write_text(f"instance-id: {name}\n")
    seed = folder / "seed.img"
    process.run(["mformat", "-C", "-f", "1440", "-v", "cidata", "-i", seed, "::"])
    process.run(["mcopy", "-i", seed, folder / "user-data", folder / "meta-data", "::"])
    return seed
