"""Guests for the instances of the stand-in: what boots an instance is real, where it runs is not EC2.

Each instance that starts gets a QEMU guest from a throwaway overlay of one disk, whatever its image is. The guest sees
the instance's user data as its cloud-init seed, and answers SSH at the instance's address (127.77.x.y, port 22: only
root may listen there). It ends when the instance is stopped or terminated.
"""

import base64
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from doubles.guests import boot, stop, wants_restart

LOOK_SECONDS = 0.5
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
                stop(guest)

    def _look(self) -> None:
        pages = self._ec2.describe_instances()["Reservations"]
        alive = {
            instance["InstanceId"]: instance["PublicIpAddress"]
            for page in pages
            for instance in page["Instances"]
            if instance["State"]["Name"] in ALIVE
        }
        for name, address in alive.items():
            if name not in self._guests or wants_restart(self._guests[name], self._folder / name):
                self._guests[name] = self._boot(name, address)
        for name in self._guests.keys() - alive.keys():
            stop(self._guests.pop(name))

    def _boot(self, name: str, address: str) -> subprocess.Popen[bytes]:
        told = self._ec2.describe_instance_attribute(InstanceId=name, Attribute="userData")
        user_data = base64.b64decode(told["UserData"]["Value"])
        return boot(name, self._disk, user_data, address, self._folder / name, self._accelerator)
