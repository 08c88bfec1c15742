"""Settings of the targets: what Azure would refuse is refused when a definition is read."""

from typing import Any

import pytest
from pydantic import ValidationError

from bakery.clouds.definitions import Definition
from bakery.model.definition import ImageDefinition

AZURE: dict[str, Any] = {
    "tenant": "11111111-1111-1111-1111-111111111111",
    "subscription": "22222222-2222-2222-2222-222222222222",
    "resource_group": "images",
    "gallery": "bakery.images",
    "regions": ("westeurope", "eastus2"),
    "storage_account": "bakerystore",
    "credentials": "azure/creds/bake",
}


ACCESS = {"access_from": ("203.0.113.7/32",)}
NETWORK = {"virtual_network": "builds", "resource_group": "network", "subnet": "packer"}


def _define(base: dict[str, Any], **azure: Any) -> ImageDefinition:
    return Definition.model_validate(
        {
            "name": "web",
            "description": "A web server",
            "os": "debian-12",
            "arch": "x86_64",
            "version": "1.0",
            "base": base,
            "targets": ("azure",),
            "distribution": {"azure": AZURE | azure},
        }
    )


def test_good_settings() -> None:
    assert _define({"qemu": {"image": "debian-12"}}).builder_of("azure") == "qemu"
    built_there = _define({"azure": {"image": "debian-12"} | ACCESS}, storage_account=None)
    assert (built_there.builder_of("azure"), built_there.parent) == ("azure", "debian-12")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("tenant", "example.org"),
        ("subscription", "22222222"),
        ("resource_group", "ends.with."),
        ("gallery", "has-dashes"),
        ("regions", ()),
        ("regions", ("West Europe",)),
        ("storage_account", "Bakery-Store"),
        ("credentials", "no path"),
    ],
)
def test_bad_settings(setting: str, value: object) -> None:
    with pytest.raises(ValidationError, match=f"distribution.azure.{setting}"):
        _define({"qemu": {"image": "debian-12"}}, **{setting: value})


def test_a_region_twice() -> None:
    with pytest.raises(ValidationError, match="region 'eastus' is named twice"):
        _define({"qemu": {"image": "debian-12"}}, regions=("eastus", "westeurope", "eastus"))


def test_a_disk_needs_a_storage_account() -> None:
    with pytest.raises(ValidationError, match=r"needs distribution\.azure\.storage_account to publish the QEMU disk"):
        _define({"qemu": {"image": "debian-12"}}, storage_account=None)


@pytest.mark.parametrize("base", [{}, {"image": "debian-12", "urn": "a:b:c:d"}])
def test_azure_starts_from_one_thing(base: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="needs exactly one of image, urn"):
        _define({"azure": base | ACCESS})


@pytest.mark.parametrize("access", [{}, {"access_from": ("203.0.113.7/32",), "network": NETWORK}])
def test_a_build_has_one_way_in(access: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="needs exactly one of network, access_from"):
        _define({"azure": {"image": "debian-12"} | access})


@pytest.mark.parametrize("block", ["0.0.0.0/0", "::/0", "0.0.0.0/1", "203.0.113.7/24", "everybody"])
def test_the_internet_gets_in_nowhere(block: str) -> None:
    with pytest.raises(ValidationError, match=r"lets in the internet|is no block of addresses"):
        _define({"azure": {"image": "debian-12", "access_from": (block,)}})
