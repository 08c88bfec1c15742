"""Makes Vault's two disks on the first boot, and mounts them on each: the bigger one for data, the other for audit.

By what is on them, since their names differ from boot to boot. A disk with anything on it is never formatted.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

DATA, AUDIT = "vault-data", "vault-audit"  # ext4 takes 16 characters
FOLDERS = {DATA: Path("/var/lib/vault"), AUDIT: Path("/var/log/vault")}
NOTHING_FOUND = 2  # exit code of blkid --probe
LOOKED_AT = 1 << 20  # bytes at the start that must be zero, whatever blkid knows


class RefusedError(Exception):
    """A person has to look."""


@dataclass(frozen=True)
class Disk:
    """`label` is that of the file system right on it; `blank` says that there is nothing on it at all."""

    path: str
    size: int
    label: str
    blank: bool

    def __str__(self) -> str:
        return f"{self.path} ({self.size} bytes, {'blank' if self.blank else self.label or 'in use'})"


def main() -> int:
    try:
        places = assign(disks())
        for label in (DATA, AUDIT):  # in this order: see `assign`
            place(label, places[label])
    except (RefusedError, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"vault-node: disks: {error}\n")
        return 1
    return 0


def disks() -> "list[Disk]":
    """All that could hold something, in any state."""
    columns = "PATH,SIZE,TYPE,RO"
    found = json.loads(output("lsblk", "--json", "--bytes", "--nodeps", "--output", columns))["blockdevices"]
    return [look(one["path"], one["size"]) for one in found if one["type"] == "disk" and not one["ro"]]


def look(path: str, size: int) -> Disk:
    """At the disk itself: what udev remembers of it may be old."""
    probe = ["blkid", "--probe", "--output", "export", path]
    done = subprocess.run(probe, stdout=subprocess.PIPE, text=True)
    known = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    return Disk(path, size, known.get("LABEL", ""), done.returncode == NOTHING_FOUND and starts_with_zeros(path))


def starts_with_zeros(path: str) -> bool:
    with Path(path).open("rb") as disk:
        return not any(disk.read(LOOKED_AT))


def assign(found: "list[Disk]") -> "dict[str, Disk]":
    """Which disk is for what.

    The data disk is made first. So one for data alone is what an interrupted first boot leaves, or a new audit disk;
    one for audit logs alone says that the data is elsewhere.
    """
    listed = ", ".join(str(disk) for disk in found) or "none"
    data, audit = ([disk for disk in found if disk.label == label] for label in (DATA, AUDIT))
    blank = sorted((disk for disk in found if disk.blank), key=lambda disk: -disk.size)
    if len(data) == len(audit) == 1:
        return {DATA: data[0], AUDIT: audit[0]}
    if len(data) == 1 and not audit and len(blank) == 1:
        return {DATA: data[0], AUDIT: blank[0]}
    if data or audit:
        raise RefusedError(f"there must be one disk labelled {DATA} and one labelled {AUDIT}; found: {listed}")
    if len(blank) != len(FOLDERS) or blank[0].size == blank[1].size:
        raise RefusedError(f"a first boot needs two blank disks of different sizes, and no third; found: {listed}")
    return {DATA: blank[0], AUDIT: blank[1]}


def place(label: str, disk: Disk) -> None:
    """Owner and mode are the unit's (StateDirectory= and LogsDirectory= of vault.service)."""
    folder = FOLDERS[label]
    if disk.blank:
        output("mkfs.ext4", "-q", "-L", label, disk.path)
    if not os.path.ismount(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        output("mount", "-t", "ext4", "-o", "noexec,nodev,nosuid", disk.path, str(folder))


def output(*command: str) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    sys.exit(main())
