"""Images on the stand-in are deprecated, disabled, enabled and removed: again, interrupted, refused."""

import itertools
import multiprocessing
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest

from bakery.host.errors import BakeryError, ConflictError, NotFoundError, PartialError
from bakery.host.events import silent
from bakery.model.documents import Availability, Pointer
from doubles.aws.client import StandIn
from unit.bakery.clouds.aws.conftest import CONSUMER, HOME, REGIONS, SECOND, THIRD, Published

Publish = Callable[..., Published]
STAYING: tuple[Availability, ...] = ("available", "deprecated", "disabled")
WRITES = (
    *("EnableImage", "DisableImage", "EnableImageDeprecation", "DisableImageDeprecation", "DeregisterImage"),
    *("ModifyImageAttribute", "ModifySnapshotAttribute", "DeleteSnapshot", "CreateTags", "DeleteParameter"),
)
SHARED = ([{"UserId": CONSUMER}], [{"UserId": CONSUMER}])


def bring(published: Published, availability: Availability) -> None:
    published.target.set_availability(published.publication, availability, silent)


def wrong(published: Published, availability: Availability) -> dict[str, tuple[str, str]]:
    """What `inspect` finds, by its text without account and region, for one region."""
    findings = published.target.inspect(published.publication, availability)
    return {one.location.split("/", 1)[1]: (one.status, one.detail) for one in findings if one.status != "correct"}


def assert_is(published: Published, availability: Availability, region: str, was_disabled: bool = False) -> None:
    image = published.image(region)
    if availability == "removed":
        assert not image
        assert not published.has_snapshot(region)
        return
    assert image["State"] == ("disabled" if availability == "disabled" else "available")
    assert published.shares(region) == (([], []) if availability == "disabled" or was_disabled else SHARED)
    if availability == "available":
        assert "DeprecationTime" not in image
    if availability == "deprecated":
        late = datetime.fromisoformat(image["DeprecationTime"]) - datetime.now(UTC)
        assert timedelta(0) < late <= timedelta(minutes=2)


@pytest.mark.parametrize(
    ("before", "after"),
    [(before, after) for before, after in itertools.product(STAYING, get_args(Availability)) if before != after],
)
def test_every_change_happens_everywhere_and_once(publish: Publish, before: Availability, after: Availability) -> None:
    published = publish()
    bring(published, before)
    bring(published, after)
    for region in REGIONS:
        assert_is(published, after, region, was_disabled=before == "disabled")
    writes = published.calls(*WRITES)
    bring(published, after)
    assert published.calls(*WRITES) == writes
    if before != "disabled":
        assert wrong(published, after) == {}


def test_a_version_that_is_available_is_left_alone(publish: Publish) -> None:
    published = publish()
    before = published.calls(*WRITES)
    bring(published, "available")
    assert published.calls(*WRITES) == before


def test_shares_go_before_the_image_is_disabled(publish: Publish) -> None:
    published = publish((HOME,))
    before = len(published.calls(*WRITES))
    bring(published, "disabled")
    actions = [action for action, _ in published.calls(*WRITES)[before:]]
    assert actions == ["ModifyImageAttribute", "ModifySnapshotAttribute", "DisableImage"]


def test_everybody_loses_a_disabled_version(publish: Publish) -> None:
    """Also those that somebody has added by hand, and a snapshot that was made public."""
    published = publish((HOME,))
    ec2, location = published.aws.client("ec2", HOME), published.location(HOME)
    ec2.modify_image_attribute(
        ImageId=location.id, LaunchPermission={"Add": [{"UserId": "333333333333"}, {"Group": "all"}]}
    )
    for entry in ({"UserIds": ["333333333333"]}, {"GroupNames": ["all"]}):
        ec2.modify_snapshot_attribute(
            SnapshotId=location.snapshot, Attribute="createVolumePermission", OperationType="add", **entry
        )
    bring(published, "disabled")
    assert_is(published, "disabled", HOME)


