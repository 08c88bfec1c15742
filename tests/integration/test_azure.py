"""Publishing to Azurite and the stand-in for Azure's resource manager: fresh, again, killed, refused, promoted."""

import hashlib
import multiprocessing
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.mgmt.compute.models import GalleryDiskImageSource, GalleryImageVersionSafetyProfile
from azure.storage.blob import BlobClient

from bakery.bake import packer
from bakery.catalog import Catalog, Record, open_store
from bakery.clouds.azure import blobs, builder, lease, marketplace, replication, tagging, versions
from bakery.clouds.azure.login import try_login
from bakery.clouds.azure.names import BLOB_CONTAINER, GalleryVersion
from bakery.clouds.azure.read_back import open_disk
from bakery.clouds.azure.session import AzureSession, connect
from bakery.clouds.azure.settings import AzureDistribution
from bakery.clouds.azure.target import AzureTarget
from bakery.clouds.definitions import Definition
from bakery.clouds.job import Job
from bakery.clouds.read_back import ReadRequest
from bakery.engine import channels, toolbox
from bakery.host import process
from bakery.host.errors import BakeryError, ConflictError, NotFoundError, PartialError
from bakery.host.events import Event, silent
from bakery.machine import qemu
from bakery.machine.block_stream import digest_disk
from bakery.model import tags
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Artifact, Base, Disk, ImageLocation, Pointer, Publication, RemoteBuild, VendorBase
from bakery.model.project import Project
from bakery.signing import Keyring
from doubles.azure import world
from doubles.azure.client import StandIn, running
from doubles.channels import open_channel
from doubles.disks import describe_disk

pytestmark = pytest.mark.integration

HOME, SECOND, THIRD = REGIONS = ("westeurope", "northeurope", "eastus")
CREDENTIALS = {"client_id": world.CLIENT_ID, "client_secret": world.CLIENT_SECRET}
MIB = 1 << 20
DATA = 9 * MIB  # of noise, across three ranges
VERSION_ID = world.compute_id("galleries/bakery/images/web-x86_64/versions/1.0.0")
NAME = "web-1.0.0-x86_64"
WRITES = {
    "GalleryImages_CreateOrUpdate",
    "GalleryImageVersions_CreateOrUpdate",
    "GalleryImageVersions_Update",
    "GalleryImageVersions_Delete",
    "Tags_UpdateAtScope",
}

OFFER = 1  # the second write of a new version, which lets "latest" be it


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with running(tmp_path_factory.mktemp("azure")) as double:
        yield double


@pytest.fixture
def azure(server: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """An empty gallery that the environment points at, and waits fifty times as fast as in life."""
    server.control("POST", "reset")
    nap = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: nap(seconds / 50))
    monkeypatch.setattr(replication, "REASON_SECONDS", 5.0)
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    session = _session()
    assert session.blobs
    for container in session.blobs.list_containers():
        session.blobs.delete_container(container.name)
    return server


@pytest.fixture(scope="module")
def disks(tmp_path_factory: pytest.TempPathFactory) -> list[Disk]:
    """Two qcow2 disks of 64 MiB less one sector, with noise across ranges and a range of written zeros."""
    return [_make_disk(tmp_path_factory.mktemp("disk"), seed) for seed in (1, 2)]


def _make_disk(folder: Path, seed: int) -> Disk:
    raw = folder / "disk.raw"
    with raw.open("wb") as file:
        file.truncate(64 * MIB - 512)
        file.seek(3 * MIB)
        file.write(random.Random(seed).randbytes(DATA))  # noqa: S311 - noise, the same in each run
        file.seek(20 * MIB)
        file.write(bytes(4 * MIB))
        file.seek(64 * MIB - 1024)
        file.write(b"the end of the last, unfinished MiB")
    process.run(["qemu-img", "convert", "-S", "0", "-O", "qcow2", raw, folder / "disk.qcow2"])
    return describe_disk(folder / "disk.qcow2")[0]


def _definition(**azure: Any) -> ImageDefinition:
    return Definition.model_validate(
        {
            "name": "web",
            "description": "A web server",
            "os": "debian-12",
            "arch": "x86_64",
            "version": "1.0",
            "base": {"qemu": {"image": "debian-12"}},
            "targets": ("azure",),
            "distribution": {"azure": _distribution(**azure)},
            "tags": {"team": "platform"},
        }
    )


NETWORK = {"virtual_network": "builds", "resource_group": "network", "subnet": "packer"}
ACCESS = {"access_from": ("203.0.113.7/32",)}


