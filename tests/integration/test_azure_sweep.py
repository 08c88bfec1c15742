"""What runs left in Azure is listed by its marks and removed: versions, uploads under a lease, groups of builds."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from azure.mgmt.compute.models import GalleryDiskImageSource
from azure.storage.blob import BlobServiceClient

from bakery.clouds.azure import gallery, lease, versions
from bakery.clouds.azure.names import BLOB_CONTAINER, GalleryVersion
from bakery.clouds.azure.session import AzureSession, connect
from bakery.clouds.azure.settings import AzureDistribution
from bakery.clouds.azure.target import AzureTarget
from bakery.clouds.definitions import Definition
from bakery.clouds.target import Listing, Resource
from bakery.model.definition import ImageDefinition
from bakery.model.tags import identity
from bakery.model.version import ImageVersion
from doubles.azure import world
from doubles.azure.client import StandIn, running

pytestmark = pytest.mark.integration

CREDENTIALS = {"client_id": world.CLIENT_ID, "client_secret": world.CLIENT_SECRET}
TAGS = identity(ImageVersion("web", "x86_64", "1.0.0"))
UPLOAD = "web-1.0.0-x86_64-0123456789abcdef.vhd"
BUILD = "pkr-Resource-Group-0a1b2c3d4e"
VERSION_ID = world.compute_id("galleries/bakery/images/web-x86_64/versions/1.0.0")
GROUP = f"{world.SUBSCRIPTION}/{world.RESOURCE_GROUP}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with running(tmp_path_factory.mktemp("azure")) as double:
        yield double


@pytest.fixture
def azure(server: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    server.control("POST", "reset")
    nap = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: nap(seconds / 50))
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    return server


@pytest.fixture
def definition() -> ImageDefinition:
    distribution = {
        "tenant": world.TENANT,
        "subscription": world.SUBSCRIPTION,
        "resource_group": world.RESOURCE_GROUP,
        "gallery": world.GALLERY,
        "regions": ("westeurope",),
        "storage_account": world.STORAGE_ACCOUNT,
        "credentials": "azure/creds/bake",
    }
    return Definition.model_validate(
        {
            "name": "web",
            "description": "A web server",
            "os": "debian-12",
            "arch": "x86_64",
            "version": "1.0",
            "base": {"qemu": {"image": "debian-12"}},
            "targets": ("azure",),
            "distribution": {"azure": distribution},
        }
    )


@pytest.fixture
def session(azure: StandIn, definition: ImageDefinition) -> AzureSession:
    settings = definition.distribution.of(AzureDistribution)
    assert settings
    return connect(settings, CREDENTIALS)


@pytest.fixture
def store(session: AzureSession) -> BlobServiceClient:
    """An empty container for uploads."""
    assert session.blobs
    for container in session.blobs.list_containers():
        session.blobs.delete_container(container.name)
    session.blobs.create_container(BLOB_CONTAINER)
    return session.blobs


@pytest.fixture
def target(definition: ImageDefinition) -> AzureTarget:
    return AzureTarget(definition, CREDENTIALS)


def upload(store: BlobServiceClient, name: str) -> str:
    blob = store.get_blob_client(BLOB_CONTAINER, name)
    blob.create_page_blob(1 << 20)
    return str(blob.url)


def make_version(session: AzureSession, definition: ImageDefinition, url: str, tags: dict[str, str]) -> None:
    address = GalleryVersion.parse(VERSION_ID)
    gallery.ensure(session, definition, address)
    source = GalleryDiskImageSource(uri=url, storage_account_id=world.storage_id(world.STORAGE_ACCOUNT))
    versions.create(session, address, source, ("westeurope",), tags).result()


def flatten(listing: Listing) -> list[Resource]:
    assert not listing.failures
    return [resource for part in listing.resources.values() for resource in part]


def put_groups(azure: StandIn, **tags: dict[str, str]) -> None:
    created = ["2026-01-01T00:00:00Z", "2026-01-01T00:05:00Z"]
    groups: dict[str, Any] = {name: {"tags": tags, "created": created} for name, tags in tags.items()}
    azure.control("POST", "groups", groups)


def test_nothing_is_there(target: AzureTarget, store: BlobServiceClient) -> None:
    """Not even the image definition."""
    assert flatten(target.list_resources("web", "x86_64")) == []


def test_a_storage_account_without_container(target: AzureTarget, store: BlobServiceClient) -> None:
    store.delete_container(BLOB_CONTAINER)
    assert flatten(target.list_resources("web", "x86_64")) == []


def test_all_kinds_are_listed_and_removed(
    azure: StandIn,
    session: AzureSession,
    store: BlobServiceClient,
    target: AzureTarget,
    definition: ImageDefinition,
) -> None:
    make_version(session, definition, upload(store, UPLOAD), TAGS)
    put_groups(azure, **{BUILD: TAGS})
    resources = flatten(target.list_resources("web", "x86_64"))
    assert {(resource.kind, resource.location, resource.id, resource.version) for resource in resources} == {
        ("image", f"{GROUP}/{world.GALLERY}", VERSION_ID, "1.0.0"),
        ("upload", f"{GROUP}/{world.STORAGE_ACCOUNT}", UPLOAD, "1.0.0"),
        ("resource group", world.SUBSCRIPTION, BUILD, "1.0.0"),
    }
    times = {resource.kind: datetime.fromisoformat(resource.since) for resource in resources}
    assert times.pop("resource group").isoformat() == "2026-01-01T00:05:00+00:00"  # its newest part
    assert all(abs((datetime.now(UTC) - began).total_seconds()) < 120 for began in times.values())
    assert target.remove_resources(resources) == {}
    assert flatten(target.list_resources("web", "x86_64")) == []
    assert target.remove_resources(resources) == {}


def test_what_is_not_of_this_image_is_not_listed(
    azure: StandIn,
    session: AzureSession,
    store: BlobServiceClient,
    target: AzureTarget,
    definition: ImageDefinition,
) -> None:
    """Neither versions and groups without our tags, nor groups that no build made, nor other blobs."""
    make_version(session, definition, upload(store, "somebody.vhd"), {})
    for name in ("web-proxy-1.0.0-x86_64-0123456789abcdef.vhd", "web-1.0.0-x86_64.vhd", f"{UPLOAD}.bak"):
        upload(store, name)
    others = {f"{BUILD}5": {**TAGS, "bakery:image": "web-proxy"}, f"{BUILD}6": {}, "production": TAGS}
    put_groups(azure, **others)
    assert flatten(target.list_resources("web", "x86_64")) == []


def test_an_upload_at_work_stays(store: BlobServiceClient, target: AzureTarget) -> None:
    upload(store, UPLOAD)
    (resource,) = flatten(target.list_resources("web", "x86_64"))
    held = lease.acquire(store.get_blob_client(BLOB_CONTAINER, UPLOAD))
    assert "cannot delete the uploaded disk" in target.remove_resources([resource])[resource].message
    held.release()
    assert target.remove_resources([resource]) == {}


def test_a_part_that_does_not_answer_is_named_and_the_rest_is_listed(
    azure: StandIn, store: BlobServiceClient, target: AzureTarget
) -> None:
    upload(store, UPLOAD)
    azure.fault("ResourceGroups_List", kind="error", status=403, error="AuthorizationFailed", times=9)
    listing = target.list_resources("web", "x86_64")
    assert set(listing.failures) == {world.SUBSCRIPTION}
    assert [resource.id for resource in listing.resources[f"{GROUP}/{world.STORAGE_ACCOUNT}"]] == [UPLOAD]


def test_a_group_that_stays_is_named_and_the_rest_goes(
    azure: StandIn, store: BlobServiceClient, target: AzureTarget
) -> None:
    upload(store, UPLOAD)
    put_groups(azure, **{BUILD: TAGS})
    azure.fault("ResourceGroups_Delete", kind="error", status=403, error="AuthorizationFailed")
    failures = target.remove_resources(flatten(target.list_resources("web", "x86_64")))
    assert [(resource.kind, error.hint) for resource, error in failures.items()] == [
        ("resource group", "the application lacks a role: docs/how-to/run-against-azure.md has the list")
    ]
    assert [resource.kind for resource in flatten(target.list_resources("web", "x86_64"))] == ["resource group"]
