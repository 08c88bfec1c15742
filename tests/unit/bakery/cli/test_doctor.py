"""What the doctor says about tools that are there, missing or of another version."""

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bakery.engine import toolbox
from bakery.engine.tool_checks import find_faults
from bakery.host.errors import BakeryError
from bakery.machine import network, qemu
from doubles.aws.client import StandIn
from doubles.programs import Programs
from unit.bakery.cli.cli_runner import CliRunner

PLUGINS = "\n".join(f"echo /plugins/{name}_v1.2.3_x5.0" for name in toolbox.PLUGINS)
PYTHON = 'case "$2" in *ansible*) echo 2.19.14;; *boto3*) echo 1.44.5;; *) echo App loads;; esac'


@pytest.fixture
def programs(bakery: CliRunner, tmp_path: Path) -> Programs:
    """Everything that the doctor looks for."""
    found = Programs(tmp_path / "bin", bakery.monkeypatch)
    for name in ("mcopy", "sfdisk", "xorriso", "zstd", "ssh", "debugfs", "dumpe2fs", "mdir", "fakeroot", "guestfish"):
        found.shell(name)
    tools = ("syft", "grype", "apt-get", "dnf", "rpm", "qemu-img", "qemu-system-x86_64", "mmdebstrap", "terraform")
    for name in tools:
        found.shell(name, f"echo {name} 7.2.0; echo more")
    calls = tmp_path / "packer-calls"
    found.shell("packer", f'echo $* >> {calls}; case "$1" in version) echo Packer v1.2.3;; *) {PLUGINS};; esac')
    (tmp_path / "programs" / "syft").unlink()
    found.shell("python", PYTHON)
    bakery.monkeypatch.setattr(sys, "executable", str(found.folder / "python"))
    bakery.write("node_modules/.bin/cdktf", "#!/bin/sh\necho 0.21.0\n").chmod(0o755)
    bakery.monkeypatch.setattr(qemu, "firmware", lambda: (Path("/firmware/code.fd"), Path("/firmware/vars.fd")))
    bakery.monkeypatch.setattr(qemu, "accelerator", lambda: "tcg")
    bakery.monkeypatch.setattr(network, "find_obstacle", lambda: "")
    return found


def findings(bakery: CliRunner, *arguments: str) -> dict[str, dict[str, Any]]:
    return {found["tool"]: found for found in json.loads(bakery("doctor", *arguments, "--json").out)}


def row(out: str, tool: str) -> str:
    return next(line for line in out.splitlines() if f" {tool} " in line)


def test_all_is_well(bakery: CliRunner, programs: Programs) -> None:
    answer = bakery("doctor")
    assert (answer.code, answer.err) == (0, "")
    assert "MISSING" not in answer.out
    assert row(answer.out, "packer").split() == ["ok", "packer", "Packer", "v1.2.3", ">=", "1.2.3,", "<", "2"]
    assert row(answer.out, "apt").split()[:3] == ["ok", "apt", "apt-get"]
    assert "no usable KVM, guests are 5 to 10 times slower" in row(answer.out, "accelerator")
    assert "only images with secrets need it" in row(answer.out, "vault login")


def test_space_for_a_base_is_needed(bakery: CliRunner, programs: Programs) -> None:
    assert " GiB free for " in row(bakery("doctor", "bake").out, "disk space")
    bakery.monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2 << 30))
    found = findings(bakery, "bake")["disk space"]
    assert (found["answer"], found["hint"].partition(":")[0]) == ("", "not enough disk space for a Debian base")


def test_a_bake_without_a_network_of_its_own_is_named(bakery: CliRunner, programs: Programs) -> None:
    bakery.monkeypatch.setattr(network, "find_obstacle", lambda: "pasta is not installed")
    bakery.monkeypatch.setattr(network, "find_metadata_service", lambda: "")
    assert "a bake shares that of this machine: pasta is not installed" in row(bakery("doctor", "bake").out, "network")
    bakery.monkeypatch.setattr(network, "find_metadata_service", lambda: "169.254.169.254")
    found = findings(bakery, "bake")["network"]
    assert found["answer"] == ""
    assert "169.254.169.254 would give a bake the rights of this machine" in found["hint"]


def test_json(bakery: CliRunner, programs: Programs) -> None:
    found = findings(bakery)
    assert found["packer-plugin-qemu"] == {
        "tool": "packer-plugin-qemu",
        "answer": "packer-plugin-qemu_v1.2.3_x5.0",
        "required": ">= 1.2.3, < 2",
        "hint": "",
    }
    assert found["ansible-core"]["answer"] == "2.19.14"
    assert found["UEFI firmware"]["answer"] == "/firmware/code.fd"
    assert found["cdktf-cli"]["answer"] == "0.21.0"


@pytest.mark.parametrize(
    ("verb", "tools"),
    [
        ("refresh", {"apt", "dnf", "dnf versionlock", "fakeroot", "rpm", "grype"}),
        ("verify", {"qemu", "UEFI firmware", "accelerator", "ssh", "debugfs", "dumpe2fs", "mtools", "guestfish"}),
        ("publish", {"boto3", "notices"}),
        ("infra", {"terraform", "cdktf", "cdktf-cli"}),
    ],
)
def test_one_verb_only(bakery: CliRunner, programs: Programs, verb: str, tools: set[str]) -> None:
    assert findings(bakery, verb).keys() == tools


def test_guestfish_may_be_missing(bakery: CliRunner, programs: Programs) -> None:
    (programs.folder / "guestfish").unlink()
    found = findings(bakery, "verify")["guestfish"]
    assert (found["answer"], found["hint"]) == ("not installed (only disks with XFS, btrfs, LVM, NTFS need it)", "")


