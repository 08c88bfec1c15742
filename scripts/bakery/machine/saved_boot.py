"""A booted guest in files: memory, devices and disk, from which the machine of a bake goes on instead of booting.

The state of a machine fits only the same devices at the same addresses. packer/templates/qemu/qemu.sh starts both
machines and refuses a saved boot of another one; `_options` has the options of packer-plugin-qemu 1.0.9 for it.
"""

import base64
import hashlib
import json
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakery.host import process
from bakery.host.errors import BakeryError
from bakery.host.waiting import wait_until
from bakery.machine import qemu, ssh
from bakery.machine.guest import (
    ADDRESS,
    NO_SHARING,
    STOP_SECONDS,
    Guest,
    Patience,
    await_ssh,
    socket_folder,
    write_ssh_config,
)
from bakery.machine.qmp import Monitor, open_monitor

FOLDER = "/run/bakery"  # in the guest's memory: nothing of it reaches the disk
USER = "root"
SETTLE_SECONDS = 600.0  # the rest of a boot, after the first login, takes 10 s on an idle machine
SAVE_SECONDS = 600.0  # to save it takes one or two
POLL_SECONDS = 0.1
LONGEST_PAUSE = 2_000_000  # of the guest in milliseconds, QEMU's maximum: the guest stops at once, and then is saved
FASTEST = 1 << 40  # bytes per second, more than any disk takes

# Stops the timers, which would start when the clock jumps ahead, and removes the host keys and the authorized key of
# this guest: the seed of the bake brings others.
SETTLE = f"""
set -eu
mkdir -m 700 {FOLDER}
echo %s | base64 -d >{FOLDER}/wake.py
systemctl is-system-running --wait || true
systemctl stop '*.timer'
rm -f /etc/ssh/ssh_host_* "$HOME/.ssh/authorized_keys"
systemd-run --quiet --collect --unit=bakery-wake --property=StandardError=journal+console \\
    /usr/bin/python3 {FOLDER}/wake.py
until [ -e {FOLDER}/ready ]; do
    systemctl --quiet is-active bakery-wake || exit 1
    sleep 0.1
done
sync
"""


@dataclass(frozen=True)
class SavedBoot:
    """A folder with a saved guest. Its disk is an overlay on the file beside it, and never written to."""

    folder: Path

    @property
    def disk(self) -> Path:
        return self.folder / "disk.qcow2"

    @property
    def base(self) -> Path:
        """A second name of the file that the guest booted, a base or a layer; it stays if the first name is removed."""
        return self.folder / "base.qcow2"

    @property
    def memory(self) -> Path:
        """Memory and devices, as QEMU writes them, compressed."""
        return self.folder / "memory.zst"

    @property
    def machine(self) -> Path:
        """The options of QEMU that the guest sees."""
        return self.folder / "machine"


def seed_files(public_key: str, host_key: ssh.HostKey) -> dict[str, str]:
    """The files of a seed for a guest that is saved; packer/templates/user-data.pkrtpl has the same for a bake."""
    public = host_key.path.with_name(f"{host_key.path.name}.pub").read_text()
    user_data: dict[str, Any] = {
        "disable_root": False,
        "users": [{"name": USER, "ssh_authorized_keys": [public_key]}],
        "ssh_keys": {"ed25519_private": host_key.path.read_text(), "ed25519_public": public.strip()},
        "cloud_init_modules": ["users-groups", "ssh"],
        "cloud_config_modules": [],
        "cloud_final_modules": [],
    }
    return {
        # A new one each time: cloud-init takes no keys from a seed whose ID it knows, and a layer may know that of the
        # saved boot that it was made from.
        "meta-data": json.dumps({"instance-id": hashlib.sha256(public_key.encode()).hexdigest()[:32]}),
        "user-data": "#cloud-config\n" + json.dumps(user_data),
        # As large as in the seed of a bake: the guest remembers the size of the medium.
        "authorized_keys": public_key,
        "ssh_host_ed25519_key": host_key.path.read_text(),
        "ssh_host_ed25519_key.pub": public,
    }


@dataclass(frozen=True)
class Boot:
    """A boot to save: `launcher` is qemu.sh, `serial` gets the console, `seconds` is how long the guest may take."""

    launcher: Path
    accelerator: str
    seconds: float
    serial: Path

    @property
    def wake(self) -> Path:
        """The program that waits in the guest until it is restored."""
        return self.launcher.with_name("linux") / "wake.py"


