"""Saves a snapshot of all data to the bucket, every so many hours, on the node that leads.

Looks more often than that: so a failed one is tried again soon, and a node that begins to lead begins with one.
"""

import sys
import tempfile
import time
from pathlib import Path

from node import Node, leads, run

SAVED = Path("/var/lib/vault-node/saved")  # the time span in which the last one was saved
HOUR = 3600


def main(node: Node) -> None:
    now = time.time()
    span = str(int(now // (node.snapshots["every_hours"] * HOUR)))
    if (SAVED.exists() and SAVED.read_text() == span) or not leads(node.status()):
        return
    with tempfile.TemporaryDirectory() as folder:  # of this unit only (PrivateTmp=), and gone with it
        path = Path(folder) / "snapshot"
        with node.login() as token:
            node.vault("operator", "raft", "snapshot", "save", str(path), token=token)
        upload(node, path, time.strftime("%Y-%m-%dT%H-%M-%SZ", time.gmtime(now)))
    SAVED.write_text(span)
    node.report("SnapshotSaved", 1)


def upload(node: Node, path: Path, name: str) -> None:
    """With a checksum: a bucket with a lock takes nothing without (S3 User Guide, "Object Lock considerations")."""
    key = f"{node.metrics['cluster']}/{name}.snap"
    node.aws("s3").upload_file(str(path), node.snapshots["bucket"], key, ExtraArgs={"ChecksumAlgorithm": "SHA256"})


if __name__ == "__main__":
    sys.exit(run("snapshot", main))