@pytest.mark.parametrize(("name", "tool"), [("packer", "packer"), ("qemu-img", "qemu-img"), ("syft", "syft")])
def test_a_missing_tool(bakery: CliRunner, programs: Programs, name: str, tool: str) -> None:
    (programs.folder / name).unlink()
    answer = bakery("doctor", "bake")
    assert answer.code == 1
    assert row(answer.out, tool).startswith("MISSING")
    assert "make setup" in row(answer.out, tool)
    assert row(answer.out, "mtools").startswith("ok")


@pytest.mark.parametrize("version", ["1.2.3", "1.2.4", "1.2.31", "1.10.0", "1.2.3+ent"])
def test_the_pinned_version_and_newer_ones_of_its_major(bakery: CliRunner, programs: Programs, version: str) -> None:
    programs.shell("packer", f"echo Packer v{version}")
    assert findings(bakery, "bake")["packer"]["answer"] == f"Packer v{version}"


@pytest.mark.parametrize("version", ["1.2.2", "1.1.9", "2.0.0", "11.2.3", "1.2.3.4", "1.3.0-dev", "1.3", "unknown"])
def test_another_version(bakery: CliRunner, programs: Programs, version: str) -> None:
    programs.shell("packer", f"echo Packer v{version}")
    answer = bakery("doctor", "bake")
    assert answer.code == 1
    text = f"Packer v{version} is installed, and packer >= 1.2.3, < 2 is needed: run 'make setup'"
    assert text in row(answer.out, "packer")


def test_a_plugin_that_packer_does_not_load(bakery: CliRunner, programs: Programs) -> None:
    programs.shell("packer", "echo Packer v1.2.3")
    found = findings(bakery, "bake")["packer-plugin-qemu"]
    assert (found["answer"], found["hint"]) == ("", "Packer does not load packer-plugin-qemu: run 'make setup'")


def test_packer_is_asked_once_for_all_plugins(bakery: CliRunner, programs: Programs, tmp_path: Path) -> None:
    assert {name for name in findings(bakery, "bake") if name.startswith("packer-plugin")} == set(toolbox.PLUGINS)
    assert list(find_faults(bakery.project, toolbox.PLUGINS)) == []
    assert (tmp_path / "packer-calls").read_text().count("plugins installed") == 1


@pytest.mark.parametrize(
    ("variable", "value", "hint"),
    [
        ("BAKERY_SSH_TIMEOUT", "soon", "BAKERY_SSH_TIMEOUT is 'soon', not a duration"),
        ("BAKERY_GUEST_PORTS", "all", "'all' in BAKERY_GUEST_PORTS is no port"),
        ("BAKERY_LAYERS", "s3://", "BAKERY_LAYERS: 's3://' is not a location of layers"),
    ],
)
def test_a_setting_that_bakes_would_refuse(
    bakery: CliRunner, programs: Programs, variable: str, value: str, hint: str
) -> None:
    bakery.monkeypatch.setenv(variable, value)
    assert findings(bakery, "bake")["settings"]["hint"].startswith(hint)


def test_a_folder_that_bakes_would_refuse(bakery: CliRunner, programs: Programs) -> None:
    (found,) = [
        one
        for one in json.loads(bakery("doctor", "bake", "--workspace", "my work", "--json").out)
        if one["tool"] == "settings"
    ]
    assert "Packer's plugins cannot work in a folder with spaces" in found["hint"]


def test_a_tool_that_does_not_work(bakery: CliRunner, programs: Programs) -> None:
    programs.shell("mmdebstrap", "exit 3")
    programs.shell("qemu-img")
    found = findings(bakery, "bake")
    assert "exit code 3" in found["mmdebstrap"]["hint"]
    assert "does not print its version" in found["qemu-img"]["hint"]


def test_no_firmware(bakery: CliRunner, programs: Programs) -> None:
    def fail() -> None:
        raise BakeryError("no UEFI firmware for guests found", hint="install the package ovmf")

    bakery.monkeypatch.setattr(qemu, "firmware", fail)
    assert findings(bakery, "verify")["UEFI firmware"]["hint"].endswith("install the package ovmf")


def test_a_vault_that_refuses(bakery: CliRunner, programs: Programs) -> None:
    bakery.monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:1")
    bakery.broken = {"login"}
    assert "login failed" in findings(bakery, "bake")["vault login"]["hint"]


def test_an_unknown_verb(bakery: CliRunner) -> None:
    assert bakery("doctor", "bakes").code == 64


def test_places_of_notices(bakery: CliRunner, programs: Programs, aws_server: StandIn) -> None:
    assert "names no topic and no webhook" in findings(bakery, "publish")["notices"]["answer"]
    aws_server.reset()
    for name, value in {"ENDPOINT_URL": aws_server.url, "ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test"}.items():
        bakery.monkeypatch.setenv(f"AWS_{name}", value)
    arn = aws_server.client("sns").create_topic(Name="images")["TopicArn"]
    bakery.monkeypatch.setenv("BAKERY_NOTIFY", arn)
    assert findings(bakery, "publish")["notices"]["answer"] == "the topic exists"
    bakery.monkeypatch.setenv("BAKERY_NOTIFY", f"{arn} https://hooks.example.com/hidden")
    finding = findings(bakery, "publish")["notices"]
    assert (finding["answer"], "hidden" in finding["hint"]) == ("", False)
    assert "which is a secret: keep it in Vault" in finding["hint"]
    assert aws_server.actions().count("Publish") == 0
