"""Where a build at a target starts: from the parent's image in the region of that build."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pytest

from bakery.bake.request import ParentImage
from bakery.catalog import Catalog, open_store
from bakery.clouds import CLOUDS, REMOTE, definitions
from bakery.clouds.cloud import Cloud
from bakery.engine.session import Session
from bakery.host.errors import BakeryError
from bakery.model.documents import Base, ImageLocation, Publication
from bakery.model.project import Project
from bakery.signing import Keyring

HEAD = """\
name: {name}
description: A server
os: debian-12
arch: x86_64
version: "1.0"
targets: [{target}]
"""
AWS = "distribution: {{aws: {{regions: [{regions}]}}}}\n"
AZURE = """\
distribution:
  azure:
    tenant: 11111111-1111-1111-1111-111111111111
    subscription: 22222222-2222-2222-2222-222222222222
    resource_group: images
    gallery: images
    credentials: azure/creds/bake
    regions: [{regions}]
"""
VSPHERE = """\
distribution:
  vsphere:
    server: vcenter.example.com
    library: {regions}
    credentials: secret/data/vsphere
    build: {{datacenter: a, cluster: b, datastore: c}}
"""
# By target: settings, the parent's base, and two regions.
WORLDS = {
    "aws": (AWS, "aws: {ami: {name: 'debian-12-*', owner: self}}", ("eu-central-1", "us-east-1")),
    "azure": (AZURE, "azure: {urn: 'a:b:c:d', access_from: [203.0.113.7/32]}", ("westeurope", "eastus2")),
}


def session(folder: Path, target: str, child_region: str, *published: str) -> Session:
    """An image `base` that is published in some regions, and its child that is built in one."""
    settings, source, regions = WORLDS[target]
    access = ", access_from: [203.0.113.7/32]" if target == "azure" else ""
    for name, base, wanted in (
        ("base", source, ", ".join(regions)),
        ("child", f"{target}: {{image: base{access}}}", child_region),
    ):
        text = HEAD.format(name=name, target=target) + settings.format(regions=wanted) + f"base: {{{base}}}\n"
        (folder / f"{name}.yaml").write_text(text)
    catalog = Catalog(open_store(str(folder / "catalog")), Keyring(folder / "keys", {}))
    record = catalog.reserve("base", "x86_64", "1.0", "key", {}, "builder", "bake-private")
    locations = (
        *(ImageLocation("1", region, f"image-{region}") for region in published),
        *(ImageLocation("2", region, f"image-{region}", owned=False) for region in published),
    )
    publication = Publication("base", "x86_64", record.version, "0" * 64, target, locations)
    catalog.revise(replace(record, state="complete", publications=(publication,)), "published")
    return Session(Project(folder, folder, folder), definitions.load(folder), catalog)


@pytest.mark.parametrize("target", WORLDS)
def test_a_child_starts_from_the_parents_image_in_its_own_region(tmp_path: Path, target: str) -> None:
    first, second = WORLDS[target][2]
    opened = session(tmp_path, target, second, first, second)
    expected = ParentImage(f"image-{second}", Base("base", "1.0.0", ""))
    assert opened.parent_image(opened.definitions.images["child"], target) == expected


@pytest.mark.parametrize("target", WORLDS)
def test_a_parent_that_is_not_there_is_an_error(tmp_path: Path, target: str) -> None:
    first, second = WORLDS[target][2]
    opened = session(tmp_path, target, second, first)
    with pytest.raises(BakeryError) as caught:
        opened.parent_image(opened.definitions.images["child"], target)
    assert caught.value.message == f"child is built in {second}, where base 1.0.0 is not published"
    assert caught.value.where == opened.definitions.where("child", "distribution", target)
    assert caught.value.hint == (f"publish base there, and run 'bakery run base'; or build child in {first}")


def test_a_build_on_somebody_elses_image_has_no_parent(tmp_path: Path) -> None:
    """Even if the disk of the same version is built on one of ours."""
    base = HEAD.format(name="base", target="local") + "base: {qemu: {debootstrap: {suite: bookworm}}}\n"
    (tmp_path / "base.yaml").write_text(base)
    child = HEAD.format(name="child", target="vsphere, local") + VSPHERE.format(regions="images")
    (tmp_path / "child.yaml").write_text(child + "base: {qemu: {image: base}, vsphere: {template: debian}}\n")
    loaded = definitions.load(tmp_path)
    opened = Session(
        Project(tmp_path, tmp_path, tmp_path),
        loaded,
        Catalog(open_store(str(tmp_path / "catalog")), Keyring(tmp_path / "keys", {})),
    )
    assert opened.parent_image(loaded.images["child"], "vsphere") is None


def test_every_cloud_that_builds_on_ours_is_tried() -> None:
    building = {cloud.name for cloud in CLOUDS.values() if cloud.name in REMOTE and "image" in fields(cloud)}
    assert building == WORLDS.keys()


def fields(cloud: Cloud) -> Collection[str]:
    return cloud.base.model_fields if cloud.base else ()
