"""Reports to CloudWatch whether this node is sealed and, where it leads, how many voters the cluster lacks."""

import json
import sys

from node import Node, leads, run


def main(node: Node) -> None:
    status = node.status()
    node.report("Sealed", int(status["sealed"]))
    if leads(status):
        node.report("VotersMissing", node.metrics["nodes"] - healthy_voters(node))


def healthy_voters(node: Node) -> int:
    with node.login() as token:
        answer = json.loads(node.vault("read", "-format=json", "sys/storage/raft/autopilot/state", token=token))
    state = answer["data"]
    return sum(state["servers"][voter]["healthy"] for voter in state["voters"])


if __name__ == "__main__":
    sys.exit(run("report", main))