def save_boot(boot: Boot, target: SavedBoot, network: Sequence[str | Path]) -> None:
    """Boot `target.base` as a bake would, and save the guest in the folder; BakeryError if that fails.

    `network` are the words before a command that give it the network of a bake: the guest keeps the answer of DHCP.
    """
    boot.serial.parent.mkdir(parents=True, exist_ok=True)
    words: list[str | Path] = [boot.launcher, boot.accelerator, str(boot.seconds), boot.serial, target.folder]
    process.run(
        [*network, sys.executable, "-P", "-m", "bakery.machine.saved_boot", *words],
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
        timeout=boot.seconds + SETTLE_SECONDS + SAVE_SECONDS,
    )


def main() -> None:
    """The part of `save_boot` that runs in the network of a bake, in a process of its own."""
    launcher, accelerator, seconds, serial, folder = sys.argv[1:]
    try:
        _save_boot(Boot(Path(launcher), accelerator, float(seconds), Path(serial)), SavedBoot(Path(folder)))
    except BakeryError as error:
        sys.exit(f"{error.message}\n{error.detail}")


def _save_boot(boot: Boot, target: SavedBoot) -> None:
    with socket_folder() as sockets:
        keys = sockets / "keys"
        keys.mkdir()
        key = ssh.make_key(keys)
        guest = Guest(ADDRESS, qemu.free_port(), USER, key, keys / "ssh_config", boot.serial)
        write_ssh_config(guest, NO_SHARING)
        process.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", target.base.name, target.disk])
        log = sockets / "qemu.log"
        options = _options(target.disk, _make_seed(keys, key), guest, sockets, boot.accelerator)
        qemu_process = process.spawn([boot.launcher, *options], log=log, env={"QEMU_MACHINE": str(target.machine)})
        try:
            await_ssh(guest, qemu_process, Patience(boot.seconds, boot.seconds), log)
            script = SETTLE % base64.b64encode(boot.wake.read_bytes()).decode()
            guest.ssh(script, timeout=SETTLE_SECONDS)
            with open_monitor(sockets / "monitor") as monitor:
                _save_memory(monitor, target.memory)
                monitor.run("quit")
            qemu_process.wait(STOP_SECONDS)  # it writes the rest of the disk
        finally:
            process.stop(qemu_process, STOP_SECONDS)


def _make_seed(keys: Path, key: Path) -> Path:
    content = keys / "seed"
    content.mkdir()
    public_key = key.with_name(f"{key.name}.pub").read_text().strip()
    for name, text in seed_files(public_key, ssh.make_host_key(keys)).items():
        (content / name).write_text(text)
    image = keys / "seed.iso"
    process.run(["xorriso", "-as", "genisofs", "-rock", "-joliet", "-volid", "cidata", "-o", image, content])
    return image


def _options(disk: Path, seed: Path, guest: Guest, sockets: Path, accelerator: str) -> list[str]:
    """QEMU's options: as Packer gives them for a bake, and a monitor."""
    code, template = qemu.firmware()
    variables = sockets / "variables.fd"
    shutil.copyfile(template, variables)
    machine = qemu.MACHINE
    # fmt: off
    return [
        "-machine", f"type={machine.type},accel={accelerator}",
        "-cpu", machine.cpu,
        "-smp", str(qemu.count_cpus(accelerator)),
        "-m", f"{machine.memory_mib}M",
        "-vnc", "none",
        "-serial", f"file:{guest.serial}",
        "-drive", f"file={disk},if=virtio,cache=unsafe,discard=unmap,format=qcow2,detect-zeroes=unmap",
        "-drive", f"file={seed},media=cdrom",
        "-drive", f"file={code},if=pflash,unit=0,format=raw,readonly=on",
        "-drive", f"file={variables},if=pflash,unit=1,format=raw",
        "-netdev", f"user,id=user.0,hostfwd=tcp:{ADDRESS}:{guest.ssh_port}-:22",
        "-device", "virtio-net,netdev=user.0",
        "-object", "rng-random,id=rng0,filename=/dev/urandom",
        "-device", "virtio-rng-pci,rng=rng0",
        "-global", "virtio-blk-pci.werror=report",
        "-qmp", f"unix:{sockets / 'monitor'},server=on,wait=off",
    ]
    # fmt: on


def _save_memory(monitor: Monitor, target: Path) -> None:
    """Stop the guest and write its memory and devices to a file."""
    monitor.run("migrate-set-parameters", **{"downtime-limit": LONGEST_PAUSE, "max-bandwidth": FASTEST})
    monitor.run("migrate", uri=f"exec:zstd -q -1 -o {shlex.quote(str(target))}")

    def probe() -> dict[str, Any] | None:
        progress: dict[str, Any] = monitor.run("query-migrate")
        return progress if progress.get("status") in ("completed", "failed", "cancelled") else None

    end = wait_until(probe, SAVE_SECONDS, POLL_SECONDS) or {}
    if end.get("status") != "completed":
        raise BakeryError(f"QEMU cannot save the guest: {end.get('error-desc') or 'it did not end in time'}")


if __name__ == "__main__":
    main()