def _distribution(**azure: Any) -> dict[str, Any]:
    return {
        "tenant": world.TENANT,
        "subscription": world.SUBSCRIPTION,
        "resource_group": world.RESOURCE_GROUP,
        "gallery": world.GALLERY,
        "regions": REGIONS,
        "storage_account": world.STORAGE_ACCOUNT,
        "credentials": "azure/creds/bake",
    } | azure


def _artifact(disk: Disk, version: str = "1.0.0") -> Artifact:
    # fmt: off
    return Artifact(
        image="web", arch="x86_64", version=version, os="debian-12", mode="vm", input_key="0123abcd", inputs={},
        base=Base("debian-12", "12.0.0", "f" * 64), disk=disk, commit="c0ffee", tools={}, seconds={},
        created="2026-01-01T00:00:00+00:00", log="",
    )
    # fmt: on


class DiskPublisher:
    """A definition and its baked disks; version 1.0.N has the disk N."""

    def __init__(self, disks: list[Disk]) -> None:
        self.definition = _definition()
        self._disks = disks

    def artifact(self, version: str = "1.0.0") -> Artifact:
        return _artifact(self._disks[int(version[-1])], version)

    def target(self, credentials: dict[str, str] = CREDENTIALS, **azure: Any) -> AzureTarget:
        return AzureTarget(_definition(**azure), credentials)

    def publish(self, version: str = "1.0.0", report: Callable[[Event], None] = silent) -> Publication:
        artifact = self.artifact(version)
        return self.target().publish(artifact, Path(artifact.disk.path), report)

    def want(self) -> tags.Tags:
        return tags.of_artifact(self.definition, self.artifact())

    def upload(self) -> str:
        session = _session()
        assert session.blobs
        return blobs.ensure(session.blobs, self.artifact().disk, self.want(), lambda share: None)


@pytest.fixture
def bench(disks: list[Disk]) -> DiskPublisher:
    return DiskPublisher(disks)


def test_a_login_is_tried_at_the_gallery_and_the_storage_account(azure: StandIn) -> None:
    try_login(_definition(), CREDENTIALS)
    assert WRITES.isdisjoint(azure.calls())
    assert "Galleries_Get" in azure.calls()
    session = _session()
    assert session.blobs
    assert list(session.blobs.list_containers()) == [], "the look made the container"
    session.blobs.create_container(BLOB_CONTAINER)
    try_login(_definition(), CREDENTIALS)
    with pytest.raises(BakeryError, match="cannot read the storage account"):
        try_login(_definition(storage_account="otheraccount"), CREDENTIALS)


def _session() -> AzureSession:
    azure = _definition().distribution.of(AzureDistribution)
    assert azure
    return connect(azure, CREDENTIALS)


def _blob(bench: DiskPublisher) -> BlobClient:
    session = _session()
    assert session.blobs
    return session.blobs.get_blob_client(BLOB_CONTAINER, blobs.name(bench.want()))


def _writes(azure: StandIn) -> Counter[str]:
    return Counter(call for call in azure.calls() if call in WRITES)


def _found() -> Any:
    return versions.find(_session(), GalleryVersion.parse(VERSION_ID))


def _image_tags() -> dict[str, str]:
    return tagging.read(_session(), world.compute_id("galleries/bakery/images/web-x86_64"))


def _assert_whole(bench: DiskPublisher, publication: Publication) -> None:
    """One version, replicated and tagged, nothing left in the storage account."""
    assert [(location.account, location.region, location.id) for location in publication.locations] == [
        (world.SUBSCRIPTION, region, VERSION_ID) for region in REGIONS
    ]
    assert all(finding.status == "correct" for finding in bench.target().inspect(publication))
    assert not _blob(bench).exists()


def test_fresh(azure: StandIn, bench: DiskPublisher) -> None:
    events: list[Event] = []
    publication = bench.publish(report=events.append)
    _assert_whole(bench, publication)
    artifact, found = bench.artifact(), _found()
    assert found.tags == {
        "team": "platform",
        "Name": NAME,
        "bakery:image": "web",
        "bakery:version": "1.0.0",
        "bakery:arch": "x86_64",
        "bakery:os": "debian-12",
        "bakery:base": "debian-12 12.0.0",
        "bakery:input-key": "0123abcd",
        "bakery:commit": "c0ffee",
        "bakery:sha256": artifact.disk.sha256,
        "bakery:raw-sha256": artifact.disk.raw_sha256,
    }
    assert found.location == HOME
    assert _writes(azure) == {"GalleryImages_CreateOrUpdate": 1, "GalleryImageVersions_CreateOrUpdate": 1 + OFFER}
    assert set(publication.seconds) == {"upload", "create", "replicate", "offer"}
    shares = [
        event.fraction or 0.0 for event in events if event.kind == "progress" and event.text.startswith("replicas")
    ]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    image = _session().compute.gallery_images.get(world.RESOURCE_GROUP, world.GALLERY, "web-x86_64")
    assert (image.os_type, image.os_state, image.hyper_v_generation, image.architecture) == (
        "Linux",
        "Generalized",
        "V2",
        "x64",
    )