def test_a_planned_deprecation_is_brought_forward_and_cancelled(publish: Publish) -> None:
    published = publish((HOME,))
    ec2 = published.aws.client("ec2", HOME)
    ec2.enable_image_deprecation(ImageId=published.location(HOME).id, DeprecateAt="2035-01-01T00:00:00Z")
    assert wrong(published, "available") == {}
    bring(published, "deprecated")
    assert_is(published, "deprecated", HOME)
    bring(published, "available")
    assert_is(published, "available", HOME)


STEPS: list[tuple[Availability, Availability, str]] = [
    ("available", "deprecated", "EnableImageDeprecation"),
    ("available", "disabled", "ModifyImageAttribute"),
    ("available", "disabled", "ModifySnapshotAttribute"),
    ("available", "disabled", "DisableImage"),
    ("disabled", "deprecated", "EnableImage"),
    ("disabled", "deprecated", "EnableImageDeprecation"),
    ("disabled", "available", "EnableImage"),
    ("deprecated", "available", "DisableImageDeprecation"),
    ("available", "removed", "DeregisterImage"),
    ("available", "removed", "DeleteSnapshot"),
]


@pytest.mark.parametrize(("before", "after", "action"), STEPS)
def test_a_rerun_continues_after_a_kill_before_and_after_every_call(
    publish: Publish, before: Availability, after: Availability, action: str
) -> None:
    for kind in ("reset", "after"):  # the call was lost, or its answer
        published = publish()
        bring(published, before)
        seen = published.calls(action).count((action, SECOND))
        published.aws.fault("ec2", action, kind=kind, region=SECOND, times=1000)
        run = multiprocessing.get_context("fork").Process(target=bring, args=(published, after))
        run.start()
        while published.calls(action).count((action, SECOND)) < seen + 2:
            assert run.is_alive(), "it ended before it could be killed"
            time.sleep(1)
        run.kill()
        run.join()
        published.aws.control("DELETE", "faults")
        bring(published, after)
        for region in REGIONS:
            assert_is(published, after, region, was_disabled=before == "disabled")
        published.aws.reset()


@pytest.mark.parametrize("fault", [{"error": "UnauthorizedOperation", "status": 403}, {"kind": "reset", "times": 1000}])
@pytest.mark.parametrize(
    ("availability", "action"),
    [("deprecated", "EnableImageDeprecation"), ("disabled", "DisableImage"), ("removed", "DeregisterImage")],
)
def test_a_region_that_denies_or_never_answers_keeps_no_other_one(
    publish: Publish, availability: Availability, action: str, fault: dict[str, object]
) -> None:
    published = publish()
    published.aws.fault("ec2", action, region=SECOND, **fault)
    with pytest.raises(PartialError, match=f"web-1.0.0-x86_64.* in {SECOND}; done in {HOME}, {THIRD}"):
        bring(published, availability)
    for region in (HOME, THIRD):
        assert_is(published, availability, region)
    assert published.image(SECOND)["State"] == "available"
    published.aws.control("DELETE", "faults")
    bring(published, availability)
    assert_is(published, availability, SECOND)


def test_a_region_that_cannot_be_looked_at_keeps_all_images(publish: Publish) -> None:
    published = publish()
    published.aws.fault("ec2", "DescribeImages", region=THIRD, kind="reset", times=1000)
    with pytest.raises(BakeryError, match="cannot look for") as caught:
        bring(published, "removed")
    assert caught.value.where == THIRD
    assert published.calls("DeregisterImage", "DeleteSnapshot") == []


@pytest.mark.parametrize("availability", STAYING)
def test_images_that_are_gone_are_named_after_the_others_are_done(publish: Publish, availability: Availability) -> None:
    published = publish()
    for region in (SECOND, THIRD):
        published.aws.client("ec2", region).deregister_image(ImageId=published.location(region).id)
    with pytest.raises(NotFoundError, match=r"the image of web-1\.0\.0-x86_64 is gone") as caught:
        bring(published, availability)
    assert caught.value.where == f"{SECOND}, {THIRD}"
    assert_is(published, availability, HOME)
    assert {name.split()[0]: found[0] for name, found in wrong(published, availability).items()} == {
        SECOND: "missing",
        THIRD: "missing",
    }


