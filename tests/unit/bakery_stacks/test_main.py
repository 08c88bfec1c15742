"""The entry point: one message for an expected failure."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

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
    monkeypatch.setenv("BAKERY_ENVIRONMENT", "dmeo")
    assert entry.main() == 64
    printed = capsys.readouterr().err
    assert "error: " in printed
    assert "no environment named 'dmeo'" in printed
    assert "hint: did you mean 'demo'?" in printed
    assert "Traceback" not in printed
