"""AMIs: find, register, share, remove."""

from collections.abc import Collection, Iterable
from typing import Any

from botocore.exceptions import ClientError

from bakery.clouds.aws import snapshots
from bakery.clouds.aws.calls import VISIBLE_SECONDS, error_code, explain_errors, watch
from bakery.clouds.aws.clients import EC2Client, Image, LaunchPermission, VolumePermission
from bakery.clouds.aws.tagging import from_aws, specifications
from bakery.host.errors import BakeryError, ConflictError
from bakery.host.waiting import wait_until
from bakery.model.tags import SHA256, Tags, wrong

ROOT_DEVICE = "/dev/xvda"  # the name in Debian's and Amazon's own images; on Nitro the device is NVMe anyway
MOVING = {"pending", "transient"}
BROKEN = {"failed", "invalid", "error", "deregistered"}
AVAILABLE_SECONDS = 1800.0  # registering takes seconds to minutes; botocore's waiter of 10 min is known to be too short


def find(ec2: EC2Client, name: str) -> Image | None:
    """The account's image of this name, in any state; ConflictError if there are several."""
    images = _describe_images(ec2, "name", name)
    if len(images) > 1:
        raise ConflictError(
            f"several images are named {name}: {', '.join(image['ImageId'] for image in images)}",
            where=ec2.meta.region_name,
            hint="deregister all but one of them",
        )
    return images[0] if images else None


def by_id(ec2: EC2Client, image_id: str) -> Image | None:
    """The account's image by its ID, or None; by a filter, since an unknown ID is an error otherwise."""
    return next(iter(_describe_images(ec2, "image-id", image_id)), None)


def snapshot_of(image: Image) -> str:
    """The snapshot behind the root device; empty while a copy has none yet."""
    return next(iter(snapshots_of(image)), "")


def snapshots_of(image: Image) -> list[str]:
    """The snapshots behind all devices of an image."""
    devices = image.get("BlockDeviceMappings", ())
    return [str(device["Ebs"]["SnapshotId"]) for device in devices if "SnapshotId" in device.get("Ebs", {})]


def refuse_foreign(ec2: EC2Client, image: Image, sha256: str, sources: Collection[str] = ()) -> None:
    """Raise ConflictError unless the image's tags name this disk, and it is one of `sources`, or a copy of one.

    An image that lacks one of the two needs the other. One that another program made, or that has other content, is
    never touched.
    """
    tag, origin = from_aws(image).get(SHA256), image.get("SourceImageId")
    claims = [tag == sha256] if tag else []
    claims += [origin in sources or image["ImageId"] in sources] if sources and origin else []
    if not claims or not all(claims):
        raise ConflictError(
            f"{image['Name']} exists as {image['ImageId']} but was not made from this disk",
            where=ec2.meta.region_name,
            detail=f"{SHA256} is {tag or 'not set'}, expected {sha256}"
            + (f"; it is a copy of {origin}, expected {' or '.join(sources)}" if claims[1:] == [False] else ""),
            hint="deregister it if it is unused, or bake a new version",
        )


def register(ec2: EC2Client, description: str, snapshot: str, tags: Tags) -> str:
    """The ID of a new image, or of the one that another run registered a moment ago: names are unique."""
    name = tags["Name"]
    with explain_errors(f"register {name}", ec2.meta.region_name):
        try:
            return str(ec2.register_image(**_registration_request(description, snapshot, tags))["ImageId"])
        except ClientError as error:
            if error_code(error) != "InvalidAMIName.Duplicate":
                raise
    image = wait_until(lambda: find(ec2, name), VISIBLE_SECONDS)
    if image is None:
        raise ConflictError(
            f"{name} is taken, but the account has no visible image of that name",
            where=ec2.meta.region_name,
            hint="an image in the recycle bin keeps its name: restore or delete it",
        )
    refuse_foreign(ec2, image, tags[SHA256])
    return str(image["ImageId"])


def wait_available(ec2: EC2Client, image_id: str) -> Image:
    """The image as soon as it can be used and copied; BakeryError if it fails or takes too long."""
    image = watch(lambda: by_id(ec2, image_id), moving=MOVING, limit=AVAILABLE_SECONDS)
    if image is None or image["State"] != "available":
        raise unusable_error(ec2, image_id, image)
    return image


def unusable_error(ec2: EC2Client, image_id: str, image: Image | None) -> BakeryError:
    """The error for an image that did not become available; `image` is None if it is gone."""
    if image and image["State"] == "disabled":
        hint = "enable it (aws ec2 enable-image), or bake a new version"
    else:
        hint = "run again: the next run waits for it, or replaces it if it failed"
    reason = image.get("StateReason", {}).get("Message", "") if image else ""
    state = f"is {image['State']}" if image else "is gone"
    return BakeryError(f"{image_id} {state}", where=ec2.meta.region_name, detail=reason, hint=hint)


def remove(ec2: EC2Client, image: Image) -> None:
    """Deregister an image and delete its snapshots; no error if they are gone."""
    with explain_errors(f"deregister {image['ImageId']}", ec2.meta.region_name):
        try:
            ec2.deregister_image(ImageId=image["ImageId"])
        except ClientError as error:
            if error_code(error) not in ("InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"):
                raise
    for snapshot in snapshots_of(image):
        snapshots.remove(ec2, snapshot)


