"""What the images stack takes from a catalog."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from bakery.catalog import Catalog
from bakery.errors import BakeryError, NotFoundError
from bakery_stacks import published
from bakery_stacks.config import Environment

Publish = Callable[..., None]


def test_an_empty_catalog_has_no_images(catalog: Catalog, environment: Environment) -> None:
    assert published.read(catalog, environment) == []


def test_the_version_that_the_channel_points_at(catalog: Catalog, publish: Publish, environment: Environment) -> None:
    publish("web", "1.4.0")
    publish("web", "1.4.1")
    publish("web", "1.4.2", channel="testing")
    [image] = published.read(catalog, environment) or ()
    assert (image.name, image.arch, image.version) == ("web", "x86_64", "1.4.1")
    assert list(image.regions) == ["eu-west-1", "us-east-1"]
    place = image.regions["us-east-1"]
    assert place.image_id == "ami-web-us-east-1-1"
    assert (place.version.name, place.version.number) == ("/bakery/web/x86_64/1.4.1", 1)
    assert (place.channel.name, place.channel.number) == ("/bakery/web/x86_64/channels/stable", 7)


def test_all_images_in_the_order_of_their_names(catalog: Catalog, publish: Publish, environment: Environment) -> None:
    for name in ("web", "api", "db"):
        publish(name, "1.0.0")
    assert [image.name for image in published.read(catalog, environment) or ()] == ["api", "db", "web"]


@pytest.mark.parametrize("change", [{"channel": None}, {"channel": "testing"}, {"target": "local"}, {"regions": ()}])
def test_what_the_environment_cannot_hand_out_is_left_out(
    catalog: Catalog, publish: Publish, environment: Environment, change: dict[str, object]
) -> None:
    publish("web", "1.0.0", **change)
    assert published.read(catalog, environment) == []


def test_only_the_environments_own_account_and_regions_count(
    catalog: Catalog, publish: Publish, environment: Environment
) -> None:
    publish("web", "1.0.0", regions=("eu-west-1", "ap-south-1"))
    [image] = published.read(catalog, environment) or ()
    assert list(image.regions) == ["eu-west-1"]
    assert image.regions["eu-west-1"].image_id == "ami-web-eu-west-1-0"


def test_a_revoked_version_is_refused_not_dropped(catalog: Catalog, publish: Publish, environment: Environment) -> None:
    publish("web", "1.0.0")
    catalog.revise(replace(catalog.record("web", "x86_64", "1.0.0"), state="revoked"))
    with pytest.raises(BakeryError, match=r"channel stable of web points at 1\.0\.0, which is revoked") as caught:
        published.read(catalog, environment)
    assert "bakery rollback web stable" in caught.value.hint


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


def test_before_the_first_deploy_there_is_no_bucket(environment: Environment) -> None:
    assert published.read(Catalog(Broken(NotFoundError("the catalog bucket does not exist"))), environment) is None


def test_a_catalog_that_cannot_be_reached_is_no_empty_one(environment: Environment) -> None:
    with pytest.raises(BakeryError, match="cannot be reached"):
        published.read(Catalog(Broken(BakeryError("the catalog cannot be reached"))), environment)
