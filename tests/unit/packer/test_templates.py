"""What the Packer templates keep to, read from their text."""

import re
from pathlib import Path

import pytest

from bakery.bake import bake_files
from bakery.model.definition import ImageDefinition

ROOT = Path(__file__).parents[3]
TEMPLATES = ROOT / "packer" / "templates"
SYSTEMS = {"linux": "debian-12", "windows": "windows-2022"}
# Those with a sibling: the template of mode chroot is for Linux alone.
BUILDS = sorted(
    image.with_name(f"{system}.pkr.hcl") for image in TEMPLATES.glob("*/image.pkr.hcl") for system in SYSTEMS
)
# The secrets of Packer's own login by template: those of its environment that Ansible must not inherit.
LOGINS = {
    "aws": (
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    ),
    "azure": ("PKR_VAR_client_id", "PKR_VAR_client_secret"),
    "vsphere": ("PKR_VAR_password",),
}


def definition(system: str) -> ImageDefinition:
    base = {"qemu": {"image": "base"}}
    fields = {"name": "web", "description": "A web server", "os": SYSTEMS[system], "arch": "x86_64", "version": "1.0"}
    return ImageDefinition.model_validate({**fields, "base": base})


@pytest.mark.parametrize("build", BUILDS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_build_of_one_system_counts_for_that_system_alone(build: Path) -> None:
    system = build.name.partition(".")[0]
    for other in SYSTEMS:
        assert (build in bake_files.template_files(build.parent, definition(other))) is (system == other)


@pytest.mark.parametrize("name", ["common.pkr.hcl", "ansible.pkr.hcl"])
def test_shared_files_are_links(name: str) -> None:
    links = list(TEMPLATES.glob(f"*/{name}"))
    assert links
    assert {path.readlink().as_posix() for path in links} == {f"../{name}"}


@pytest.mark.parametrize("template", LOGINS)
def test_ansible_does_not_inherit_packers_login(template: str) -> None:
    image = (TEMPLATES / template / "image.pkr.hcl").read_text()
    blank = image[image.index("no_login = [") :].partition("]")[0]
    assert [name for name in LOGINS[template] if f'"{name}="' not in blank] == []
    for system in SYSTEMS:
        assert "ansible_env_vars" in (build := (TEMPLATES / template / f"{system}.pkr.hcl").read_text())
        assert build.count("concat(local.no_login, ") == build.count('provisioner "ansible"') == 1


def test_ansible_does_not_inherit_the_token_of_vault() -> None:
    shared = (TEMPLATES / "ansible.pkr.hcl").read_text()
    assert '"VAULT_TOKEN="' in shared and '"PKR_VAR_secret_values="' in shared
    assert "vault(" not in re.sub(r"#.*", "", shared), "Packer itself gets no token"
    for build in BUILDS:
        assert build.read_text().count('provisioner "ansible"') == build.read_text().count("local.ansible_environment")


@pytest.mark.parametrize("template", sorted({path.parent for path in BUILDS}), ids=lambda path: path.name)
def test_the_password_of_windows_is_on_no_command_line(template: Path) -> None:
    """The plugin leaves it out if a part of an argument, split at "=", is `ansible_password` (checkArg, 1.1.2)."""
    shared = (TEMPLATES / "ansible.pkr.hcl").read_text()
    arguments = re.search(r"no_password_argument = \[(.*)\]", shared)
    assert arguments
    quoted = re.findall(r'"([^"]*)"', arguments[1])
    assert any("ansible_password" in argument.split("=") for argument in quoted)
    assert not any(argument.startswith("ansible_password=") for argument in quoted), "that would set it"
    text = (template / "windows.pkr.hcl").read_text()
    assert text.count("concat(local.no_password_argument, ") == text.count('provisioner "ansible"') == 1


CLOSING = "windows/close-winrm.ps1"


@pytest.mark.parametrize(
    "build", [path for path in BUILDS if path.name == "windows.pkr.hcl"], ids=lambda path: path.parent.name
)
def test_the_last_command_over_winrm_closes_it(build: Path) -> None:
    assert (build.parent / CLOSING).readlink().as_posix() == "../../close-winrm.ps1"
    text = build.read_text()
    last = text[text.rindex('  provisioner "') :].partition("\n  }\n")[0]
    assert CLOSING in last
    if 'provisioner "file"' in last:  # a command that also ends the machine runs it
        (command,) = [line for line in text.splitlines() if "shutdown_command" in line]
        assert command.index("C:/Windows/Temp/close-winrm.ps1; ") < command.index("sysprep.exe")
        assert 'destination = "C:/Windows/Temp/close-winrm.ps1"' in last
    else:
        assert "skip_clean = true" in last, "Packer would connect again, to remove the script"


def test_closing_winrm_leaves_nothing_of_the_builds_way_in() -> None:
    script = (TEMPLATES / "close-winrm.ps1").read_text()
    opening = (TEMPLATES / "aws" / "windows" / "winrm.ps1").read_text()
    port = opening.partition("-LocalPort ")[2].split()[0]
    assert f"LocalPort -EQ {port}" in script
    assert "-Transport HTTPS" in opening and "'*+HTTPS'" in script
    assert r"Cert:\LocalMachine\My" in opening and r"Cert:\LocalMachine\My\$_" in script
    assert "-DeleteKey" in script, "the file of the key would stay"
    assert "-StartupType Disabled" in script
    assert "Stop-Service" not in script, "Packer waits for the answer"