def test_latest_is_not_a_version_that_a_region_lacks(azure: StandIn, bench: DiskPublisher) -> None:
    azure.settings(pending_reads=4)
    seen = set()

    def look(event: Event) -> None:
        version = _found() if event.text.startswith("replicas") else None
        if version and not replication.is_complete(version, REGIONS):
            seen.add(version.publishing_profile.exclude_from_latest)

    bench.publish(report=look)
    assert seen == {True}
    assert _found().publishing_profile.exclude_from_latest is False


def test_again_writes_nothing(azure: StandIn, bench: DiskPublisher) -> None:
    first = bench.publish()
    before = _writes(azure)
    assert replace(bench.publish(), seconds=first.seconds) == first
    assert _writes(azure) == before


def test_the_blob_holds_the_disk(azure: StandIn, bench: DiskPublisher) -> None:
    bench.upload()
    blob = _blob(bench)
    content = blob.download_blob().readall()
    disk = bench.artifact().disk
    assert hashlib.sha256(content[: disk.virtual_size]).hexdigest() == disk.raw_sha256
    assert len(content) == 64 * MIB + 512
    assert not any(content[disk.virtual_size : 64 * MIB])
    footer = content[64 * MIB :]
    assert footer[:8] == b"conectix"
    assert int.from_bytes(footer[48:56]) == 64 * MIB  # current size
    assert int.from_bytes(footer[60:64]) == 2  # a fixed disk
    pages = [(page.start or 0, (page.end or 0) + 1) for page in blob.list_page_ranges() if not page.cleared]
    written = sum(end - start for start, end in pages)
    assert written == 4 * blobs.RANGE + 512  # neither holes nor zeros: three ranges of noise, the last, the footer


def test_an_upload_is_done_once(azure: StandIn, bench: DiskPublisher, monkeypatch: pytest.MonkeyPatch) -> None:
    url = bench.upload()
    before = _blob(bench).get_blob_properties().etag
    # As one that waited for the lease while another run wrote.
    blobs._upload_disk(_blob(bench), bench.artifact().disk, bench.want(), lambda share: None)
    monkeypatch.setattr(blobs, "_upload_disk", None)  # the next one need not even read the disk
    assert bench.upload() == url
    assert _blob(bench).get_blob_properties().etag == before


def test_an_unfinished_upload_is_done_again(azure: StandIn, bench: DiskPublisher) -> None:
    """What another run left has pages in places that are zeros of the disk."""
    session = _session()
    assert session.blobs
    session.blobs.create_container(BLOB_CONTAINER)
    _blob(bench).create_page_blob(64 * MIB + 512)
    _blob(bench).upload_page(b"x" * 512, 20 * MIB, 512)
    bench.upload()
    content = _blob(bench).download_blob().readall()
    assert hashlib.sha256(content[: bench.artifact().disk.virtual_size]).hexdigest() == bench.artifact().disk.raw_sha256


def test_an_upload_of_another_content_is_never_finished(azure: StandIn, bench: DiskPublisher) -> None:
    session = _session()
    assert session.blobs
    want, disk = bench.want(), replace(bench.artifact().disk, blocks="e" * 64)
    with pytest.raises(BakeryError, match="content changed since it was baked"):
        blobs.ensure(session.blobs, disk, want, lambda share: None)
    assert not blobs.finished(session.blobs.get_blob_client(BLOB_CONTAINER, blobs.name(want)), want)


def test_uploads_exclude_each_other(azure: StandIn, bench: DiskPublisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "PATIENCE_SECONDS", 0.5)
    with blobs._hold_lease(_prepared(bench), 64 * MIB + 512):
        with pytest.raises(ConflictError, match="another run uploads this disk"):
            bench.upload()
        with pytest.raises(HttpResponseError, match="LeaseIdMissing"):
            _blob(bench).upload_page(b"x" * 512, 0, 512)
    bench.upload()


def _prepared(bench: DiskPublisher) -> BlobClient:
    session = _session()
    assert session.blobs
    session.blobs.create_container(BLOB_CONTAINER)
    return _blob(bench)


WRITE = blobs._write_range


def _slowly(work: blobs.Upload, index: int, data: bytes) -> None:
    """The first range is written, the others hang."""
    if index:
        time.sleep(10_000)
    WRITE(work, index, data)


