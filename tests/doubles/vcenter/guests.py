"""Guests for the machines of the stand-in.

A machine that is switched on gets a QEMU guest from a throwaway overlay of one disk, whatever it was cloned from. The
guest sees the machine's `guestinfo.userdata` as its cloud-init seed, answers SSH at VCENTER_ADDRESS, and ends with the
machine.
"""

import base64
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from doubles.guests import VCENTER_ADDRESS, boot, stop, wants_restart
from doubles.vcenter.client import StandIn

USER_DATA = "guestinfo.userdata"
LOOK_SECONDS = 0.5


@contextmanager
def guests(vcenter: StandIn, disk: Path, folder: Path, accelerator: str) -> Iterator[None]:
    """Look after the guests until the end of the block; serial logs stay in `folder`."""
    ended = threading.Event()
    thread = threading.Thread(target=_run, args=(ended, vcenter, disk, folder, accelerator))
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _run(ended: threading.Event, vcenter: StandIn, disk: Path, folder: Path, accelerator: str) -> None:
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        while not ended.wait(LOOK_SECONDS):
            told = {
                found["name"]: found["guestinfo"] for found in vcenter.control("GET", "machines") if found["running"]
            }
            alive = {name for name, guestinfo in told.items() if USER_DATA in guestinfo}
            for name in alive:
                if name not in running or wants_restart(running[name], folder / name):
                    user_data = base64.b64decode(told[name][USER_DATA])
                    running[name] = boot(name, disk, user_data, VCENTER_ADDRESS, folder / name, accelerator)
            for name in running.keys() - alive:
                stop(running.pop(name))
    finally:
        for guest in running.values():
            stop(guest)
