"""Which packages are asked for, who may install them, and what the others are told."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tools import system
from tools.progress import SetupError

if TYPE_CHECKING:
    from unit.tools.conftest import FakeTool

DEBIAN = {"ID": "debian", "PRETTY_NAME": "Debian"}


@pytest.fixture(autouse=True)
def debian(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: DEBIAN)


def test_every_package_in_the_list_has_a_reason() -> None:
    lines = [line for line in system.PACKAGES.read_text().splitlines() if line and not line.startswith("#")]
    assert all(line.partition("#")[2].strip() for line in lines)
    assert len(lines) > len(system.wanted()) - 1


def test_only_packages_that_dpkg_calls_installed_count(bench: "FakeTool") -> None:
    bench.put_on_path("dpkg-query", "#!/bin/sh\necho mtools installed\necho fdisk config-files\nexit 1\n")
    assert system.missing(["mtools", "fdisk", "ovmf"]) == ["fdisk", "ovmf"]


def test_python3_venv_counts_only_where_python_lacks_ensurepip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "_has_ensurepip", lambda: True)
    assert "python3-venv" not in system.wanted()
    monkeypatch.setattr(system, "_has_ensurepip", lambda: False)
    assert "python3-venv" in system.wanted()


def test_a_user_without_root_and_sudo_gets_the_exact_command(
    bench: "FakeTool", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    bench.put_on_path("sudo", "#!/bin/sh\nexit 1\n")
    with pytest.raises(SetupError, match="may not install them: ovmf xorriso") as error:
        system.require(["ovmf", "xorriso"])
    assert "apt-get install --no-install-recommends -y ovmf xorriso" in error.value.hint


def test_sudo_without_a_password_is_used(bench: "FakeTool", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    calls = bench.bin / "sudo.calls"
    bench.put_on_path("sudo", f'#!/bin/sh\necho "$*" >> {calls}\n')
    system.install(["ovmf"], system.require(["ovmf"]), bench.progress)
    asked, update, install = calls.read_text().splitlines()
    assert asked == "-n true"
    assert update.startswith("-n env DEBIAN_FRONTEND=noninteractive apt-get")
    assert update.endswith("update")
    assert install.endswith("install --no-install-recommends -y ovmf")


def test_other_systems_are_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    fedora = {"ID": "fedora", "PRETTY_NAME": "Fedora Linux 43"}
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: fedora)
    with pytest.raises(SetupError, match="Fedora Linux 43 is not supported"):
        system.missing(["ovmf"])


def test_ubuntu_is_like_debian(bench: "FakeTool", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: {"ID": "ubuntu", "ID_LIKE": "debian"})
    bench.put_on_path("dpkg-query", "#!/bin/sh\necho ovmf installed\n")
    assert system.missing(["ovmf"]) == []


def test_a_failing_apt_shows_what_it_said(bench: "FakeTool", tmp_path: Path) -> None:
    bench.put_on_path("apt-get", "#!/bin/sh\necho E: Unable to locate package ovmf\nexit 100\n")
    with pytest.raises(SetupError, match="Unable to locate package ovmf"):
        system.install(["ovmf"], [], bench.progress)