def test_what_is_gone_already_is_removed(publish: Publish) -> None:
    """Also the snapshot that an earlier run left."""
    published = publish()
    published.aws.client("ec2", SECOND).deregister_image(ImageId=published.location(SECOND).id)
    third, location = published.aws.client("ec2", THIRD), published.location(THIRD)
    third.deregister_image(ImageId=location.id)
    third.delete_snapshot(SnapshotId=location.snapshot)
    assert published.has_snapshot(SECOND)
    bring(published, "removed")
    for region in REGIONS:
        assert_is(published, "removed", region)


def test_withdrawn_images_follow_and_may_be_gone(publish: Publish) -> None:
    published = publish((HOME,), withdrawn=(SECOND, THIRD))
    published.aws.client("ec2", THIRD).deregister_image(ImageId=published.location(THIRD).id)
    for availability in get_args(Availability):
        bring(published, availability)
        assert_is(published, availability, HOME)
        if availability != "available":
            assert not [name for name in wrong(published, availability) if not name.startswith(HOME)]
            assert_is(published, availability, SECOND)
    assert not published.has_snapshot(THIRD)


@pytest.mark.parametrize("cooldown", [False, True])
def test_a_protected_image_keeps_all_of_them(publish: Publish, cooldown: bool) -> None:
    published = publish()
    ec2, image = published.aws.client("ec2", SECOND), published.location(SECOND).id
    ec2.enable_image_deregistration_protection(ImageId=image, WithCooldown=cooldown)
    with pytest.raises(BakeryError, match="protected from deregistration: nothing was removed") as caught:
        bring(published, "removed")
    assert caught.value.where == SECOND
    assert image in caught.value.detail
    command = f"aws ec2 disable-image-deregistration-protection --region {SECOND} --image-id {image}"
    assert f"run '{command}'" in caught.value.hint
    assert published.calls("DeregisterImage", "DeleteSnapshot") == []
    ec2.disable_image_deregistration_protection(ImageId=image)
    if cooldown:
        with pytest.raises(BakeryError, match="nothing was removed") as caught:
            bring(published, "removed")
        assert "if it may go: wait until 20" in caught.value.hint
        published.aws.settings(clock_ahead=25 * 3600)
    bring(published, "removed")
    assert_is(published, "removed", SECOND)


@pytest.mark.parametrize("availability", get_args(Availability))
def test_an_image_of_another_disk_is_not_touched(publish: Publish, availability: Availability) -> None:
    published = publish()
    other = replace(published, publication=replace(published.publication, sha256="6b" * 32))
    before = published.calls(*WRITES)
    with pytest.raises(BakeryError, match=r"was not made from this disk|cannot (make|look)") as caught:
        bring(other, availability)
    assert "was not made from this disk" in f"{caught.value}{caught.value.detail}"
    assert published.calls(*WRITES) == before


def test_a_snapshot_of_another_disk_is_not_deleted(publish: Publish) -> None:
    published = publish((HOME,))
    location = published.location(HOME)
    ec2 = published.aws.client("ec2", HOME)
    ec2.deregister_image(ImageId=location.id)
    ec2.delete_tags(Resources=[location.snapshot], Tags=[{"Key": "bakery:sha256"}])
    with pytest.raises(ConflictError, match=f"{location.snapshot} is not of web-1.0.0-x86_64"):
        bring(published, "removed")
    assert published.has_snapshot(HOME)


def test_the_parameter_of_a_removed_version_stays(publish: Publish) -> None:
    published = publish((HOME,))
    ssm = published.aws.client("ssm", HOME)
    ssm.put_parameter(Name="/bakery/web/x86_64/1.0.0", Value=published.location(HOME).id, Type="String")
    bring(published, "removed")
    assert ssm.get_parameter(Name="/bakery/web/x86_64/1.0.0")["Parameter"]["Value"] == published.location(HOME).id


