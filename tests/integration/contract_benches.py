"""One bench per cloud for the contract of targets: a definition, a disk, the target behind a wire, ways to damage."""

import os
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import AzureError
from azure.storage.blob import BlobLeaseClient

from bakery.clouds.aws.target import AwsTarget
from bakery.clouds.azure import replication, tagging, versions
from bakery.clouds.azure.names import BLOB_CONTAINER, GalleryVersion
from bakery.clouds.azure.session import AzureSession, connect
from bakery.clouds.azure.settings import AzureDistribution
from bakery.clouds.azure.target import AzureTarget
from bakery.clouds.definitions import Definition
from bakery.clouds.local.target import LocalTarget
from bakery.clouds.target import Target
from bakery.clouds.vsphere.target import VsphereTarget
from bakery.host import process
from bakery.host.events import silent
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Artifact, Base, Disk, Publication
from bakery.model.naming import full_name
from doubles.aws.client import HOME_ACCOUNT
from doubles.aws.client import StandIn as AwsStandIn
from doubles.aws.client import running as running_aws
from doubles.azure import world
from doubles.azure.client import StandIn as AzureStandIn
from doubles.azure.client import running as running_azure
from doubles.disks import describe_disk
from doubles.vcenter.client import ITEMS, LIBRARY, PASSWORD, USER
from doubles.vcenter.client import StandIn as VsphereStandIn
from doubles.vcenter.client import running as running_vcenter
from integration.wire import Wire, tap_botocore, tap_files, tap_requests

MIB = 1 << 20
SECOND_LIBRARY = "images-2"
Damage = Callable[[Publication], None]


def make_disk(folder: Path) -> Disk:
    """A qcow2 disk of 2 MiB with 1 MiB of noise: small, since it is uploaded a hundred times."""
    raw = folder / "disk.raw"
    raw.write_bytes(random.Random(1).randbytes(MIB) + bytes(MIB))  # noqa: S311 - noise, the same in each run
    process.run(["qemu-img", "convert", "-S", "0", "-O", "qcow2", raw, folder / "disk.qcow2"])
    return describe_disk(folder / "disk.qcow2")[0]


