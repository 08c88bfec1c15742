"""One copy on its way: never made twice, made again once when it failed or went away."""

import time
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from bakery.clouds.aws import copies
from bakery.clouds.aws.copies import Copy, Source
from bakery.host.errors import BakeryError, ConflictError

TAGS = {"Name": "web-1.0.0-x86_64", "bakery:sha256": "5a"}
SOURCE = Source("ami-source", "eu-central-1", "A web server", TAGS, "")


class FakeEc2:
    """Images by ID; a client token gives the same ID again, also after its image is gone."""

    def __init__(self) -> None:
        self.meta = SimpleNamespace(region_name="us-east-1")
        self.images: dict[str, dict[str, Any]] = {}
        self.tokens: dict[str, str] = {}
        self.begin_as = "pending"
        self.busy = 0

    def describe_images(self, Filters: list[dict[str, Any]], **_: Any) -> dict[str, Any]:
        wanted = Filters[0]["Values"][0]
        return {"Images": [one for one in self.images.values() if wanted in (one["ImageId"], one["Name"])]}

    def copy_image(self, ClientToken: str, **request: Any) -> dict[str, Any]:
        if self.busy:
            self.busy -= 1
            raise ClientError({"Error": {"Code": "ResourceLimitExceeded"}}, "CopyImage")
        if ClientToken not in self.tokens:
            image_id = self.tokens[ClientToken] = f"ami-{len(self.tokens)}"
            tags = request["TagSpecifications"][0]["Tags"]
            self.add(image_id, self.begin_as, request["SourceImageId"], tags)
        return {"ImageId": self.tokens[ClientToken]}

    def add(self, image_id: str, state: str, source: str, tags: list[dict[str, str]]) -> None:
        image = {"ImageId": image_id, "Name": TAGS["Name"], "State": state, "SourceImageId": source, "Tags": tags}
        self.images[image_id] = image

    def deregister_image(self, ImageId: str) -> None:
        del self.images[ImageId]


@pytest.fixture
def ec2() -> FakeEc2:
    return FakeEc2()


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Every nap of a poll is an hour's quarter."""
    naps: list[float] = []
    monkeypatch.setattr(time, "sleep", lambda _: naps.append(900))
    monkeypatch.setattr(time, "monotonic", lambda: sum(naps))
    return naps


def test_a_copy_from_start_to_end(ec2: FakeEc2) -> None:
    copy = Copy(cast(Any, ec2), SOURCE)
    assert copy.look() is None
    assert copy.look() is None
    ec2.images["ami-0"]["State"] = "available"
    assert copy.look() == ec2.images["ami-0"]
    assert list(ec2.images) == ["ami-0"]


def test_a_second_run_takes_up_the_first(ec2: FakeEc2) -> None:
    Copy(cast(Any, ec2), SOURCE).look()
    hidden = dict(ec2.images)
    ec2.images.clear()  # not to be seen yet: found by its token
    second = Copy(cast(Any, ec2), SOURCE)
    second.look()
    ec2.images = hidden
    second.look()
    assert list(ec2.images) == ["ami-0"]


def test_an_adopted_copy_that_is_not_shown_once_is_not_made_again(ec2: FakeEc2, clock: list[float]) -> None:
    Copy(cast(Any, ec2), SOURCE).look()
    clock.append(900)
    second = Copy(cast(Any, ec2), SOURCE)
    second.look()
    shown, ec2.images = ec2.images, {}
    ec2.tokens.clear()  # AWS forgets tokens, too
    second.look()
    ec2.images |= shown
    assert list(ec2.images) == ["ami-0"]


def test_a_copy_that_is_gone_is_made_again(ec2: FakeEc2, clock: list[float]) -> None:
    Copy(cast(Any, ec2), SOURCE).look()
    ec2.deregister_image("ami-0")
    copy = Copy(cast(Any, ec2), SOURCE)
    copy.look()  # the token brings back the dead ID
    assert not ec2.images
    clock.append(900)
    copy.look()
    assert list(ec2.images) == ["ami-1"]
    ec2.deregister_image("ami-1")
    clock.append(900)
    with pytest.raises(BakeryError, match="ami-1 is gone"):
        copy.look()


def test_a_failed_copy_is_made_again_once(ec2: FakeEc2) -> None:
    ec2.begin_as = "failed"
    copy = Copy(cast(Any, ec2), SOURCE)
    copy.look()
    copy.look()
    assert list(ec2.images) == ["ami-1"]
    with pytest.raises(BakeryError, match="ami-1 is failed"):
        copy.look()


def test_a_disabled_copy_stays(ec2: FakeEc2) -> None:
    ec2.begin_as = "disabled"
    copy = Copy(cast(Any, ec2), SOURCE)
    copy.look()
    with pytest.raises(BakeryError, match="ami-0 is disabled") as caught:
        copy.look()
    assert "enable it" in caught.value.hint


@pytest.mark.parametrize(
    ("source", "tags"),
    [
        ("ami-other", []),
        ("ami-other", [{"Key": "bakery:sha256", "Value": "5a"}]),
        ("ami-source", [{"Key": "bakery:sha256", "Value": "0"}]),
    ],
)
def test_a_copy_of_something_else_is_never_touched(ec2: FakeEc2, source: str, tags: list[dict[str, str]]) -> None:
    ec2.add("ami-theirs", "failed", source, tags)
    with pytest.raises(ConflictError, match="ami-theirs but was not made from this disk"):
        Copy(cast(Any, ec2), SOURCE).look()
    assert list(ec2.images) == ["ami-theirs"]


def test_a_busy_region_is_asked_again(ec2: FakeEc2) -> None:
    ec2.busy, ec2.begin_as = 2, "available"
    assert copies.finish(Copy(cast(Any, ec2), SOURCE))["ImageId"] == "ami-0"


def test_a_copy_that_is_late(ec2: FakeEc2) -> None:
    with pytest.raises(BakeryError, match="the copy is not available after 90 min") as caught:
        copies.finish(Copy(cast(Any, ec2), SOURCE))
    assert caught.value.where == "us-east-1"
