"""Reports to CloudWatch whether this node is sealed and, where it leads, how many voters the cluster lacks."""

import json
import sys

from node import Node, leads, run


def main(node: Node) -> None:
    status = node.status()
    node.report("Sealed", int(status["sealed"]))
    if leads(status):
        # Not nodes less healthy voters: dead voters that Vault has not forgotten raise the quorum.
        should = (node.metrics["nodes"] - 1) // 2
        node.report("VotersMissing", max(0, should - failure_tolerance(node)))


def failure_tolerance(node: Node) -> int:
    """How many servers the cluster can lose."""
    with node.login() as token:
        answer = json.loads(node.vault("read", "-format=json", "sys/storage/raft/autopilot/state", token=token))
    return int(answer["data"]["failure_tolerance"])


if __name__ == "__main__":
    sys.exit(run("report", main))
