"""A child is due when the content of its parent changes, and not when its bytes do."""

import json

from unit.bakery.cli.cli_runner import CliRunner


def rebuild_base(bakery: CliRunner, number: int) -> None:
    """Make the parent anew: of other inputs, with other bytes."""
    bakery.write("packer/base/debian/network.yaml", f"# comment {number}\n")
    bakery.content["base"] = f"bytes {number}"


def test_a_parent_with_equal_content_leaves_its_child_alone(bakery: CliRunner) -> None:
    bakery.packages["base"] = {"openssl": "3.0.17-1"}
    bakery.entries["base"] = {"/etc/issue": "11111111"}
    parent, child = bakery.line()
    assert child.inputs["base"] == parent.content_digest
    rebuild_base(bakery, 1)
    (parent,) = bakery.line()
    assert (parent.version, [step for step in bakery.did if step.startswith("bake")]) == ("1.0.1", ["bake base"])
    reason = "inputs unchanged; not refreshed; base was rebuilt as 1.0.1 with the content of 1.0.0"
    [action] = [action for action in json.loads(bakery("plan", "--json").out)["actions"] if action["image"] == "web"]
    assert (action["kind"], action["reason"]) == ("keep", reason)
    assert "base was rebuilt as 1.0.1 with the content of 1.0.0" in " ".join(bakery("explain", "web").out.split())
    bakery.entries["base"] = {"/etc/issue": "22222222"}
    rebuild_base(bakery, 2)
    parent, child = bakery.line()
    assert (parent.version, child.version) == ("1.0.2", "1.0.1")
    assert (child.inputs["base"], child.base.sha256 if child.base else "") == (parent.content_digest, parent.sha256)


def test_a_parent_whose_content_becomes_known_later_leaves_its_child_alone(bakery: CliRunner) -> None:
    """As after an upgrade: the records of an older release have no content digest."""
    parent, child = bakery.line()
    assert (parent.content_digest, child.inputs["base"]) == ("", parent.raw_sha256)
    bakery.packages["base"] = {"openssl": "3.0.17-1"}
    bakery.entries["base"] = {"/etc/issue": "11111111"}
    assert bakery("publish", "base").code == 0
    bakery.line()
    assert bakery.did == []
    assert bakery.states("web") == {"1.0.0": "complete"}
