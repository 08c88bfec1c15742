"""What azure-arm is told, and what its manifest tells."""

from pathlib import Path
from typing import Any

import pytest

from bakery.clouds.azure import builder as azure
from bakery.clouds.definitions import Definition
from bakery.clouds.job import Job, Toolchain
from bakery.clouds.manifest import Build
from bakery.host.errors import BakeryError
from bakery.host.events import silent
from bakery.machine import ssh
from bakery.machine.ssh import HostKey
from bakery.model.definition import ImageDefinition
from bakery.model.project import Project

TENANT = "11111111-1111-1111-1111-111111111111"
SUBSCRIPTION = "22222222-2222-2222-2222-222222222222"
ID = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/images/providers/Microsoft.Compute"
    "/galleries/bakery/images/base-x86_64/versions/1.0.7"
)
CREDENTIALS = ("client_id", "client_secret")
SOURCE = {"urn": "Debian:debian-12:12-gen2:latest"}
ACCESS = {"access_from": ("203.0.113.7/32",)}


def _complete(base: dict[str, Any]) -> dict[str, Any]:
    """A base with a source and a way in."""
    source = {} if "image" in base else SOURCE
    access = {} if "network" in base else ACCESS
    return {**source, **access, **base}


def _definition(system: str = "debian-12", **base: Any) -> ImageDefinition:
    return Definition.model_validate(
        {
            "name": "web",
            "description": "A web server",
            "os": system,
            "arch": "x86_64",
            "version": "1.0",
            "base": {
                "azure": (SOURCE if "image" not in base else {}) | (ACCESS if "network" not in base else {}) | base
            },
            "secrets": {"db": {"path": "secret/data/db", "key": "password"}},
            "targets": ("azure",),
            "distribution": {
                "azure": {
                    "tenant": TENANT,
                    "subscription": SUBSCRIPTION,
                    "resource_group": "images",
                    "gallery": "bakery",
                    "regions": ("westeurope", "eastus"),
                    "credentials": "azure/creds/bake",
                }
            },
        }
    )


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr(ssh, "make_key", lambda folder: folder / "key")
    monkeypatch.setattr(ssh, "make_host_key", lambda folder: HostKey(folder / "host_key", folder / "known_hosts"))
    return Project(root=tmp_path, definitions=tmp_path, workspace=tmp_path / "workspace")


def _job(project: Project, definition: ImageDefinition, source: str = "") -> Job:
    tools = Toolchain(Path("packer"), Path("plugins"), Path("ansible-playbook"), "tcg", {})
    return Job(project, definition, "1.0.3", "azure", None, tools, project.root, Path("log"), silent, source)


def test_the_source_fits_the_system() -> None:
    assert azure.source(_definition()) == "azure-arm.linux"
    assert azure.source(_definition("windows-2022")) == "azure-arm.windows"


def test_a_build_in_a_network_of_ones_own(project: Project) -> None:
    network = {"virtual_network": "builds", "resource_group": "network", "subnet": "packer"}
    given = azure.variables(_job(project, _definition(network=network)))
    assert given["virtual_network"] == {
        "name": "builds",
        "resource_group": "network",
        "subnet": "packer",
        "public_address": False,
    }
    assert given["access_from"] == ()


def test_variables_for_a_marketplace_image(project: Project) -> None:
    assert azure.variables(_job(project, _definition())) == {
        "tenant": TENANT,
        "subscription": SUBSCRIPTION,
        "resource_group": "images",
        "gallery": "bakery",
        "gallery_image": "web-x86_64",
        "regions": ("westeurope", "eastus"),
        "source_version": {"image": "", "version": ""},
        "source_urn": "Debian:debian-12:12-gen2:latest",
        "vm_size": "Standard_D2s_v5",
        "virtual_network": {"name": "", "resource_group": "", "subnet": "", "public_address": False},
        "access_from": ("203.0.113.7/32",),
        "ssh_private_key": str(project.root / "ansible" / "key"),
        "ssh_host_key": str(project.root / "ansible" / "host_key"),
        "ssh_known_hosts": str(project.root / "ansible" / "known_hosts"),
        "ssh_timeout": "20m",
        "secrets": {"db": {"path": "secret/data/db", "key": "password"}},
    }


def test_variables_for_an_image_of_ours(project: Project) -> None:
    given = azure.variables(_job(project, _definition(image="base"), ID))
    assert given["source_version"] == {"image": "base-x86_64", "version": "1.0.7"}
    assert given["source_urn"] == ""


def test_every_variable_is_declared_by_the_template(project: Project, project_root: Path) -> None:
    folder = project_root / "packer" / "templates" / "azure"
    declared = "".join((folder / f"{name}.pkr.hcl").read_text() for name in ("variables", "ansible"))
    names = {line.split('"')[1] for line in declared.splitlines() if line.startswith("variable ")}
    in_environment = (*CREDENTIALS, "secret_values")
    assert names == {*azure.variables(_job(project, _definition())), *in_environment}


def test_credentials_go_into_the_environment() -> None:
    fields = {"client_id": "id", "client_secret": "secret", "lease": "ignored"}
    assert azure.environment(fields) == {"PKR_VAR_client_id": "id", "PKR_VAR_client_secret": "secret"}
    with pytest.raises(BakeryError, match="have no client_secret"):
        azure.environment({"client_id": "id", "client_secret": ""})


def test_one_version_is_used_in_all_regions() -> None:
    told = {"image": "web", "regions": "westeurope,eastus"}
    assert azure.ids(Build("run", ID, custom_data=told)) == {"westeurope": ID, "eastus": ID}
    assert azure.ids(Build("run", ID)) == {"": ID}
