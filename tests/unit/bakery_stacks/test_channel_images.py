"""What the images stack takes from a catalog."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bakery.catalog import Catalog
from bakery.host.errors import BakeryError, NotFoundError
from bakery.model.version import ImageVersion
from bakery.signing import Keyring
from bakery_stacks import channel_images
from bakery_stacks.channel_images import MissingImage, PublishedImage
from bakery_stacks.config import Environment
from bakery_stacks.stacks.vault.settings import Certificate, Snapshots, Vault

Publish = Callable[..., None]


def images(catalog: Catalog, environment: Environment) -> tuple[PublishedImage, ...]:
    found = channel_images.read_channel_images(catalog, environment)
    assert found
    return found.images


def test_an_empty_catalog_has_no_images(catalog: Catalog, environment: Environment) -> None:
    assert images(catalog, environment) == ()


def test_the_version_that_the_channel_points_at(catalog: Catalog, publish: Publish, environment: Environment) -> None:
    publish("web", "1.4.0")
    publish("web", "1.4.1")
    publish("web", "1.4.2", channel="testing")
    [image] = images(catalog, environment)
    assert (image.name, image.arch, image.version) == ("web", "x86_64", "1.4.1")
    assert list(image.regions) == ["eu-west-1", "us-east-1"]
    location = image.regions["us-east-1"]
    assert location.image_id == "ami-web-us-east-1-1"
    assert (location.version.name, location.version.number) == ("/bakery/web/x86_64/1.4.1", 1)
    assert (location.channel.name, location.channel.number) == ("/bakery/web/x86_64/channels/stable", 7)


def test_all_images_in_the_order_of_their_names(catalog: Catalog, publish: Publish, environment: Environment) -> None:
    for name in ("web", "api", "db"):
        publish(name, "1.0.0")
    assert [image.name for image in images(catalog, environment)] == ["api", "db", "web"]


@pytest.mark.parametrize("change", [{"channel": None}, {"channel": "testing"}, {"target": "local"}, {"regions": ()}])
def test_what_the_environment_cannot_hand_out_is_left_out(
    catalog: Catalog, publish: Publish, environment: Environment, change: dict[str, object]
) -> None:
    publish("web", "1.0.0", **change)
    assert images(catalog, environment) == ()


def test_only_the_environments_own_account_and_regions_count(
    catalog: Catalog, publish: Publish, environment: Environment
) -> None:
    publish("web", "1.0.0", regions=("eu-west-1", "ap-south-1"))
    [image] = images(catalog, environment)
    assert list(image.regions) == ["eu-west-1"]
    assert image.regions["eu-west-1"].image_id == "ami-web-eu-west-1-0"


def test_a_revoked_version_is_refused_not_dropped(catalog: Catalog, publish: Publish, environment: Environment) -> None:
    publish("web", "1.0.0")
    catalog.revise(replace(catalog.record(ImageVersion("web", "x86_64", "1.0.0")), state="revoked"))
    with pytest.raises(BakeryError, match=r"channel stable of web points at 1\.0\.0, which is revoked") as caught:
        channel_images.read_channel_images(catalog, environment)
    assert "bakery rollback web stable" in caught.value.hint


@pytest.fixture
def with_vault(environment: Environment) -> Environment:
    """Of which machines start from the image `vault`."""
    certificate = Certificate(name="vault.example.internal", chain="/v/chain", key="/v/key", authority="/v/authority")
    vault = Vault(certificate=certificate, snapshots=Snapshots(bucket="vault-snapshots"))
    return environment.model_copy(update={"vault": vault})


def missing(catalog: Catalog, environment: Environment) -> MissingImage:
    found = channel_images.read_channel_images(catalog, environment)
    assert found
    return found.missing_images["vault"]


def test_nothing_is_missing_where_the_channel_has_it(
    catalog: Catalog, publish: Publish, with_vault: Environment
) -> None:
    publish("vault", "1.0.0")
    publish("web", "1.0.0", channel=None)
    found = channel_images.read_channel_images(catalog, with_vault)
    assert found
    assert found.missing_images == {}
    image = found.machine_image("vault", "eu-west-1")
    assert image
    assert image.version == "1.0.0"
    assert found.machine_image("vault", "ap-south-1") is None


@pytest.mark.parametrize(
    ("change", "reason", "hint"),
    [
        ({"channel": None}, "1.0.0 is published, but the channel does not point at it", "promote vault 1.0.0 stable'"),
        ({"channel": "testing"}, "1.0.0 is published, but the channel does not", "promote vault 1.0.0 stable'"),
        ({"channel": None, "target": "local"}, "newest version, 1.0.0, was not published to AWS", "the target aws"),
        ({"target": "local"}, "the channel points at 1.0.0, which is not at AWS", "the target aws"),
        ({"regions": ["us-east-1"]}, "at 1.0.0, which is not in eu-west-1 of account 123456789012", "with eu-west-1"),
    ],
)
def test_why_an_image_of_machines_is_missing(
    catalog: Catalog, publish: Publish, with_vault: Environment, change: dict[str, object], reason: str, hint: str
) -> None:
    publish("vault", "1.0.0", **change)
    found = missing(catalog, with_vault)
    assert reason in found.reason
    assert hint in found.hint


def test_an_image_that_was_never_baked_is_missing_and_may_be_misspelt(
    catalog: Catalog, publish: Publish, with_vault: Environment
) -> None:
    assert missing(catalog, with_vault) == channel_images.unbaked_image(with_vault, "vault")
    assert missing(catalog, with_vault).reason == "the catalog has no version of it"
    assert "docs/how-to/run-against-aws.md" in missing(catalog, with_vault).hint
    publish("vaults", "1.0.0")
    assert missing(catalog, with_vault).hint == "did you mean 'vaults'?"


def test_what_is_there_costs_no_further_request(
    catalog: Catalog, publish: Publish, with_vault: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish("vault", "1.0.0")
    monkeypatch.setattr(channel_images, "_why_missing", pytest.fail)
    assert images(catalog, with_vault)


class Broken:
    """A store that cannot be listed."""

    location = "s3://bucket/prefix"

    def __init__(self, error: BakeryError) -> None:
        self._error = error

    def list(self, prefix: str) -> list[str]:
        raise self._error

    def read(self, key: str) -> bytes:
        raise NotImplementedError

    def create(self, key: str, data: bytes) -> bool:
        raise NotImplementedError


NO_KEYS = Keyring(Path("nowhere"), {})


def test_before_the_first_deploy_there_is_no_bucket(environment: Environment) -> None:
    assert (
        channel_images.read_channel_images(
            Catalog(Broken(NotFoundError("the catalog bucket does not exist")), NO_KEYS), environment
        )
        is None
    )


def test_a_catalog_that_cannot_be_reached_is_no_empty_one(environment: Environment) -> None:
    with pytest.raises(BakeryError, match="cannot be reached"):
        catalog = Catalog(Broken(BakeryError("the catalog cannot be reached")), NO_KEYS)
        channel_images.read_channel_images(catalog, environment)
