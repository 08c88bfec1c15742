"""What a definition may start from, and which builder that makes of it."""

from typing import Any

import pytest
from pydantic import ValidationError

from bakery.clouds.definitions import Bases, Definition
from bakery.model.definition import ImageDefinition

QEMU = {"debootstrap": {"suite": "bookworm"}}
AMI = {"ami": {"name": "debian-12-amd64-*", "owner": "136693071363"}}
AWS = {"aws": {"regions": ("eu-central-1",)}}


def define(**changes: Any) -> ImageDefinition:
    given = {"name": "web", "description": "A server", "os": "debian-12", "arch": "x86_64", "version": "1.0"}
    return Definition.model_validate(given | changes)


@pytest.mark.parametrize(
    ("bases", "message"),
    [
        ({}, "needs at least one of qemu, aws, vsphere, azure"),
        ({"aws": {}}, "needs exactly one of image, ami; it has none"),
        ({"aws": AMI | {"image": "base"}}, "needs exactly one of image, ami; it has image, ami"),
        ({"aws": {"ami": {"name": "x", "owner": "somebody"}}}, "aws.ami.owner"),
        ({"qemu": {"image": "base"}, "aws": {"image": "other"}}, "the same parent image, not base, other"),
        ({"azure": {"urn": "Debian:debian-12"}}, "azure.urn"),
    ],
    ids=["none", "empty", "two sources", "owner", "two parents", "urn"],
)
def test_wrong_bases(bases: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Bases.model_validate(bases)


def test_a_target_is_built_there_if_it_has_a_base() -> None:
    both = define(base={"qemu": QEMU, "aws": AMI}, targets=("local", "aws"), distribution=AWS)
    assert (both.builders, both.remote_targets) == (["qemu", "aws"], ["aws"])
    published = define(base={"qemu": QEMU}, targets=("local", "aws"), distribution=AWS)
    assert (published.builders, published.remote_targets) == (["qemu"], [])


def test_a_base_that_no_target_asks_for_is_not_built_on() -> None:
    assert define(base={"qemu": QEMU, "aws": AMI}, targets=("aws",), distribution=AWS).builders == ["aws"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base": {"aws": AMI}, "targets": ("local",)}, "target local needs base.qemu"),
        ({"base": {"aws": AMI}, "targets": ("azure",)}, "target azure needs distribution.azure"),
        ({"base": {"qemu": QEMU}, "os": "windows-2022", "mode": "chroot"}, "Windows cannot be baked in mode chroot"),
    ],
    ids=["no disk", "no settings", "windows"],
)
def test_definitions_that_cannot_be_built(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        define(**changes)


def test_lineage_goes_through_any_builder() -> None:
    child = define(base={"aws": {"image": "base"}}, targets=("aws",), distribution=AWS)
    assert child.parent == "base"


def test_credentials_are_a_path_in_vault() -> None:
    with_path = define(
        base={"aws": AMI}, targets=("aws",), distribution={"aws": AWS["aws"] | {"credentials": "aws/sts/bake"}}
    ).distribution
    assert (with_path.credentials("aws"), with_path.credentials("local")) == ("aws/sts/bake", None)
