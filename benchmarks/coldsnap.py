"""Uploads of a raw disk by coldsnap, AWS's own program for that, to the stand-in for AWS."""

import hashlib
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import boto3
import programs
import stand_ins

from bakery.machine.block_list import BLOCK

INSTALL = f"cargo install coldsnap --locked --root {programs.FOLDER}"
ZEROS = hashlib.sha256(bytes(BLOCK)).hexdigest()


@dataclass(frozen=True)
class Coldsnap:
    """The program and its version, which it does not print: cargo's list of what it installed has it."""

    program: Path
    version: str

    def upload(self, url: str, disk: Path, *options: str) -> str:
        """The ID of the completed snapshot of a disk."""
        command = [str(self.program), "upload", "--no-progress", "--wait", *options, str(disk)]
        done = subprocess.run(
            command, env=stand_ins.environment(url), check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        return done.stdout.decode().strip()


def find() -> Coldsnap | None:
    """The program, if it is installed."""
    program = programs.find("coldsnap")
    if program is None:
        return None
    listed = program.parent.parent / ".crates.toml"
    crates = tomllib.loads(listed.read_text())["v1"] if listed.exists() else {}
    versions = (name.split()[1] for name in crates if name.startswith("coldsnap "))
    return Coldsnap(program, next(versions, "of an unknown version"))


def count_wrong_blocks(url: str, snapshot: str, digests: Mapping[int, str]) -> int:
    """How many blocks of a snapshot differ from those of a disk, whose digests leave out blocks of zeros."""
    ebs = boto3.Session("bench", "made-up", region_name=stand_ins.REGION).client("ebs", endpoint_url=url)
    found: dict[int, str] = {}
    # The stand-in gives up to 10,000 blocks, more than the disk has, in its first answer.
    for block in ebs.list_snapshot_blocks(SnapshotId=snapshot)["Blocks"]:
        answer = ebs.get_snapshot_block(
            SnapshotId=snapshot, BlockIndex=block["BlockIndex"], BlockToken=block["BlockToken"]
        )
        digest = hashlib.sha256(answer["BlockData"].read()).hexdigest()
        if digest != ZEROS:
            found[block["BlockIndex"]] = digest
    return sum(found.get(index) != digests.get(index) for index in found.keys() | digests.keys())
