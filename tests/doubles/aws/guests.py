"""Guests for the instances of the stand-in: what boots an instance is real, where it runs is not EC2.

Each instance that starts gets a QEMU guest from a throwaway overlay of one disk, whatever its image is. The guest sees
the instance's user data as its cloud-init seed, and answers SSH at the instance's address (127.77.0.x, port 22: only
root may listen there). It ends when the instance is stopped or terminated.
"""

import base64
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bakery import process, qemu

LOOK_SECONDS = 0.5
STOP_SECONDS = 5.0
ALIVE = ("pending", "running")


@contextmanager
def guests(ec2: Any, disk: Path, folder: Path, accelerator: str) -> Iterator[None]:
    """Look after the guests of one region until the end of the block; serial logs stay in `folder`."""
    keeper = _Keeper(ec2, disk, folder, accelerator)
    thread = threading.Thread(target=keeper.run)
    thread.start()
    try:
        yield
    finally:
        keeper.ended.set()
        thread.join()


class _Keeper:
    def __init__(self, ec2: Any, disk: Path, folder: Path, accelerator: str) -> None:
        self.ended = threading.Event()
        self._ec2 = ec2
        self._disk = disk
        self._folder = folder
        self._accelerator = accelerator
        self._guests: dict[str, subprocess.Popen[bytes]] = {}

    def run(self) -> None:
        try:
            while not self.ended.wait(LOOK_SECONDS):
                self._look()
        finally:
            for guest in self._guests.values():
                process.stop(guest, STOP_SECONDS)

    def _look(self) -> None:
        pages = self._ec2.describe_instances()["Reservations"]
        alive = {
            instance["InstanceId"]: instance["PublicIpAddress"]
            for page in pages
            for instance in page["Instances"]
            if instance["State"]["Name"] in ALIVE
        }
        for name in alive.keys() - self._guests.keys():
            self._guests[name] = self._boot(name, alive[name])
        for name in self._guests.keys() - alive.keys():
            process.stop(self._guests.pop(name), STOP_SECONDS)

    def _boot(self, name: str, address: str) -> subprocess.Popen[bytes]:
        folder = self._folder / name
        folder.mkdir(parents=True)
        overlay, code, variables = folder / "disk.qcow2", *qemu.firmware()
        process.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", self._disk.resolve(), overlay])
        (folder / "variables.fd").write_bytes(variables.read_bytes())
        # fmt: off
        command = [
            qemu.SYSTEM,
            "-machine", f"{qemu.MACHINE.type},accel={self._accelerator}", "-cpu", qemu.MACHINE.cpu,
            "-smp", str(qemu.MACHINE.cpus), "-m", str(qemu.MACHINE.memory_mib),
            "-nodefaults", "-display", "none", "-serial", f"file:{folder / 'serial.log'}",
            "-drive", f"if=pflash,format=raw,readonly=on,file={code}",
            "-drive", f"if=pflash,format=raw,file={folder / 'variables.fd'}",
            "-drive", f"if=virtio,format=qcow2,cache=unsafe,discard=unmap,file={overlay}",
            "-drive", f"if=virtio,format=raw,readonly=on,file={self._seed(name, folder)}",
            "-netdev", f"user,id=net,hostfwd=tcp:{address}:22-:22",
            "-device", "virtio-net-pci,netdev=net", "-device", "virtio-rng-pci",
        ]
        # fmt: on
        return process.spawn(command, log=folder / "qemu.log")

    def _seed(self, name: str, folder: Path) -> Path:
        """The user data as cloud-init's NoCloud disk."""
        told = self._ec2.describe_instance_attribute(InstanceId=name, Attribute="userData")
        (folder / "user-data").write_bytes(base64.b64decode(told["UserData"]["Value"]))
        (folder / "meta-data").write_text(f"instance-id: {name}\n")
        seed = folder / "seed.img"
        process.run(["mformat", "-C", "-f", "1440", "-v", "cidata", "-i", seed, "::"])
        process.run(["mcopy", "-i", seed, folder / "user-data", folder / "meta-data", "::"])
        return seed
