"""A plan's JSON: what counts as what, and what is never shown. The plans are shaped as Terraform 1.11 prints them."""

from typing import Any

import pytest

from bakery.infra.changes import Change, Difference, Drift, OutputChange, read_difference, report


def resource(*actions: str, address: str = "aws_sns_topic.news", **more: Any) -> dict[str, Any]:
    """An entry of resource_changes or resource_drift; what is not of the entry itself is of its change."""
    own: dict[str, Any] = {
        key: more.pop(key) for key in ("action_reason", "previous_address", "deposed") if key in more
    }
    return {"address": address, **own, "change": {"actions": list(actions), "before": {}, "after": {}, **more}}


def read(*resources: dict[str, Any], **plan: Any) -> Difference:
    return read_difference("images", ("network",), {"applyable": True, "resource_changes": list(resources), **plan})


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        (resource("create"), "add"),
        (resource("update"), "change"),
        (resource("delete"), "destroy"),
        (resource("delete", "create"), "replace"),
        (resource("create", "delete"), "replace"),
        (resource("forget"), "forget"),
        (resource("no-op", importing={"id": "x"}), "import"),
        (resource("update", importing={"id": "x"}), "import"),
        (resource("no-op", previous_address="aws_sns_topic.old"), "move"),
    ],
)
def test_kinds(entry: dict[str, Any], kind: str) -> None:
    [change] = read(entry).changes
    assert (change.address, change.kind) == ("aws_sns_topic.news", kind)


@pytest.mark.parametrize("action", ["no-op", "read"])
def test_what_changes_nothing_is_left_out(action: str) -> None:
    assert read(resource(action)).changes == ()


def test_attributes_are_named_down_into_maps_and_never_shown() -> None:
    before = {"name": "a", "tags": {"owner": "x", "team": "t"}, "rules": [{"port": 1}], "arn": "a"}
    after = {"name": "a", "tags": {"owner": "y", "team": "t"}, "rules": [{"port": 2}], "new": "s3cret"}
    found = read(resource("update", before=before, after=after, after_unknown={"arn": True, "tags": {}}))
    assert found.changes == (Change("aws_sns_topic.news", "change", ("arn", "new", "rules", "tags.owner")),)
    assert "s3cret" not in repr(found)


def test_an_attribute_that_is_null_until_an_apply() -> None:
    entry = resource("update", before={"id": None}, after={}, after_unknown={"id": True})
    assert read(entry).changes[0].attributes == ("id",)


def test_a_sensitive_map_keeps_its_keys() -> None:
    changed: dict[str, Any] = {"before": {"keys": {"alice": "1"}}, "after": {"keys": {"bob": "1"}}}
    entry = resource("update", **changed, after_sensitive={"keys": True})
    assert read(entry).changes[0].attributes == ("keys",)


def test_a_replacement_says_what_forces_it_and_not_every_new_id() -> None:
    entry = resource(
        "delete",
        "create",
        before={"id": "1", "name": "a"},
        after={"name": "b"},
        after_unknown={"id": True},
        replace_paths=[["name"]],
        action_reason="replace_because_cannot_update",
    )
    assert read(entry).changes == (Change("aws_sns_topic.news", "replace", ("name",), "forced by name"),)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (
            resource("delete", "create", action_reason="replace_by_triggers"),
            "a resource in its replace_triggered_by changes",
        ),
        (resource("delete", action_reason="delete_because_no_resource_config"), "the stack no longer declares it"),
        (resource("no-op", previous_address="aws_sns_topic.old"), "was aws_sns_topic.old"),
        (resource("delete", action_reason="something new"), ""),
    ],
)
def test_reasons(entry: dict[str, Any], reason: str) -> None:
    assert read(entry).changes[0].reason == reason


def test_what_an_interrupted_replacement_left_is_marked() -> None:
    [change] = read(resource("delete", deposed="0a1b")).destructive
    assert change.address == "aws_sns_topic.news (left by an interrupted replacement: 0a1b)"


def test_destructive_is_what_destroys() -> None:
    entries = [resource(*actions.split()) for actions in ("create", "update", "forget", "delete", "create delete")]
    assert [change.kind for change in read(*entries).destructive] == ["destroy", "replace"]


def output(before: Any, after: Any, **more: Any) -> dict[str, Any]:
    unmarked = {"after_unknown": False, "before_sensitive": False, "after_sensitive": False}
    return {"web": {"actions": ["update"], "before": before, "after": after, **unmarked, **more}}


def test_outputs_show_their_values() -> None:
    found = read(output_changes=output({"x": {"version": "1.0.0", "n": 1}}, {"x": {"version": "1.0.1", "n": 1}}))
    assert found.outputs == (OutputChange("web.x.version", '"1.0.0"', '"1.0.1"'),)


def test_outputs_that_come_and_go() -> None:
    assert read(output_changes=output(None, 1)).outputs == (OutputChange("web", "", "1"),)
    assert read(output_changes=output(1, None)).outputs == (OutputChange("web", "1", ""),)
    later = read(output_changes=output("a", None, after_unknown=True)).outputs
    assert later == (OutputChange("web", '"a"', "(known after apply)"),)


@pytest.mark.parametrize(
    "marks",
    [
        {"before_sensitive": True},
        {"after_sensitive": True},
        {"after_sensitive": {"key": True}},
        {"after_sensitive": {"key": [{"deep": True}]}},
        {"after_sensitive": True, "after_unknown": True},
    ],
)
def test_sensitive_outputs_never_do(marks: dict[str, Any]) -> None:
    found = read(output_changes=output({"key": ["s3cret-1"]}, {"key": ["s3cret-2"]}, **marks))
    assert "s3cret" not in repr(found)
    assert [(each.before, each.after) for each in found.outputs] == [("(sensitive)", "(sensitive)")]


def test_a_long_value_is_cut() -> None:
    [change] = read(output_changes=output("a" * 100, "b")).outputs
    assert len(change.before) == 60
    assert change.before.endswith("...")


def test_drift_is_what_the_plan_corrects() -> None:
    """Not what a cloud filled in by itself: `policy` of the same resource, and the resource that stays as it is."""
    drifted = [
        resource(
            "update", address="a.changed", before={"tags": {"x": 1}, "policy": ""}, after={"tags": {}, "policy": "p"}
        ),
        resource("update", address="a.echo", before={"policy": ""}, after={"policy": "p"}),
        resource("update", address="a.other", before={"policy": ""}, after={"policy": "p"}),
        resource("delete", address="a.gone", before={"z": 1}, after=None),
    ]
    found = read(
        resource("update", address="a.changed", before={"tags": {}}, after={"tags": {"x": 1}}),
        resource("update", address="a.other", before={"name": "a"}, after={"name": "b"}),
        resource("create", address="a.gone"),
        resource_drift=drifted,
    )
    assert found.drift == (Drift("a.changed", absent=False, attributes=("tags.x",)), Drift("a.gone", absent=True))


def test_the_report_counts_as_gitlab_does() -> None:
    """Its own template counts actions, so that a replacement is one of each; reads and moves are none."""
    first = read(resource("create"), resource("update"), resource("create", "delete"), resource("read"))
    second = read(resource("delete"), resource("no-op", previous_address="a.b"), resource("forget"))
    assert report([first, second]) == {"create": 2, "update": 1, "delete": 2}
    assert report([]) == {"create": 0, "update": 0, "delete": 0}
