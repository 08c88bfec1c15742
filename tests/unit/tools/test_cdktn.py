"""The comparison with CDK Terrain: it sees what matters, and nothing else."""

from pathlib import Path

import pytest

from tools import cdktn

STACK = {
    "//": {"metadata": {"version": "0.21.0"}},
    "terraform": {
        "required_version": ">= 1.10",
        "required_providers": {"aws": {"source": "aws", "version": "5.100.0"}},
    },
    "resource": {"aws_kms_key": {"key": {"//": {"metadata": {"path": "a/key"}}, "enable_key_rotation": True}}},
}


def test_versions_of_the_framework_and_its_providers_are_no_difference() -> None:
    newer = {**STACK, "//": {}, "terraform": {"required_version": ">= 1.10", "required_providers": {}}}
    assert list(cdktn.compare({"a": STACK}, {"a": newer})) == []


def test_a_changed_argument_is_shown_by_stack() -> None:
    changed = {**STACK, "resource": {"aws_kms_key": {"key": {"enable_key_rotation": False}}}}
    shown = list(cdktn.compare({"a": STACK, "b": STACK}, {"a": changed, "b": STACK}))
    assert shown[:2] == ["--- cdktf/a", "+++ cdktn/a"]
    assert [line.split() for line in shown if line[0] in "+-"][2:] == [
        ["-", '"enable_key_rotation":', "true"],
        ["+", '"enable_key_rotation":', "false"],
    ]


def test_a_missing_stack_is_a_difference() -> None:
    assert "--- cdktf/a" in list(cdktn.compare({"a": STACK}, {}))


def test_only_what_cannot_be_bound_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "cdktf" / "environments"
    place.mkdir(parents=True)
    (place / "production.yaml").write_text(
        "name: production\n\n# Ours.\nvsphere:\n  a: 1\n\n  # More.\n  b: 2\nazure:\n  c: 3\n"
    )
    monkeypatch.setattr(cdktn, "ROOT", tmp_path)
    cdktn.write_environment(tmp_path / "written")
    text = (tmp_path / "written" / "production.yaml").read_text()
    assert text == "name: production\n\n# Ours.\nazure:\n  c: 3\n"
