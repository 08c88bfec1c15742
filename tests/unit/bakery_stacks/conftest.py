"""A catalog with two images, and the stacks that come out of it: made once, by a full synth as `cdktf synth` does."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bakery.catalog import Catalog, open_store
from bakery.model.documents import ImageLocation, Pointer, Publication
from bakery.signing import Keyring
from bakery_stacks import channel_images
from bakery_stacks.config import Environment, Settings, State
from bakery_stacks.program import build_app
from bakery_stacks.stacks.consumer.settings import Consumer
from bakery_stacks.stacks.vault_config.settings import (
    AssumedRole,
    Autopilot,
    AwsEngine,
    AzureEngine,
    GitLab,
    VaultConfig,
)

ACCOUNT = "123456789012"
REGIONS = ("eu-west-1", "us-east-1")
ENVIRONMENT = Environment(
    name="prod",
    account=ACCOUNT,
    home_region="eu-west-1",
    regions=REGIONS,
    consumer_accounts=(Consumer(account="210987654321"),),
    catalog="s3://prod-catalog/bakery",
    replica_region="us-east-1",
    channel="stable",
    state=State(bucket="prod-state", prefix="bakery/prod"),
    topic="new-images",
    tags={"owner": "platform"},
    vault_config=VaultConfig(
        address="https://vault.example.com:8200",
        gitlab=GitLab(url="https://gitlab.example.com", project_id="7", audience="https://vault.example.com"),
        aws=AwsEngine(
            bake=AssumedRole(role_arn=f"arn:aws:iam::{ACCOUNT}:role/bakery-bake"),
            publish=AssumedRole(role_arn=f"arn:aws:iam::{ACCOUNT}:role/bakery-publish"),
            apply=AssumedRole(role_arn=f"arn:aws:iam::{ACCOUNT}:role/bakery-apply"),
        ),
        azure=AzureEngine(
            tenant="11111111-1111-1111-1111-111111111111",
            subscription="22222222-2222-2222-2222-222222222222",
            client_id="33333333-3333-3333-3333-333333333333",
            application_object_id="44444444-4444-4444-4444-444444444444",
        ),
        autopilot=Autopilot(nodes=3),
        snapshot_role_arn=f"arn:aws:iam::{ACCOUNT}:role/bakery-prod-vault",
    ),
)

Publish = Callable[..., Catalog]
Synth = Callable[..., dict[str, dict[str, Any]]]


@pytest.fixture(scope="session")
def environment() -> Environment:
    return ENVIRONMENT


def add_version(catalog: Catalog, image: str, version: str, **change: Any) -> None:
    """A complete version, published in all regions, that the channel `stable` points at."""
    line, number = version.rsplit(".", 1)
    locations, versions, channels = [], [], []
    for region in change.get("regions", REGIONS):
        image_id = f"ami-{image}-{region}-{number}"
        locations.append(ImageLocation(ACCOUNT, region, image_id))
        versions.append(Pointer(ACCOUNT, region, f"/bakery/{image}/x86_64/{version}", 1, image_id))
        channels.append(Pointer(ACCOUNT, region, f"/bakery/{image}/x86_64/channels/stable", 7, image_id))
    elsewhere = ImageLocation("210987654321", "eu-west-1", "ami-shared", owned=False)
    publication = Publication(
        image, "x86_64", version, "0" * 64, change.get("target", "aws"), (*locations, elsewhere), tuple(versions)
    )
    reserved = catalog.reserve(image, "x86_64", line, f"key of {version}", {}, "builder", "bake-private")
    assert reserved.version == version
    record = catalog.revise(replace(reserved, state="complete", publications=(publication,)))
    if channel := change.get("channel", "stable"):
        catalog.move(record, channel, "test", catalog.channel(image, "x86_64", channel), tuple(channels))


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    """An empty catalog."""
    return Catalog(open_store(str(tmp_path / "catalog")), Keyring(tmp_path / "keys", {}))


@pytest.fixture(scope="session")
def nothing(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """An empty catalog that stays so."""
    folder = tmp_path_factory.mktemp("nothing")
    return Catalog(open_store(str(folder)), Keyring(folder / "keys", {}))


@pytest.fixture
def publish(catalog: Catalog) -> Callable[..., None]:
    """Add a version to the catalog."""
    return lambda image, version, **change: add_version(catalog, image, version, **change)


@pytest.fixture(scope="session")
def synth(tmp_path_factory: pytest.TempPathFactory) -> Synth:
    """Parsed cdk.tf.json of all stacks, by name, without cdktf's own remarks."""

    def run(settings: Settings, catalog: Catalog) -> dict[str, dict[str, Any]]:
        outdir = tmp_path_factory.mktemp("cdktf.out")
        build_app(settings, channel_images.read_channel_images(catalog, settings.environment), outdir).synth()
        return {path.parent.name: _plain(json.loads(path.read_bytes())) for path in outdir.glob("stacks/*/cdk.tf.json")}

    return run


@pytest.fixture(scope="session")
def stacks(synth: Synth, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The stacks of a real environment whose catalog has two images."""
    folder = tmp_path_factory.mktemp("images")
    catalog = Catalog(open_store(str(folder / "catalog")), Keyring(folder / "keys", {}))
    add_version(catalog, "web", "1.4.0")
    add_version(catalog, "web", "1.4.1")
    add_version(catalog, "api", "2.0.0", regions=("us-east-1",))
    return synth(Settings(ENVIRONMENT, ENVIRONMENT.catalog, stand_in=False), catalog)


def _plain(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _plain(value) for key, value in node.items() if key != "//"}
    return [_plain(item) for item in node] if isinstance(node, list) else node