def remove_unfinished(ec2: EC2Client, build_tags: Tags, home: EC2Client) -> None:
    """Remove the image that an unfinished build left; ConflictError for any other one of that name.

    Such an image has the tags that Packer sets last, or is a copy of an image that Packer removed; and it lacks the tag
    of a version.
    """
    image = find(ec2, build_tags["Name"])
    if image is None:
        return
    actual = from_aws(image)
    orphan = image.get("SourceImageRegion") == home.meta.region_name and by_id(home, image["SourceImageId"]) is None
    if SHA256 in actual or (wrong(actual, build_tags) and not orphan):
        raise ConflictError(
            f"{image['Name']} exists as {image['ImageId']}, but no unfinished build made it",
            where=ec2.meta.region_name,
            hint="deregister it if it is unused, or bake a new version",
        )
    remove(ec2, image)


def share_snapshot(ec2: EC2Client, image: Image, accounts: Iterable[str]) -> None:
    """Let accounts make volumes from an image's snapshot; writes only what is missing."""
    snapshot = snapshot_of(image)
    if missing := sorted(set(accounts) - {grant.get("UserId") for grant in volume_grants(ec2, snapshot)}):
        with explain_errors(f"share {snapshot}", ec2.meta.region_name):
            ec2.modify_snapshot_attribute(
                SnapshotId=snapshot, Attribute="createVolumePermission", OperationType="add", UserIds=missing
            )


def share_image(ec2: EC2Client, image: Image, accounts: Iterable[str]) -> None:
    """Let accounts launch an image; writes only what is missing."""
    image_id = image["ImageId"]
    if missing := sorted(set(accounts) - launch_accounts(ec2, image_id)):
        with explain_errors(f"share {image_id}", ec2.meta.region_name):
            ec2.modify_image_attribute(
                ImageId=image_id, Attribute="launchPermission", OperationType="add", UserIds=missing
            )


def unshare(ec2: EC2Client, image_id: str, snapshot: str, accounts: Collection[str]) -> None:
    """Take an image and its snapshot back from accounts; no error if they are gone."""
    if by_id(ec2, image_id) is None:
        return
    if shared := sorted(launch_accounts(ec2, image_id) & set(accounts)):
        with explain_errors(f"take back {image_id}", ec2.meta.region_name):
            ec2.modify_image_attribute(
                ImageId=image_id, Attribute="launchPermission", OperationType="remove", UserIds=shared
            )
    with explain_errors(f"take back {snapshot}", ec2.meta.region_name):
        ec2.modify_snapshot_attribute(
            SnapshotId=snapshot, Attribute="createVolumePermission", OperationType="remove", UserIds=sorted(accounts)
        )


def unshare_all(ec2: EC2Client, image: Image) -> None:
    """Take an image and its snapshots back from everybody; writes nothing if they are private."""
    image_id = image["ImageId"]
    if launchers := launch_grants(ec2, image_id):
        with explain_errors(f"take back {image_id}", ec2.meta.region_name):
            ec2.modify_image_attribute(ImageId=image_id, LaunchPermission={"Remove": launchers})
    for snapshot in snapshots_of(image):
        if readers := volume_grants(ec2, snapshot):
            with explain_errors(f"take back {snapshot}", ec2.meta.region_name):
                ec2.modify_snapshot_attribute(
                    SnapshotId=snapshot,
                    Attribute="createVolumePermission",
                    CreateVolumePermission={"Remove": readers},
                )


def launch_accounts(ec2: EC2Client, image_id: str) -> set[str]:
    """The accounts that may launch an image."""
    return {grant["UserId"] for grant in launch_grants(ec2, image_id) if "UserId" in grant}


def launch_grants(ec2: EC2Client, image_id: str) -> list[LaunchPermission]:
    """The accounts, groups and organizations that may launch an image."""
    with explain_errors(f"read the launch permissions of {image_id}", ec2.meta.region_name):
        answer = ec2.describe_image_attribute(ImageId=image_id, Attribute="launchPermission")
    return answer["LaunchPermissions"]


def volume_grants(ec2: EC2Client, snapshot: str) -> list[VolumePermission]:
    """The accounts and groups that may make volumes from a snapshot, and copy it."""
    with explain_errors(f"read the permissions of {snapshot}", ec2.meta.region_name):
        answer = ec2.describe_snapshot_attribute(SnapshotId=snapshot, Attribute="createVolumePermission")
    return answer["CreateVolumePermissions"]


def _describe_images(ec2: EC2Client, filter_name: str, value: str) -> list[Image]:
    with explain_errors(f"look for {value}", ec2.meta.region_name):
        answer = ec2.describe_images(
            Owners=["self"], IncludeDisabled=True, Filters=[{"Name": filter_name, "Values": [value]}]
        )
    images: list[Image] = answer["Images"]
    return images


def _registration_request(description: str, snapshot: str, tags: Tags) -> dict[str, Any]:
    root = {"SnapshotId": snapshot, "VolumeType": "gp3", "DeleteOnTermination": True}
    return {
        "Name": tags["Name"],
        "Description": description,
        "Architecture": "x86_64",
        "BootMode": "uefi",
        "EnaSupport": True,
        "ImdsSupport": "v2.0",
        "VirtualizationType": "hvm",
        "RootDeviceName": ROOT_DEVICE,
        "BlockDeviceMappings": [{"DeviceName": ROOT_DEVICE, "Ebs": root}],
        # This call cannot tag snapshots; the upload tagged this one when it started.
        "TagSpecifications": specifications(tags, "image"),
    }
