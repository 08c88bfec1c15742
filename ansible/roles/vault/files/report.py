"""Reports to CloudWatch how full the disks are, whether this node is sealed and, where it leads, what voters lack."""

import json
import shutil
import sys

from node import Node, leads, run

DISKS = {"DataDiskUsed": "/var/lib/vault", "AuditDiskUsed": "/var/log/vault"}


def main(node: Node) -> None:
    for name, folder in DISKS.items():  # first, since a server whose disk is full may not answer
        node.report(name, used_percent(folder))
    status = node.status()
    node.report("Sealed", int(status["sealed"]))
    if leads(status):
        # Not nodes less healthy voters: dead voters that Vault has not forgotten raise the quorum.
        should = (node.metrics["nodes"] - 1) // 2
        node.report("VotersMissing", max(0, should - failure_tolerance(node)))


def used_percent(folder: str) -> float:
    """Share of what Vault can use: the file system keeps a reserve for root."""
    disk = shutil.disk_usage(folder)
    return 100 * disk.used / (disk.used + disk.free)


def failure_tolerance(node: Node) -> int:
    """How many servers the cluster can lose."""
    with node.login() as token:
        answer = json.loads(node.vault("read", "-format=json", "sys/storage/raft/autopilot/state", token=token))
    return int(answer["data"]["failure_tolerance"])


if __name__ == "__main__":
    sys.exit(run("report", main))
