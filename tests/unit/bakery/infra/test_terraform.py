"""The adapter: every flag is ours, nothing secret leaves the environment."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bakery.host import process
from bakery.host.errors import BakeryError, ConflictError
from bakery.infra.terraform import Output, Terraform
from bakery.model.project import Project

Install = Callable[[str], Any]
KEYS = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "hidden-value"}


@pytest.fixture
def program(fake: Install) -> Any:
    return fake("terraform")


@pytest.fixture
def terraform(project: Project, tmp_path: Path) -> Terraform:
    folder = tmp_path / "stack"
    folder.mkdir()
    return Terraform(project, folder, KEYS, variables={"follow": True, "name": "web"}, log=tmp_path / "log")


def test_providers_are_never_locked_by_a_run(program: Any, terraform: Terraform) -> None:
    """Without a lock file, Terraform then refuses every provider."""
    terraform.init()
    [call] = program.calls
    assert "-lockfile=readonly" in call["argv"]


def test_the_command_lines(program: Any, terraform: Terraform, tmp_path: Path) -> None:
    program.answer("show", stdout="{}")
    program.answer("output", stdout="{}")
    plan = tmp_path / "plan"
    terraform.init()
    terraform.plan(plan)
    terraform.plan(plan, destroy=True)
    terraform.plan(plan, lock=False)
    terraform.show(plan)
    terraform.apply(plan)
    terraform.output()
    plans = [sorted(call["argv"][1:]) for call in program.calls if call["argv"][0] == "plan"]
    common = ["-detailed-exitcode", "-input=false", "-no-color", f"-out={plan}"]
    assert plans == [common, ["-destroy", *common], sorted(["-lock=false", *common])]
    flags = {call["argv"][0]: sorted(call["argv"][1:]) for call in program.calls if call["argv"][0] != "plan"}
    assert flags == {
        "init": ["-backend=true", "-input=false", "-lockfile=readonly", "-no-color"],
        "show": ["-json", str(plan)],
        "apply": ["-auto-approve=true", "-input=false", "-no-color", str(plan)],
        "output": ["-json"],
    }


def test_values_travel_in_the_environment(
    program: Any, terraform: Terraform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNRELATED", "x")
    terraform.plan(tmp_path / "plan")
    [call] = program.calls
    assert json.loads(call["env"]["TF_VAR_follow"]) is True
    assert call["env"]["AWS_SECRET_ACCESS_KEY"] == "hidden-value"
    assert "UNRELATED" not in call["env"]
    assert "hidden-value" not in " ".join(call["argv"])
    assert not any("var" in argument for argument in call["argv"])
    assert call["cwd"] == str(tmp_path / "stack")


def test_text_variables_are_plain_text(program: Any, terraform: Terraform, tmp_path: Path) -> None:
    terraform.plan(tmp_path / "plan")
    assert program.calls[0]["env"]["TF_VAR_name"] == "web"


@pytest.mark.parametrize(("code", "changes"), [(0, False), (2, True)])
def test_a_plan_says_whether_it_changes_anything(
    program: Any, terraform: Terraform, tmp_path: Path, code: int, changes: bool
) -> None:
    program.answer("plan", code=code)
    assert terraform.plan(tmp_path / "plan") is changes


def test_code_2_is_a_failure_elsewhere(program: Any, terraform: Terraform, tmp_path: Path) -> None:
    program.answer("apply", code=2, stderr="Error: cannot do this")
    with pytest.raises(BakeryError, match="cannot apply with Terraform: cannot do this") as caught:
        terraform.apply(tmp_path / "plan")
    assert caught.value.where == str(tmp_path / "stack")
    assert caught.value.log == tmp_path / "log"


def test_a_lock_is_a_conflict(program: Any, terraform: Terraform, tmp_path: Path) -> None:
    program.answer("plan", code=1, stderr="Error: Error acquiring the state lock\nLock Info:\n  Who:  bob@ci\n")
    with pytest.raises(ConflictError, match="locked by bob@ci"):
        terraform.plan(tmp_path / "plan")


def test_outputs_keep_their_secrets(program: Any, terraform: Terraform, tmp_path: Path) -> None:
    outputs = {"a": {"value": 1, "sensitive": False}, "b": {"value": "s3cret", "sensitive": True}}
    program.answer("output", stdout=json.dumps(outputs))
    found = terraform.output()
    assert found["a"] == Output(1, sensitive=False)
    assert found["b"].value == "s3cret"
    assert "s3cret" not in repr(found)
    assert "1" in repr(found["a"])
    assert not (tmp_path / "log").exists()


def test_the_log_has_no_credentials(program: Any, terraform: Terraform, tmp_path: Path) -> None:
    program.answer("plan", stdout="using hidden-value")
    terraform.plan(tmp_path / "plan")
    assert "using <redacted>" in (tmp_path / "log").read_text()


def test_lines_are_heard_but_not_those_that_may_hold_secrets(program: Any, project: Project, tmp_path: Path) -> None:
    lines: list[str] = []
    program.answer("plan", stdout="Refreshing state")
    program.answer("show", stdout='{"password": "s3cret"}')
    program.answer("output", stdout="{}")
    terraform = Terraform(project, tmp_path, KEYS, on_output=lines.append)
    terraform.plan(tmp_path / "plan")
    terraform.show(tmp_path / "plan")
    terraform.output()
    assert [line for line in lines if line] == ["Refreshing state"]


def test_the_packages_own_log_is_silent(
    program: Any, terraform: Terraform, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        terraform.plan(tmp_path / "plan")
    assert not [record for record in caplog.records if record.name.startswith("python_terraform")]


def test_a_damaged_local_state_is_not_read(program: Any, project: Project, tmp_path: Path) -> None:
    (tmp_path / "terraform.tfstate").write_text("not JSON")
    Terraform(project, tmp_path, {}).init()


def test_it_is_interrupted_once(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second signal would make it drop what it has not saved."""
    monkeypatch.setattr(process, "GRACE_SECONDS", 0.05)
    program = project.tool_bin / "terraform"
    script = f"trap 'echo >> {tmp_path}/signals; sleep 0.5; exit 1' INT TERM; while :; do sleep 0.01; done"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    with pytest.raises(BakeryError, match="did not end within"):
        Terraform(project, tmp_path, {}, seconds=0.3).apply(tmp_path / "plan")
    assert (tmp_path / "signals").read_text() == "\n"


def test_terraform_that_is_not_there(project: Project, tmp_path: Path) -> None:
    with pytest.raises(BakeryError, match="not installed"):
        Terraform(project, tmp_path, {"PATH": str(tmp_path), "TERRAFORM_BINARY_NAME": "no-such-program"}).init()


def test_only_the_adapter_imports_the_package() -> None:
    sources = Path(__file__).parents[4] / "scripts" / "bakery"
    importing = [path.name for path in sources.rglob("*.py") if "import python_terraform" in path.read_text()]
    assert importing == ["terraform.py"]
