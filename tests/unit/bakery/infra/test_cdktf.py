"""The cdktf command: how it is called, and how its failures read."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bakery.host.errors import BakeryError, OutageError, PartialError, UsageError
from bakery.host.events import Event
from bakery.infra.cdktf import Cdktf
from bakery.model import documents
from bakery.model.project import Project

KEYS = {"AWS_SECRET_ACCESS_KEY": "hidden-value", "BAKERY_ENVIRONMENT": "prod"}


@pytest.fixture
def program(fake: Callable[[str], Any]) -> Any:
    return fake("cdktf")


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def cdktf(project: Project, events: list[Event]) -> Cdktf:
    return Cdktf(project, KEYS, project.logs / "cdktf.log", events.append)


def test_the_command_lines(program: Any, cdktf: Cdktf, project: Project) -> None:
    program.answer("deploy", outputs={"images": {}})
    cdktf.synth()
    cdktf.deploy("distribution", "images")
    output = f"--output={project.workspace}/cdktf.out"
    unattended = ["--auto-approve", "--no-color", "--parallelism=1"]
    shown = [[part for part in call["argv"] if not part.startswith("--outputs-file=")] for call in program.calls]
    assert shown == [
        ["synth", output],
        ["deploy", "distribution", "images", *unattended, output],
    ]
    assert {call["cwd"] for call in program.calls} == {str(project.root)}


def test_deploy_gives_the_outputs_and_leaves_no_file(program: Any, cdktf: Cdktf, project: Project) -> None:
    program.answer("deploy", outputs={"images": {"images": {"web": 1}}})
    assert cdktf.deploy("images") == {"images": {"images": {"web": 1}}}
    assert not list(project.workspace.glob(".outputs*"))


def test_its_environment_is_ours(program: Any, cdktf: Cdktf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNRELATED", "x")
    cdktf.synth()
    [call] = program.calls
    assert call["env"]["AWS_SECRET_ACCESS_KEY"] == "hidden-value"
    assert call["env"]["BAKERY_ENVIRONMENT"] == "prod"
    assert call["env"]["CI"] == "true"
    assert "UNRELATED" not in call["env"]


def test_a_failure_says_why_and_where(program: Any, cdktf: Cdktf, project: Project, events: list[Event]) -> None:
    program.answer("deploy", code=1, stdout="images  ╷\n        │ Error: no such bucket: hidden-value\n", outputs={})
    with pytest.raises(BakeryError, match="cannot deploy images: no such bucket: <redacted>") as caught:
        cdktf.deploy("images")
    assert caught.value.where == str(project.workspace / "cdktf.out" / "stacks" / "images")
    assert caught.value.log == project.logs / "cdktf.log"
    assert "hidden-value" not in caught.value.log.read_text()
    assert [event.kind for event in events if event.kind != "progress"] == ["start", "failed"]


@pytest.mark.parametrize("kind", [BakeryError, UsageError, PartialError, OutageError])
def test_what_our_own_program_refuses_is_the_error(
    program: Any, cdktf: Cdktf, project: Project, kind: type[BakeryError]
) -> None:
    refusal = kind("account hidden-value is unknown", where="demo.yaml:3", detail="a\nhint: b", hint="look it up")
    document = json.loads(documents.dump(documents.ErrorDocument.of(refusal)))
    program.answer("synth", code=1, error=document)
    with pytest.raises(BakeryError) as caught:
        cdktf.synth()
    assert type(caught.value) is kind
    assert caught.value.message == "account <redacted> is unknown"
    assert (caught.value.where, caught.value.detail, caught.value.hint) == ("demo.yaml:3", "a\nhint: b", "look it up")
    assert caught.value.log == project.logs / "cdktf.log"
    assert not list(project.workspace.glob(".error*"))


def test_what_it_prints_is_told(program: Any, cdktf: Cdktf, events: list[Event]) -> None:
    program.answer("synth", stdout="Generated Terraform code")
    cdktf.synth()
    assert "Generated Terraform code" in [event.text for event in events if event.kind == "progress"]


def test_cdktf_that_is_not_there(cdktf: Cdktf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BakeryError, match="cdktf is not installed"):
        cdktf.synth()
