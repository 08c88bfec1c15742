"""The entry point: one message for an expected failure."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from bakery.host.errors import OutageError

PATH = Path(__file__).parents[3] / "cdktf" / "main.py"


@pytest.fixture
def entry() -> ModuleType:
    spec = importlib.util.spec_from_file_location("entry", PATH)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_is_short() -> None:
    assert len(PATH.read_text().splitlines()) <= 30


def test_a_mistake_is_one_message(
    entry: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(PATH.parents[1])
    monkeypatch.setenv("BAKERY_ENVIRONMENT", "dmeo")
    assert entry.main() == 64
    printed = capsys.readouterr().err
    assert "error: cdktf/environments: no environment named 'dmeo'\n" in printed
    assert "hint: did you mean 'demo'?" in printed
    assert "Traceback" not in printed


def test_who_started_it_gets_a_document(
    entry: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(PATH.parents[1])
    monkeypatch.setenv("BAKERY_ENVIRONMENT", "dmeo")
    monkeypatch.setenv("BAKERY_ERROR_FILE", str(tmp_path / "error.json"))
    assert entry.main() == 64
    document = json.loads((tmp_path / "error.json").read_text())
    assert document == {
        "message": "no environment named 'dmeo'",
        "where": "cdktf/environments",
        "detail": "",
        "hint": "did you mean 'demo'? BAKERY_ENVIRONMENT can be demo, production, small, staging",
        "exit_code": 64,
        "log": "",
        "schema": "bakery/error/1",
    }
    assert capsys.readouterr().err.startswith("error: cdktf/environments: no environment named 'dmeo'\n")


def test_a_catalog_that_fails_is_told_with_what_names_it(
    entry: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(PATH.parents[1])
    (tmp_path / "images").touch()
    monkeypatch.setenv("BAKERY_CATALOG", str(tmp_path))
    assert entry.main() == 1
    told = f"error: BAKERY_CATALOG: the catalog cannot be read: Not a directory: {tmp_path}/images\n"
    assert told in capsys.readouterr().err

    def unreachable(location: str) -> Any:
        raise OutageError("the catalog cannot be reached", where=f"{location}/images", hint="check the network")

    monkeypatch.delenv("BAKERY_CATALOG")
    monkeypatch.setattr("bakery_stacks.program.open_store", unreachable)
    assert entry.main() == 75
    assert capsys.readouterr().err == (
        "error: cdktf/environments/demo.yaml:8: the catalog cannot be reached: s3://bakery-demo-catalog/catalog/images\n"
        "hint: check the network\n"
    )
