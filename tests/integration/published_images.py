"""An AWS stand-in with images on it, and the catalog that knows them: what the stacks' tests start from."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

from bakery.catalog import Catalog, Record
from bakery.infra import env, mirror
from bakery.model.documents import ImageLocation, Pointer, Publication
from bakery.model.project import Project
from bakery_stacks import locks
from doubles.aws.client import StandIn, available, register

ROOT = Path(__file__).parents[2]
ACCOUNT = "123456789012"  # of cdktf/environments/demo.yaml, as are the regions
REGIONS = ("us-east-1", "us-west-2", "eu-west-1")
STATE_BUCKET = "bakery-demo-state"


def project(workspace: Path) -> Project:
    """This project with a workspace of its own."""
    return Project(ROOT, ROOT / "packer" / "images", workspace)


def environment(aws: StandIn) -> dict[str, str]:
    """Everything that a user of the demo's stand-in has to set."""
    return {
        "AWS_ENDPOINT_URL": aws.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGIONS[0],
        "AWS_EC2_METADATA_DISABLED": "true",
        "BAKERY_ENVIRONMENT": "demo",
        **provider_settings(),
    }


def provider_settings() -> dict[str, str]:
    """Where Terraform's providers come from, as the caller of the tests says or conftest.py."""
    return {name: os.environ[name] for name in (mirror.VARIABLE, mirror.CONFIG_VARIABLE) if name in os.environ}


def validate(folder: Path, project: Project) -> None:
    """Terraform and the provider read a stack; nothing is called. CalledProcessError with their words if they mind."""
    environ = env.for_child(project, os.environ)
    if not (folder / locks.NAME).exists():
        del environ["TF_CLI_ARGS_init"]  # only reading the stack: nothing has credentials here
    for command in (["init", "-backend=false", "-input=false"], ["validate"]):
        subprocess.run(
            [env.find_terraform(project, os.environ), *command], cwd=folder, env=environ, check=True, timeout=120
        )


def make_state_bucket(aws: StandIn) -> None:
    """In real life, this is done once by hand."""
    aws.client("s3", REGIONS[0]).create_bucket(Bucket=STATE_BUCKET)


class PublishedImages:
    """Publishes versions of an image in all regions, without the bytes."""

    def __init__(self, aws: StandIn, catalog: Catalog, image: str = "web") -> None:
        self._aws = aws
        self._catalog = catalog
        self._name = image

    def publish(self, version: str) -> Record:
        """Images and their parameters, and a complete record."""
        locations = [ImageLocation(ACCOUNT, region, self._image(version, region)) for region in REGIONS]
        pointers = tuple(self.point(location, f"/bakery/{self._name}/x86_64/{version}") for location in locations)
        publication = Publication(self._name, "x86_64", version, "0" * 64, "aws", tuple(locations), pointers)
        reserved = self._catalog.reserve(
            self._name, "x86_64", version.rsplit(".", 1)[0], f"key of {version}", {}, "builder", "bake-public"
        )
        return self._catalog.revise(replace(reserved, state="complete", publications=(publication,)))

    def promote(self, record: Record) -> None:
        """Move the channel `stable`, in every region and in the catalog."""
        publication = record.publication("aws")
        assert publication
        pointers = tuple(
            self.point(location, f"/bakery/{self._name}/x86_64/channels/stable") for location in publication.locations
        )
        self._catalog.move(record, "stable", "test", self._catalog.channel(self._name, "x86_64", "stable"), pointers)

    def point(self, location: ImageLocation, name: str) -> Pointer:
        """Write a parameter and read it until it is live, as the bakery does."""
        ssm = self._aws.client("ssm", location.region)
        put = {"Name": name, "Value": location.id, "Type": "String", "DataType": "aws:ec2:image", "Overwrite": True}
        number: int = ssm.put_parameter(**put)["Version"]
        for _ in range(10):
            if [found["Value"] for found in ssm.get_parameters(Names=[name])["Parameters"]] == [location.id]:
                return Pointer(location.account, location.region, name, number, location.id)
        raise AssertionError(f"{name} does not hold {location.id}")

    def remove(self, region: str, name: str) -> None:
        """What a careless person does."""
        self._aws.client("ssm", region).delete_parameter(Name=name)

    def _image(self, version: str, region: str) -> str:
        image_id = register(self._aws, f"{self._name}-{version}-x86_64", region)
        available(self._aws, image_id, region)
        return image_id


def images_of(record: Record) -> dict[str, str]:
    """Image IDs by region."""
    publication: Any = record.publication("aws")
    return {location.region: location.id for location in publication.locations}