class Bench(ABC):
    """A cloud that lives as long as the tests of a module. Each scenario takes a version of its own."""

    can_lose_answers = True

    def __init__(self, disk: Disk) -> None:
        self.wire = Wire()
        self._disk = disk
        self._patch = 0

    @property
    @abstractmethod
    def target(self) -> Target: ...

    @abstractmethod
    def tap(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Lead the target's calls through the wire."""

    @abstractmethod
    def damages(self) -> Mapping[str, Damage]:
        """Ways to damage a published version that `distribute` repairs."""

    @abstractmethod
    def losses(self) -> Mapping[str, Damage]:
        """Ways to lose a version that take its disk to repair."""

    @abstractmethod
    def count_images(self, publication: Publication) -> int:
        """The images of this version, whatever their state: one per ID if none was made twice."""

    def let_time_pass(self) -> None:  # noqa: B027 - most clouds have no locks
        """End the locks that a killed run left."""

    def new_artifact(self) -> Artifact:
        """The artifact of a version that nobody published."""
        self._patch += 1
        # fmt: off
        return Artifact(
            image="web", arch="x86_64", version=f"1.0.{self._patch}", os="debian-12", mode="vm", input_key="0123abcd",
            inputs={}, base=Base("debian-12", "12.0.0", "f" * 64), disk=self._disk, commit="c0ffee", tools={},
            seconds={}, created="2026-01-01T00:00:00+00:00", log="",
        )
        # fmt: on

    def publish(self, artifact: Artifact | None = None) -> Publication:
        artifact = artifact or self.new_artifact()
        return self.target.publish(artifact, Path(artifact.disk.path), silent)


def _definition(target: str, settings: Mapping[str, Any] | None) -> ImageDefinition:
    return Definition.model_validate(
        {
            "name": "web",
            "description": "A web server",
            "os": "debian-12",
            "arch": "x86_64",
            "version": "1.0",
            "base": {"qemu": {"image": "debian-12"}},
            "targets": (target,),
            "distribution": {target: settings} if settings else {},
        }
    )


class LocalBench(Bench):
    """A store in a folder."""

    can_lose_answers = False  # a file system does not answer twice

    def __init__(self, disk: Disk, folder: Path) -> None:
        super().__init__(disk)
        self._store = folder

    @property
    def target(self) -> Target:
        return LocalTarget(self._store)

    def tap(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tap_files(self.wire, monkeypatch)

    def damages(self) -> Mapping[str, Damage]:
        return {}

    def losses(self) -> Mapping[str, Damage]:
        return {"no disk": lambda publication: self._path(publication).unlink()}

    def count_images(self, publication: Publication) -> int:
        name = self._path(publication).name
        return len([path for path in self._store.iterdir() if path.name in (name, f"{name}.disabled")])

    def _path(self, publication: Publication) -> Path:
        return self._store / f"{full_name(publication)}.qcow2"


class VsphereBench(Bench):
    """A vCenter with two libraries."""

    def __init__(self, disk: Disk, vcenter: VsphereStandIn) -> None:
        super().__init__(disk)
        self._vcenter = vcenter

    @property
    def target(self) -> Target:
        settings = {
            "server": self._vcenter.server,
            "library": LIBRARY,
            "copies": ({"library": SECOND_LIBRARY},),
            "credentials": "secret/data/vcenter",
        }
        return VsphereTarget(_definition("vsphere", settings), {"username": USER, "password": PASSWORD})

    def tap(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("VSPHERE_CACERT", str(self._vcenter.authority))
        tap_requests(self.wire, monkeypatch)

    def damages(self) -> Mapping[str, Damage]:
        return {
            "other notes": self._spoil_notes,
            "no item in a library": lambda publication: self._delete(publication, 1),
        }

    def losses(self) -> Mapping[str, Damage]:
        return {"no item": lambda publication: self._delete(publication, 2)}

    def count_images(self, publication: Publication) -> int:
        libraries = (self._vcenter.items(LIBRARY), self._vcenter.items(SECOND_LIBRARY))
        return len([name for names in libraries for name in names if name.startswith(full_name(publication))])

    def _delete(self, publication: Publication, count: int) -> None:
        for location in publication.locations[:count]:
            self._vcenter.call("DELETE", f"{ITEMS}/id:{location.id}")

    def _spoil_notes(self, publication: Publication) -> None:
        spec = {"description": f"by hand\n\nbakery:sha256: {publication.sha256}"}
        self._vcenter.call("PATCH", self._item(publication), {"update_spec": spec})

    def _item(self, publication: Publication) -> str:
        return f"{ITEMS}/id:{publication.locations[0].id}"


class AzureBench(Bench):
    """A gallery with two regions."""

    def __init__(self, disk: Disk, azure: AzureStandIn) -> None:
        super().__init__(disk)
        self._azure = azure
        settings = {
            "tenant": world.TENANT,
            "subscription": world.SUBSCRIPTION,
            "resource_group": world.RESOURCE_GROUP,
            "gallery": world.GALLERY,
            "regions": ("westeurope", "northeurope"),
            "storage_account": world.STORAGE_ACCOUNT,
            "credentials": "azure/creds/bake",
        }
        self._definition = _definition("azure", settings)
        self._login = {"client_id": world.CLIENT_ID, "client_secret": world.CLIENT_SECRET}

    @property
    def target(self) -> Target:
        return AzureTarget(self._definition, self._login)

    def tap(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(replication, "REASON_SECONDS", 5.0)
        for name, value in self._azure.environment().items():
            monkeypatch.setenv(name, value)
        tap_requests(self.wire, monkeypatch)

    def damages(self) -> Mapping[str, Damage]:
        return {"another tag": self._tag, "excluded from latest": self._exclude}

    def losses(self) -> Mapping[str, Damage]:
        return {"no version": lambda publication: versions.remove(self._session, self._address(publication))}

    def count_images(self, publication: Publication) -> int:
        return 1 if versions.find(self._session, self._address(publication)) else 0

    def let_time_pass(self) -> None:
        """A lease on a blob lasts a minute."""
        assert self._session.blobs
        container = self._session.blobs.get_container_client(BLOB_CONTAINER)
        for blob in container.list_blobs():
            with suppress(AzureError):  # it has no lease
                BlobLeaseClient(container.get_blob_client(blob.name)).break_lease(lease_break_period=0)

    def _tag(self, publication: Publication) -> None:
        tagging.merge(self._session, str(self._address(publication)), {"bakery:image": "by hand"})

    def _exclude(self, publication: Publication) -> None:
        address = self._address(publication)
        version = versions.find(self._session, address)
        assert version
        assert version.publishing_profile
        version.publishing_profile.exclude_from_latest = True
        versions.replace(self._session, address, version)

    def _address(self, publication: Publication) -> GalleryVersion:
        return GalleryVersion.parse(publication.locations[0].id)

    @property
    def _session(self) -> AzureSession:
        azure = self._definition.distribution.of(AzureDistribution)
        assert azure
        return connect(azure, self._login)


class AwsBench(Bench):
    """Two regions, and a consumer's account."""

    def __init__(self, disk: Disk, aws: AwsStandIn) -> None:
        super().__init__(disk)
        self._aws = aws

    @property
    def target(self) -> Target:
        settings = {"regions": ("eu-central-1", "us-east-1"), "accounts": ("210987654321",)}
        return AwsTarget(_definition("aws", settings))

    def tap(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", self._aws.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        tap_botocore(self.wire, monkeypatch)

    def damages(self) -> Mapping[str, Damage]:
        return {"no image in a region": self._deregister}

    def losses(self) -> Mapping[str, Damage]:
        return {"no image in any region": self._deregister_all}

    def count_images(self, publication: Publication) -> int:
        count = 0
        for region in {location.region for location in publication.locations}:
            filters = [{"Name": "name", "Values": [full_name(publication)]}]
            images = self._aws.client("ec2", region).describe_images(Owners=["self"], Filters=filters)["Images"]
            count += len([image for image in images if image["OwnerId"] == HOME_ACCOUNT])
        return count

    def _deregister(self, publication: Publication) -> None:
        location = publication.locations[-1]
        self._aws.client("ec2", location.region).deregister_image(ImageId=location.id)

    def _deregister_all(self, publication: Publication) -> None:
        for region, image, snapshot in {(place.region, place.id, place.snapshot) for place in publication.locations}:
            self._aws.client("ec2", region).deregister_image(ImageId=image)
            self._aws.client("ec2", region).delete_snapshot(SnapshotId=snapshot)


@contextmanager
def open_bench(cloud: str, folder: Path) -> Iterator[Bench]:
    """The bench of a cloud, empty."""
    disk = make_disk(folder)
    match cloud:
        case "local":
            (folder / "store").mkdir()
            yield LocalBench(disk, folder / "store")
        case "vsphere":
            with running_vcenter() as vcenter:
                vcenter.create_library(SECOND_LIBRARY)
                yield VsphereBench(disk, vcenter)
        case "azure":
            with running_azure(folder) as azure:
                yield AzureBench(disk, azure)
        case "aws":
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")  # thousands of public images per region
                with running_aws() as aws:
                    yield AwsBench(disk, aws)
