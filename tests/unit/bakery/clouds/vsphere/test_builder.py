"""vsphere-clone and vsphere-iso: their variables, their login, and what their manifest says."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bakery.bake.variables import common_variables
from bakery.clouds.job import Job
from bakery.clouds.manifest import Build
from bakery.clouds.vsphere import builder as vsphere
from bakery.host.errors import BakeryError
from doubles.packer import PackerProject, define

SITE = {"datacenter": "DC0", "cluster": "C0", "datastore": "ssd", "network": "build", "folder": "images"}
SETTINGS = {
    "server": "vcenter.example.net",
    "library": "golden",
    "build": SITE,
    "credentials": "secret/data/vcenter",
}
CLONE = {"template": "debian-12"}
ISO = {"iso": {"path": "[ssd] iso/os.iso", "answers": "answers", "boot_command": ["auto<enter>"], "disk_gib": 40}}
LOGIN = {"username": "bakery", "password": "hidden"}
SECRETS = {"build_password": {"path": "secret/data/build", "key": "password"}}


def job(world: PackerProject, base: dict[str, Any], **changes: Any) -> Job:
    changes = {"targets": ["vsphere"], "base": {"vsphere": base}, "distribution": {"vsphere": SETTINGS}} | changes
    return replace(world.job(define(**changes)), builder="vsphere", base=None)


def test_a_clone_and_where_it_lives(world: PackerProject) -> None:
    given = vsphere.variables(job(world, CLONE))
    assert given == given | SITE | {
        "server": "vcenter.example.net",
        "library": "golden",
        "source_vm": "debian-12",
        "iso": "",
        "answers": "",
        "boot_command": (),
        "user": "root",
    }


def test_an_installation_and_its_answers(world: PackerProject) -> None:
    given = vsphere.variables(job(world, ISO))
    assert given == given | {
        "source_vm": "",
        "iso": "[ssd] iso/os.iso",
        "answers": str(world.project.definitions / "answers"),
        "answers_label": "cidata",
        "boot_command": ("auto<enter>",),
        "guest_os": "otherLinux64Guest",
        "disk_mib": 40960,
    }


def test_every_variable_is_declared_by_the_template(world: PackerProject, project_root: Path) -> None:
    """The login and the secrets come another way: through the environment."""
    folder = project_root / "packer" / "templates" / "vsphere"
    declared = "".join((folder / f"{name}.pkr.hcl").read_text() for name in ("variables", "ansible"))
    names = {line.split('"')[1] for line in declared.splitlines() if line.startswith("variable ")}
    made = job(world, CLONE)
    assert names - vsphere.variables(made).keys() == {"username", "password", "secret_values"}
    assert not vsphere.variables(made).keys() - names
    assert not names & common_variables(made, made.toolchain.ansible_playbook, world.folder).keys()


@pytest.mark.parametrize(
    ("base", "os", "source"),
    [
        (CLONE, "debian-12", "vsphere-clone.linux"),
        (CLONE, "windows-2022", "vsphere-clone.windows"),
        (ISO, "rocky-9", "vsphere-iso.linux"),
        (ISO, "windows-2022", "vsphere-iso.windows"),
    ],
)
def test_the_source_is_chosen_by_base_and_os(world: PackerProject, base: dict[str, Any], os: str, source: str) -> None:
    assert vsphere.source(job(world, base, os=os, secrets=SECRETS).definition) == source


def test_the_login_goes_into_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VSPHERE_CACERT", raising=False)
    login = {"PKR_VAR_username": "bakery", "PKR_VAR_password": "hidden"}
    assert vsphere.environment(LOGIN) == login
    monkeypatch.setenv("VSPHERE_CACERT", "/etc/vcenter.pem")
    assert vsphere.environment(LOGIN) == login | {"SSL_CERT_FILE": "/etc/vcenter.pem"}


def test_a_login_of_something_else_is_refused_without_being_shown() -> None:
    with pytest.raises(BakeryError, match="have no username") as caught:
        vsphere.environment({"user": "bakery", "password": "hidden"})
    assert "hidden" not in str(vars(caught.value))


def test_the_item_by_library() -> None:
    told = {"library": "golden", "item": "web-1.0.0-x86_64"}
    assert vsphere.ids(Build("run", "web-1.0.0-x86_64-1f2e", custom_data=told)) == {"golden": "web-1.0.0-x86_64"}
    with pytest.raises(BakeryError, match="does not say which content library"):
        vsphere.ids(Build("run", "web-1.0.0-x86_64-1f2e", custom_data={"item": "web-1.0.0-x86_64"}))
