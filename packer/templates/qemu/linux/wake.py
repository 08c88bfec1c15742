"""Runs inside a guest that is saved, as root: waits until the guest is restored, and makes it the guest of one bake.

The host attaches another seed to a restored guest. It has the keys of the bake, and its descriptor differs from the one
that was there when the guest was saved. The standard library of Python 3.9 has to do. The guest's boot ID, and what the
kernel drew at its start, stay those of the saved guest; nothing of that reaches the disk.
"""

import fcntl
import mmap
import os
import shutil
import subprocess
import sys
import time
import uuid
from pathlib import Path

FOLDER = Path("/run/bakery")
SERVER = Path("/run/sshd.pid")
SEED = Path("/dev/disk/by-label/cidata")
DESCRIPTOR = 16 * 2048  # offset of the first volume descriptor, which has the time when the seed was made (ISO 9660)
KEYS = ("ssh_host_ed25519_key", "ssh_host_ed25519_key.pub")
LOGINS = "authorized_keys"
POLL_SECONDS = 0.05
FLUSH = 0x1261  # BLKFLSBUF of linux/fs.h: forget what was read of a device
RESEED = 0x5207  # RNDRESEEDCRNG of linux/random.h: draw from the pool at once, not at some time within a minute


def await_seed() -> None:
    """Return when the device has another seed than when this is called."""
    page = mmap.mmap(-1, mmap.PAGESIZE)  # direct reads need an aligned buffer
    device = os.open(SEED, os.O_RDONLY | os.O_DIRECT)
    try:
        os.preadv(device, [memoryview(page)[:2048]], DESCRIPTOR)
        before = page[:2048]
        (FOLDER / "ready").touch()
        while page[:2048] == before:
            time.sleep(POLL_SECONDS)
            os.preadv(device, [memoryview(page)[:2048]], DESCRIPTOR)
        fcntl.ioctl(device, FLUSH)
    finally:
        os.close(device)


def read_seed() -> "dict[str, bytes]":
    """The files of the new seed that the bake needs, by name."""
    mount = FOLDER / "seed"
    mount.mkdir()
    subprocess.run(["mount", "-o", "ro", SEED, mount], check=True)
    try:
        return {name: (mount / name).read_bytes() for name in (*KEYS, LOGINS)}
    finally:
        subprocess.run(["umount", mount], check=True)


def replace_file(path: Path, content: bytes, mode: int) -> None:
    """Write a file anew, so that nobody reads the old one or half of the new one."""
    draft = path.with_name(path.name + ".new")
    draft.write_bytes(content)
    draft.chmod(mode)
    draft.replace(path)


def restart_server() -> None:
    """Let the SSH server take its new host key. Systems call its unit by one of these names, or by both."""
    before = SERVER.read_text()
    subprocess.run(["systemctl", "try-restart", "ssh.service", "sshd.service"], check=False)
    if SERVER.read_text() == before:
        sys.exit("the SSH server did not start again")


def main() -> None:
    await_seed()
    seed = read_seed()
    with Path("/dev/urandom").open("wb", buffering=0) as pool:
        pool.write(b"".join(seed.values()))  # the new private key, which no other guest has
        fcntl.ioctl(pool, RESEED)
    # The host's clock, which QEMU shows as the machine's. Half of the second that has begun is the best guess.
    time.clock_settime(time.CLOCK_REALTIME, int(Path("/sys/class/rtc/rtc0/since_epoch").read_text()) + 0.5)
    Path("/etc/machine-id").write_text(uuid.uuid4().hex + "\n")
    for name in KEYS:
        replace_file(Path("/etc/ssh", name), seed[name], 0o644 if name.endswith(".pub") else 0o600)
    restart_server()
    # Last: whoever can log in finds all of the above.
    replace_file(Path("/root/.ssh", LOGINS), seed[LOGINS], 0o600)
    shutil.rmtree(FOLDER)


if __name__ == "__main__":
    main()
