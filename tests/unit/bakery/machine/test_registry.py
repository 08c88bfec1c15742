from pathlib import Path

import pytest

from bakery.host.errors import BakeryError
from bakery.machine.registry import Hive
from doubles.hives import make_hive

SERVICE = r"ControlSet001\Services\WinRM"


@pytest.fixture
def hive(tmp_path: Path) -> Hive:
    path = tmp_path / "SYSTEM"
    path.write_bytes(
        make_hive({"Select": {"Current": 1}, SERVICE: {"Start": 4, "ImagePath": "svchost -k x"}, "Empty": {}})
    )
    return Hive(path)


def test_keys_and_values(hive: Hive) -> None:
    assert hive.list_keys("ControlSet001") == ["Services"]
    assert hive.read_values(SERVICE) == {"start": 4, "imagepath": "svchost -k x"}
    assert hive.read_values(r"controlset001\SERVICES\winrm")["start"] == 4


def test_what_is_not_there_has_nothing(hive: Hive) -> None:
    assert hive.list_keys("Empty") == []
    assert hive.read_values("Empty") == {}
    assert hive.list_keys(r"ControlSet002\Services") == []
    assert hive.read_values(r"ControlSet001\Services\Other") == {}


@pytest.mark.parametrize("content", [b"", b"regf", bytes(8192), b"x" * 8192])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "SYSTEM"
    path.write_bytes(content)
    with pytest.raises(BakeryError, match="not a registry hive"):
        Hive(path)
