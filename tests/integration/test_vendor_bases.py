"""Bases that a vendor replaces: seen by a refresh, named by a plan, and used by the next bake. Packer is real."""

import re
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bakery.clouds.aws.bases import find_base
from bakery.clouds.definitions import Definition
from bakery.engine.refresh import refresh_images
from bakery.engine.run import run_images
from bakery.engine.session import Session, open_session
from bakery.engine.steps import BakeOptions
from bakery.host.errors import BakeryError
from bakery.model.definition import ImageDefinition
from doubles.aws.client import HOME_REGION, StandIn, available, register
from integration.test_read_back import make_raw, register_disk

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
VENDOR = "136693071363"
DEFINITION = """\
name: cloud
description: A machine
os: debian-12
arch: x86_64
version: "1.0"
base:
  aws:
    ami: {{name: vendor-*, owner: self}}
template: {template}
updates: none
targets: [aws]
distribution:
  aws:
    regions: [{region}]
"""


class Vendor:
    """The account of a vendor, in place of our own: what `register` and `available` need."""

    def __init__(self, aws: StandIn) -> None:
        self._aws = aws

    def client(self, service: str, region: str = HOME_REGION) -> Any:
        return self._aws.client(service, region, VENDOR)

    def publish(self, name: str, **traits: str) -> str:
        """An AMI that our account may launch."""
        ami = register(self, name, **traits)  # type: ignore[arg-type]
        available(self, ami)  # type: ignore[arg-type]
        time.sleep(1.1)  # the next one is of a later second
        permission = {"Add": [{"UserId": "123456789012"}]}
        self.client("ec2").modify_image_attribute(ImageId=ami, LaunchPermission=permission)
        return ami


def definition(name: str) -> ImageDefinition:
    return Definition.model_validate(
        {
            "name": "cloud",
            "description": "A machine",
            "os": "debian-12",
            "arch": "x86_64",
            "version": "1.0",
            "base": {"aws": {"ami": {"name": name, "owner": VENDOR}}},
            "targets": ("aws",),
            "distribution": {"aws": {"regions": (HOME_REGION,)}},
        }
    )


def test_the_newest_ami_is_found_by_name_owner_and_architecture(aws: StandIn) -> None:
    vendor = Vendor(aws)
    vendor.publish("vendor-1")
    newest = vendor.publish("vendor-2")
    vendor.publish("vendor-3-arm", Architecture="arm64")
    vendor.publish("other-4")
    available(aws, register(aws, "vendor-5"))  # of another owner
    base = find_base(definition("vendor-*"), {})
    assert (base.identity, base.date) == (newest, datetime.now(UTC).date().isoformat())


def test_a_deprecated_ami_is_not_found(aws: StandIn) -> None:
    vendor = Vendor(aws)
    older = vendor.publish("vendor-1")
    newer = vendor.publish("vendor-2")
    for hours, ami, expected in ((1, newer, older), (3, older, None)):
        at = datetime.now(UTC) + timedelta(hours=hours)
        vendor.client("ec2").enable_image_deprecation(ImageId=ami, DeprecateAt=at)
        aws.settings(clock_ahead=(hours + 1) * 3600)
        if expected:
            assert find_base(definition("vendor-*"), {}).identity == expected
    with pytest.raises(BakeryError, match=f"{VENDOR} has no AMI named vendor-\\* for x86_64"):
        find_base(definition("vendor-*"), {})


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """An image from our template for AWS without its login and its provisioner, so that a build takes seconds."""
    template = tmp_path / "template"
    shutil.copytree(ROOT / "packer" / "templates" / "aws", template, ignore=shutil.ignore_patterns("windows*"))
    file = template / "linux.pkr.hcl"
    text = re.sub(r"  ssh_\w+ += .*\n", "", file.read_text().replace('= "ssh"', '= "none"'))
    text = re.sub(r"delay_seconds = \d+", "delay_seconds = 1", text)
    file.write_text(text[: text.index('  provisioner "ansible"')] + text[text.index("  post-processor") :])
    images = tmp_path / "packer" / "images"
    images.mkdir(parents=True)
    (images / "cloud.yaml").write_text(DEFINITION.format(template=template, region=HOME_REGION))
    monkeypatch.chdir(tmp_path)
    return open_session(Path("packer/images"), Path(".bakery"), "")


def test_a_newer_ami_is_due_once_and_the_build_starts_from_it(aws: StandIn, project: Session, tmp_path: Path) -> None:
    disk = make_raw(tmp_path, {})  # the bake looks at what the cloud makes of it
    first = register_disk(aws, "vendor-1", disk)[0]
    (record,) = run_images(project, None, 1, BakeOptions()).records
    assert record.vendor_bases["aws"].identity == first
    refresh_images(project, None, 1)
    (action,) = project.plan(None).actions
    assert (action.kind, action.reason) == ("keep", "inputs unchanged; not refreshed; base unchanged")

    time.sleep(1.1)  # the AMI is of a later second
    second = register_disk(aws, "vendor-2", disk)[0]
    refresh_images(project, None, 1)
    (action,) = project.plan(None).actions
    today = datetime.now(UTC).date().isoformat()
    assert (action.kind, action.reason) == ("bake", f"base AMI {first} -> {second} ({today})")
    (record,) = run_images(project, None, 1, BakeOptions()).records
    assert record.vendor_bases["aws"].identity == second
    instances = [
        instance
        for reservation in aws.client("ec2").describe_instances()["Reservations"]
        for instance in reservation["Instances"]
    ]
    assert [instance["ImageId"] for instance in instances] == [first, second], "Packer started both"
    (action,) = project.plan(None).actions
    assert action.kind == "keep"
    refresh_images(project, None, 1)
    (action,) = project.plan(None).actions
    assert action.kind == "keep"