def test_killed_while_it_uploads(azure: StandIn, bench: DiskPublisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "SECONDS", 15)  # the shortest that there is
    with monkeypatch.context() as slow:
        slow.setattr(blobs, "_write_range", _slowly)
        _kill_when(bench.publish, lambda: _blob(bench).exists() and any(_blob(bench).list_page_ranges()))
    assert not blobs.finished(_blob(bench), bench.want())
    _assert_whole(bench, bench.publish())


def test_killed_while_azure_works(azure: StandIn, bench: DiskPublisher) -> None:
    azure.settings(pending_reads=1000)
    _kill_when(bench.publish, lambda: _found() is not None)
    assert replication.state(_found()) == "Creating"
    azure.control("POST", "hurry")
    _assert_whole(bench, bench.publish())
    assert _writes(azure)["GalleryImageVersions_CreateOrUpdate"] == 1 + OFFER


def _kill_when(work: Callable[[], object], reached: Callable[[], bool]) -> None:
    """Run `work` in a process of its own and kill it, without any clean-up, once it got far enough."""
    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    while not reached():
        assert child.is_alive(), "it ended before it could be killed"
        time.sleep(1)
    child.kill()
    child.join()


def test_two_runs_at_once(azure: StandIn, bench: DiskPublisher) -> None:
    """On two machines, where no lock file helps: the slower one takes up what the other made, or fails."""
    runs = [multiprocessing.get_context("fork").Process(target=bench.publish) for _ in range(2)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert 0 in [run.exitcode for run in runs]
    _assert_whole(bench, bench.publish())
    assert _writes(azure)["GalleryImageVersions_CreateOrUpdate"] <= 2 * (1 + OFFER)


def test_another_run_is_done_before_the_upload_ends(
    azure: StandIn, bench: DiskPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure = blobs.ensure

    def overtaken(*arguments: Any) -> str:
        monkeypatch.setattr(blobs, "ensure", ensure)
        bench.publish()
        return ensure(*arguments)

    monkeypatch.setattr(blobs, "ensure", overtaken)
    _assert_whole(bench, bench.publish())
    assert _writes(azure)["GalleryImageVersions_CreateOrUpdate"] == 1 + OFFER


def test_a_version_that_is_being_deleted_is_awaited(azure: StandIn, bench: DiskPublisher) -> None:
    bench.publish()
    azure.settings(pending_reads=10)
    session, address = _session(), GalleryVersion.parse(VERSION_ID)
    names = (address.resource_group, address.gallery, address.image, address.version)
    session.compute.gallery_image_versions.begin_delete(*names, polling=False)
    _assert_whole(bench, bench.publish())


def test_one_region_fails(azure: StandIn, bench: DiskPublisher) -> None:
    azure.settings(failing=[THIRD])
    with pytest.raises(PartialError) as caught:
        bench.publish()
    assert f"it can be used in {HOME}, {SECOND}" in caught.value.message
    assert "The replication job failed in eastus." in caught.value.detail
    assert f"{THIRD}: Failed, 0 %" in caught.value.detail
    azure.settings(failing=[])
    _assert_whole(bench, bench.publish())
    assert _writes(azure)["GalleryImageVersions_CreateOrUpdate"] == 1 + OFFER
    assert _writes(azure)["GalleryImageVersions_Update"] == 1


def test_a_region_that_keeps_failing(azure: StandIn, bench: DiskPublisher) -> None:
    azure.settings(failing=[THIRD])
    for _ in range(2):
        with pytest.raises(PartialError, match=f"it can be used in {HOME}, {SECOND}"):
            bench.publish()


def test_a_version_that_failed_is_made_anew(azure: StandIn, bench: DiskPublisher) -> None:
    azure.settings(failing=[HOME])
    with pytest.raises(BakeryError, match=r"version 1\.0\.0 of web-x86_64 is Failed") as caught:
        bench.publish()
    assert not isinstance(caught.value, PartialError)
    assert _blob(bench).exists(), "the disk need not be uploaded again"
    azure.settings(failing=[])
    _assert_whole(bench, bench.publish())
    assert _writes(azure)["GalleryImageVersions_Delete"] == 1


def test_a_region_is_added(azure: StandIn, bench: DiskPublisher) -> None:
    artifact = bench.artifact()
    disk = Path(artifact.disk.path)
    bench.target(regions=(HOME, "westus2")).publish(artifact, disk, silent)
    _assert_whole(bench, bench.publish())
    assert set(replication.requested_regions(_found())) == {*REGIONS, "westus2"}, "what somebody else uses stays"


def test_tags_are_repaired(azure: StandIn, bench: DiskPublisher) -> None:
    first = bench.publish()
    want = bench.want()
    tagging.remove(_session(), VERSION_ID, {"bakery:version": want["bakery:version"]})
    tagging.merge(_session(), VERSION_ID, {"owner": "somebody"})
    (wrong,) = [finding for finding in bench.target().inspect(first) if finding.status != "correct"]
    assert (wrong.location, wrong.status) == (f"{VERSION_ID} tags", "incorrect")
    bench.publish()
    assert _found().tags == want | {"owner": "somebody"}


def test_lost_answers_make_nothing_twice(azure: StandIn, bench: DiskPublisher) -> None:
    for operation in ("GalleryImages_CreateOrUpdate", "GalleryImageVersions_Get", "Login"):
        azure.fault(operation, kind="after")
    _assert_whole(bench, bench.publish())


def test_a_retired_version_is_out_of_latest_and_has_an_end(azure: StandIn, bench: DiskPublisher) -> None:
    publication = bench.publish()
    bench.target().set_availability(publication, "deprecated", silent)
    profile = _found().publishing_profile
    assert profile.exclude_from_latest
    assert profile.end_of_life_date <= datetime.now(UTC)
    (wrong,) = [finding for finding in bench.target().inspect(publication) if finding.status != "correct"]
    assert wrong.detail == "it is excluded from latest"
    bench.target().set_availability(publication, "available", silent)
    profile = _found().publishing_profile
    assert (profile.exclude_from_latest, profile.end_of_life_date) == (False, None)


def test_azure_may_have_to_keep_a_version_until_its_end_of_life(azure: StandIn, bench: DiskPublisher) -> None:
    publication = bench.publish()
    version = _found()
    version.safety_profile = GalleryImageVersionSafetyProfile(block_deletion_before_end_of_life=True)
    versions.replace(_session(), GalleryVersion.parse(VERSION_ID), version)
    with pytest.raises(ConflictError, match=r"version 1\.0\.0 of web-x86_64 must not be deleted before") as caught:
        bench.target().set_availability(publication, "removed", silent)
    assert "not set" in caught.value.detail
    with pytest.raises(BakeryError, match="cannot delete the version"):  # Azure's own word, without ours
        versions.remove(_session(), GalleryVersion.parse(VERSION_ID))
    bench.target().set_availability(publication, "deprecated", silent)
    bench.target().set_availability(publication, "removed", silent)
    assert _found() is None


def test_machines_of_a_version_are_its_uses(azure: StandIn, bench: DiskPublisher) -> None:
    publication, image = bench.publish(), VERSION_ID.rpartition("/versions/")[0]
    for machine in (
        {"name": "pinned", "image": {"id": VERSION_ID.upper()}},
        {"name": "latest", "image": {"id": image, "exactVersion": "1.0.0"}},
        {"name": "newer", "image": {"id": image, "exactVersion": "1.0.1"}},
        {"name": "foreign", "image": {"publisher": "Debian", "offer": "debian-13", "version": "latest"}},
        {"name": "fleet", "kind": "scale set", "image": {"id": VERSION_ID}},
        {"name": "rolling", "kind": "scale set", "image": {"id": image}},
        {"name": "0", "set": "rolling", "image": {"id": image, "exactVersion": "1.0.0"}},
        {"name": "1", "set": "rolling", "image": {"id": image, "exactVersion": "1.0.1"}},
    ):
        azure.control("POST", "machines", machine)
    uses = [(use.kind, use.name) for use in bench.target().find_uses(publication)]
    assert uses == [
        ("virtual machine", "images/pinned"),
        ("virtual machine", "images/latest"),
        ("scale set", "images/fleet"),
        ("virtual machine", "images/rolling/0"),
    ]


@pytest.mark.parametrize(
    ("operation", "right"),
    [
        ("VirtualMachines_ListAll", "virtualMachines/read"),
        ("VirtualMachineScaleSets_ListAll", "virtualMachineScaleSets/read"),
    ],
)
def test_the_right_to_list_machines_is_named(azure: StandIn, bench: DiskPublisher, operation: str, right: str) -> None:
    publication = bench.publish()
    azure.fault(operation, error="AuthorizationFailed", status=403)
    with pytest.raises(BakeryError, match="the login may not list the") as caught:
        bench.target().find_uses(publication)
    assert caught.value.hint.endswith(f"for Microsoft.Compute/{right}")


def test_throttling_is_survived(azure: StandIn, bench: DiskPublisher) -> None:
    for operation in ("GalleryImageVersions_Get", "GalleryImageVersions_CreateOrUpdate", "GalleryImages_Get"):
        azure.fault(operation, error="TooManyRequests", status=429, times=4)
    _assert_whole(bench, bench.publish())


@pytest.mark.parametrize(
    ("credentials", "code"),
    [
        ({"client_id": world.CLIENT_ID, "client_secret": "canary-4711"}, "AADSTS7000215"),
        ({"client_id": world.TENANT, "client_secret": "canary-4711"}, "AADSTS700016"),
    ],
)
def test_wrong_credentials(azure: StandIn, bench: DiskPublisher, credentials: dict[str, str], code: str) -> None:
    artifact = bench.artifact()
    with pytest.raises(BakeryError) as caught:
        bench.target(credentials).publish(artifact, Path(artifact.disk.path), silent)
    error = caught.value
    assert code in error.detail
    assert "client_secret in Vault" in error.hint
    assert "canary" not in f"{error.message}{error.detail}{error.hint}{error.where}"
    assert not _writes(azure)


def test_no_credentials(azure: StandIn, bench: DiskPublisher) -> None:
    with pytest.raises(BakeryError, match="have no client_id and no client_secret") as caught:
        bench.target({}).prepare(_build())
    assert caught.value.where == "azure/creds/bake"


def test_a_missing_role(azure: StandIn, bench: DiskPublisher) -> None:
    azure.fault("GalleryImages_CreateOrUpdate", error="AuthorizationFailed", status=403)
    with pytest.raises(BakeryError, match="cannot make the image definition") as caught:
        bench.publish()
    assert "run-against-azure.md" in caught.value.hint
    assert not _blob(bench).exists()


def test_a_gallery_that_does_not_exist(azure: StandIn, bench: DiskPublisher) -> None:
    artifact = bench.artifact()
    with pytest.raises(NotFoundError, match="no gallery other in resource group images") as caught:
        bench.target(gallery="other").publish(artifact, Path(artifact.disk.path), silent)
    assert "az sig create" in caught.value.hint
    assert not _writes(azure)
    assert not _blob(bench).exists()


def test_an_unknown_region(azure: StandIn, bench: DiskPublisher) -> None:
    artifact = bench.artifact()
    with pytest.raises(BakeryError, match="cannot make the version") as caught:
        bench.target(regions=(HOME, "northeurop")).publish(artifact, Path(artifact.disk.path), silent)
    assert "northeurop" in caught.value.detail


def test_a_definition_of_another_kind(azure: StandIn, bench: DiskPublisher) -> None:
    other = Definition.model_validate(_definition().model_dump() | {"os": "windows-2022"})
    AzureTarget(other, CREDENTIALS).prepare(_build())
    with pytest.raises(ConflictError, match="for another kind of image") as caught:
        bench.publish()
    assert caught.value.detail == "os_type is Windows, expected Linux"


def test_nobody_answers(azure: StandIn, bench: DiskPublisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_RESOURCE_MANAGER_URL", f"https://127.0.0.1:{qemu.free_port()}")
    with pytest.raises(BakeryError, match="cannot look for the version") as caught:
        bench.publish()
    assert "check the network" in caught.value.hint


def test_a_foreign_version_is_never_touched(azure: StandIn, bench: DiskPublisher) -> None:
    bench.publish()
    tagging.merge(_session(), VERSION_ID, {tags.SHA256: "0" * 64})
    before = _writes(azure)
    with pytest.raises(ConflictError, match="was not made from this disk"):
        bench.publish()
    assert _writes(azure) == before


def _record(catalog: Catalog, publication: Publication) -> Record:
    reserved = catalog.reserve("web", "x86_64", "1.0", publication.version, {}, "builder", "bake-private")
    assert reserved.version == publication.version
    return catalog.revise(
        replace(reserved, state="complete", sha256=publication.sha256, publications=(publication,)), "published"
    )


def test_channels(azure: StandIn, bench: DiskPublisher, tmp_path: Path) -> None:
    catalog = Catalog(open_store(str(tmp_path / "catalog")), Keyring(tmp_path / "keys", {}))
    first, second = (_record(catalog, bench.publish(version)) for version in ("1.0.0", "1.0.1"))
    targets = {"azure": bench.target()}

    azure.fault("Tags_UpdateAtScope", error="AuthorizationFailed", status=403)
    with pytest.raises(BakeryError, match="cannot tag with bakery:channel:stable"):
        channels.promote(open_channel(catalog, targets, "stable"), first, "", is_new=True)
    assert _image_tags() == {}
    assert catalog.channel("web", "x86_64", "stable") is None

    entry = channels.promote(open_channel(catalog, targets, "stable"), first, "", is_new=True)
    assert _image_tags() == {"bakery:channel:stable": "1.0.0"}
    assert entry.pointers == (Pointer(world.SUBSCRIPTION, "", "bakery:channel:stable", 0, VERSION_ID),)
    before = _writes(azure)
    assert channels.promote(open_channel(catalog, targets, "stable"), first, "", is_new=True) == entry
    assert _writes(azure) == before

    channels.promote(open_channel(catalog, targets, "next"), first, "", is_new=True)
    channels.promote(open_channel(catalog, targets, "stable"), second, "", is_new=True)
    assert _image_tags() == {"bakery:channel:stable": "1.0.1", "bakery:channel:next": "1.0.0"}
    assert channels.rollback(open_channel(catalog, targets), "").version == "1.0.0"
    assert _image_tags()["bakery:channel:stable"] == "1.0.0"


def test_a_channel_of_another_version_is_not_removed(azure: StandIn, bench: DiskPublisher) -> None:
    old, new = bench.publish("1.0.0"), bench.publish("1.0.1")
    target = bench.target()
    [(location, value)] = target.channel_values(new).items()
    target.point(new, "stable", [location], silent)
    target.unpoint(new, "stable", {location: list(target.channel_values(old).values())})
    assert _image_tags() == {"bakery:channel:stable": "1.0.1"}
    target.unpoint(old, "stable", {location: [value]})
    assert _image_tags() == {}


def test_a_version_that_lost_a_region_is_not_promoted(azure: StandIn, bench: DiskPublisher, tmp_path: Path) -> None:
    catalog = Catalog(open_store(str(tmp_path / "catalog")), Keyring(tmp_path / "keys", {}))
    record = _record(catalog, bench.publish())
    address = GalleryVersion.parse(VERSION_ID)
    versions.extend(_session(), address, _found(), REGIONS[:2]).result()
    with pytest.raises(BakeryError, match="cannot be used everywhere") as caught:
        channels.promote(open_channel(catalog, {"azure": bench.target()}, "stable"), record, "", is_new=True)
    assert f"{THIRD} {VERSION_ID}: missing: no replica" in caught.value.detail
    assert _image_tags() == {}


def _build() -> RemoteBuild:
    # fmt: off
    return RemoteBuild(
        image="web", arch="x86_64", version="1.0.0", os="debian-12", target="azure", builder="azure-arm",
        input_key="0123abcd", inputs={}, base="", identity="a" * 64, ids=dict.fromkeys(REGIONS, VERSION_ID), checks=(),
        commit="c0ffee", tools={}, seconds={}, created="2026-01-01T00:00:00+00:00", log="",
    )
    # fmt: on


def _as_packer(bench: DiskPublisher, **more: str) -> None:
    """Start what azure-arm leaves in the gallery: in two of the regions, with the few tags that it is told."""
    session, build = _session(), _build()
    bench.target().prepare(build)
    source = GalleryDiskImageSource(
        uri=f"{_blob(bench).url}", storage_account_id=world.storage_id(world.STORAGE_ACCOUNT)
    )
    versions.create(
        session, GalleryVersion.parse(VERSION_ID), source, REGIONS[:2], tags.identity(build) | more
    ).result()


def test_what_packer_built_is_adopted(azure: StandIn, bench: DiskPublisher) -> None:
    _as_packer(bench)
    publication = bench.target().adopt(_build(), silent)
    assert publication.sha256 == _build().identity
    assert {location.region for location in publication.locations} == set(REGIONS)
    assert all(finding.status == "correct" for finding in bench.target().inspect(publication))
    assert _found().tags == tags.of_build(bench.definition, _build())
    before = _writes(azure)
    assert replace(bench.target().adopt(_build(), silent), seconds=publication.seconds) == publication
    assert _writes(azure) == before


def test_what_somebody_else_built_is_not_adopted(azure: StandIn, bench: DiskPublisher) -> None:
    with pytest.raises(NotFoundError, match="that Packer made"):
        bench.target().adopt(_build(), silent)
    _as_packer(bench, Name="other")
    with pytest.raises(ConflictError, match="was not made from this disk"):
        bench.target().adopt(_build(), silent)


@pytest.mark.parametrize(
    ("system", "base"),
    [
        ("debian-12", {"urn": "Debian:debian-12:12-gen2:latest"}),
        ("debian-12", {"image": "base"}),
        ("debian-12", {"image": "base", "network": NETWORK}),
        ("windows-2022", {"urn": "MicrosoftWindowsServer:WindowsServer:2022-datacenter-g2:latest"}),
    ],
)
def test_packer_accepts_the_template(
    project_root: Path, tmp_path: Path, system: str, base: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the real plugin, and without credentials: nothing is asked."""
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # discard: a question to Azure would fail
    for name in ("bake.yml", "bake-windows.yml"):
        (tmp_path / "ansible" / "playbooks").mkdir(parents=True, exist_ok=True)
        (tmp_path / "ansible" / "playbooks" / name).touch()
    (tmp_path / "packer").symlink_to(project_root / "packer")
    project = Project(root=tmp_path, definitions=tmp_path, workspace=tmp_path / "workspace")
    access = {} if "network" in base else ACCESS
    definition = Definition.model_validate(
        _definition().model_dump(exclude={"base"}) | {"os": system, "base": {"azure": base | access}}
    )
    source = VERSION_ID if "image" in base else ""
    tools = toolbox.toolchain(Project(root=project_root, definitions=tmp_path, workspace=tmp_path / "workspace"))
    job = Job(project, definition, "1.0.0", "azure", None, tools, tmp_path, tmp_path / "log", silent, source)
    packer.validate(job)
    assert world.CLIENT_SECRET not in (tmp_path / "variables.json").read_text()


class TestMarketplace:
    """The version that `latest` stands for."""

    URN = "debian:debian-12:12-gen2"

    def definition(self) -> ImageDefinition:
        values = _definition().model_dump(exclude_none=True)
        return Definition.model_validate(values | {"base": {"azure": {"urn": f"{self.URN}:latest"} | ACCESS}})

    def test_is_the_greatest_by_its_numbers(self, azure: StandIn) -> None:
        azure.control("POST", "market", {self.URN: ["0.20261101.10", "0.20261101.9", "0.20260901.11"]})
        base = marketplace.find_base(self.definition(), CREDENTIALS)
        assert (base.identity, base.name) == ("0.20261101.10", self.URN)

    def test_is_an_error_if_there_is_none(self, azure: StandIn) -> None:
        with pytest.raises(BakeryError, match=f"cannot look for the marketplace image {self.URN}:latest"):
            marketplace.find_base(self.definition(), CREDENTIALS)
        azure.control("POST", "market", {self.URN: []})
        with pytest.raises(BakeryError, match=f"the marketplace has no version of {self.URN}"):
            marketplace.find_base(self.definition(), CREDENTIALS)

    def test_is_what_the_build_starts_from(self, project_root: Path, tmp_path: Path) -> None:
        newest = VendorBase("0.20261101.10", self.URN)
        project = Project(project_root, tmp_path, tmp_path / "workspace")
        tools = toolbox.toolchain(project)
        log, definition = tmp_path / "log", self.definition()
        job = Job(project, definition, "1.0.0", "azure", None, tools, tmp_path, log, silent, vendor_base=newest)
        job.ansible_files.mkdir()
        assert builder.variables(job)["source_urn"] == f"{self.URN}:0.20261101.10"


class TestReadBack:
    def request(self, location: ImageLocation, folder: Path) -> ReadRequest:
        settings = _definition().distribution.of(AzureDistribution)
        return ReadRequest(location, settings, CREDENTIALS, folder, folder, lambda _: None)

    def test_a_published_version_has_the_bytes_that_were_baked(
        self, azure: StandIn, bench: DiskPublisher, disks: list[Disk], tmp_path: Path
    ) -> None:
        for location in bench.publish().locations:
            with open_disk(self.request(location, tmp_path)) as held:
                assert held.size == 64 * MIB, "rounded up to whole MiB, without the footer"
                assert digest_disk(held, disks[0].virtual_size).sha256 == disks[0].raw_sha256
        assert Counter(azure.calls())["Disks_Delete"] == len(REGIONS)

    def test_an_export_that_fails_leaves_no_disk(self, azure: StandIn, bench: DiskPublisher, tmp_path: Path) -> None:
        request = self.request(bench.publish().locations[0], tmp_path)
        with pytest.raises(KeyboardInterrupt), open_disk(request):
            raise KeyboardInterrupt
        azure.fault("Disks_GrantAccess", status=403, error="AuthorizationFailed")
        with pytest.raises(BakeryError, match="cannot export the disk") as caught, open_disk(request):
            pytest.fail("it was read")
        assert "lacks a role" in caught.value.hint
        calls = Counter(azure.calls())
        assert calls["Disks_CreateOrUpdate"] == calls["Disks_RevokeAccess"] == calls["Disks_Delete"] == 2

    def test_a_region_without_a_replica(self, azure: StandIn, bench: DiskPublisher, tmp_path: Path) -> None:
        location = replace(bench.publish().locations[0], region="westus2")
        request = self.request(location, tmp_path)
        with pytest.raises(BakeryError, match="cannot make a disk") as caught, open_disk(request):
            pytest.fail("it was read")
        assert "no replica in westus2" in caught.value.detail