def test_all_snapshots_of_an_image_go_with_it(publish: Publish, aws: StandIn) -> None:
    """One that Packer built may have several disks."""
    published = publish((HOME,))
    ec2, location = aws.client("ec2", HOME), published.location(HOME)
    tags = [tag for tag in published.image(HOME)["Tags"] if tag["Key"] != "Name"]
    second = ec2.copy_snapshot(SourceRegion=HOME, SourceSnapshotId=location.snapshot)["SnapshotId"]
    for _ in range(3):
        ec2.describe_snapshots(SnapshotIds=[second])
    devices = {"/dev/xvda": location.snapshot, "/dev/xvdb": second}
    image = ec2.register_image(
        Name="web-1.0.0-x86_64-two",
        RootDeviceName="/dev/xvda",
        BlockDeviceMappings=[{"DeviceName": name, "Ebs": {"SnapshotId": one}} for name, one in devices.items()],
        TagSpecifications=[{"ResourceType": "image", "Tags": tags}],
    )["ImageId"]
    for _ in range(3):
        ec2.describe_images(ImageIds=[image])
    ec2.deregister_image(ImageId=location.id)
    publication = replace(published.publication, locations=(replace(location, id=image),))
    bring(replace(published, publication=publication), "removed")
    assert ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"] == []


class TestInspect:
    """`inspect` names each difference from the wanted availability."""

    def test_a_usable_version(self, publish: Publish) -> None:
        published = publish((HOME,))
        image, snapshot = published.location(HOME).id, published.location(HOME).snapshot
        name = f"{HOME} {image}"
        assert wrong(published, "available") == {}
        late = "its deprecation time is not set, expected one that has come"
        assert wrong(published, "deprecated") == {name: ("incorrect", late)}
        shared = ("unexpected", f"shared with {CONSUMER}, expected nobody")
        assert wrong(published, "disabled") == {
            name: ("incorrect", "it is available, expected disabled"),
            f"{name} launch permissions": shared,
            f"{name} {snapshot} permissions": shared,
        }
        assert wrong(published, "removed") == {
            name: ("unexpected", "the image still exists"),
            f"{name} snapshot": ("unexpected", f"{snapshot} still exists"),
        }

    def test_a_deprecated_version(self, publish: Publish) -> None:
        published = publish((HOME,))
        bring(published, "deprecated")
        at = published.image(HOME)["DeprecationTime"]
        assert list(wrong(published, "available").values()) == [("incorrect", f"it is deprecated since {at}")]

    def test_a_disabled_version(self, publish: Publish) -> None:
        published = publish((HOME,))
        bring(published, "disabled")
        disabled = ("incorrect", "it is disabled, expected available")
        unshared = ("incorrect", f"not shared with {CONSUMER}")
        for availability in ("available", "deprecated"):
            assert list(wrong(published, availability).values()) == [disabled, unshared]

    def test_a_removed_version(self, publish: Publish) -> None:
        published = publish((HOME,))
        bring(published, "removed")
        for availability in STAYING:
            assert list(wrong(published, availability).values()) == [("missing", "no such image")]

    def test_parameters_matter_while_the_images_can_be_used(self, publish: Publish) -> None:
        published = publish((HOME,))
        pointer = ("123456789012", HOME, "/bakery/web/x86_64/1.0.0", 1, published.location(HOME).id)
        publication = replace(published.publication, pointers=(Pointer(*pointer),))
        published = replace(published, publication=publication)
        counts: dict[Availability, int] = {"available": 1, "deprecated": 1, "disabled": 0, "removed": 0}
        for availability, count in counts.items():
            bring(published, availability)
            missing = [name for name, found in wrong(published, availability).items() if found[0] == "missing"]
            assert len(missing) == count
