"""All that runs of an image make in one region: listed by its tags, and removed.

Packer tags its machine, security group and key pair in the calls that make them (plugin 1.8.2, `run_tags`). Stacks also
tag machines with the name of an image, hence the tag for builds. Packer tags the copies of its image in other regions
last, so these are also found by their name and their source.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from bakery.clouds.aws import images, snapshots
from bakery.clouds.aws.calls import VISIBLE_SECONDS, error_code, explain_errors, is_denied
from bakery.clouds.aws.clients import EC2Client, Filter, Image
from bakery.clouds.aws.tagging import from_aws
from bakery.clouds.target import Resource, ResourceKind, format_since, remove_each
from bakery.host.errors import BakeryError
from bakery.host.waiting import wait_until
from bakery.model.tags import SHA256

# The tag of what lives no longer than a build (packer/templates/aws/image.pkr.hcl).
BUILD: Filter = {"Name": "tag:bakery:purpose", "Values": ["build"]}
TERMINATED_SECONDS = 600.0  # as long as botocore's waiter for terminated instances
# packer_ and a UUID whose first 32 bits are the time in seconds (packer-plugin-sdk, uuid.TimeOrderedUUID).
TIMED_NAME = re.compile(r"packer_(?P<seconds>[0-9a-f]{8})-[0-9a-f-]+")


def list_region(ec2: EC2Client, home: EC2Client, where: str, image: str, arch: str) -> list[Resource]:
    """The resources of an image in a region. `home` is the region of builds, `where` the location's name."""
    tags: list[Filter] = [
        {"Name": "tag:bakery:image", "Values": [image]},
        {"Name": "tag:bakery:arch", "Values": [arch]},
    ]
    with explain_errors(f"look for resources of {image}", where):
        listed = [
            *_list_builds(ec2, where, [*tags, BUILD]),
            *_list_images(ec2, home, where, image, arch),
            *_list_snapshots(ec2, where, tags),
        ]
    return list({(resource.kind, resource.id): resource for resource in listed}.values())


def remove_resources(ec2: EC2Client, resources: Sequence[Resource]) -> dict[Resource, BakeryError]:
    """Remove resources of one region in the order of their kinds; the errors of those that stay."""
    return remove_each(resources, lambda resource: REMOVERS[resource.kind](ec2, resource.id))


def _list_builds(ec2: EC2Client, where: str, filters: Sequence[Filter]) -> Iterator[Resource]:
    """The machines of builds with their groups, keys and volumes. A volume that is in use goes with its machine."""
    states: Filter = {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}
    for page in ec2.get_paginator("describe_instances").paginate(Filters=[*filters, states]):
        for instance in (instance for part in page["Reservations"] for instance in part["Instances"]):
            yield _new_resource(where, "instance", instance["InstanceId"], instance, instance["LaunchTime"])
    for pair in ec2.describe_key_pairs(Filters=filters)["KeyPairs"]:
        yield _new_resource(where, "key pair", pair["KeyName"], pair, pair.get("CreateTime"))
    for group_page in ec2.get_paginator("describe_security_groups").paginate(Filters=filters):
        for group in group_page["SecurityGroups"]:
            began = _read_time(group["GroupName"])
            yield _new_resource(where, "security group", group["GroupId"], group, began)
    unused: Filter = {"Name": "status", "Values": ["available"]}
    for volume_page in ec2.get_paginator("describe_volumes").paginate(Filters=[*filters, unused]):
        for volume in volume_page["Volumes"]:
            yield _new_resource(where, "disk", volume["VolumeId"], volume, volume["CreateTime"])


def _list_images(ec2: EC2Client, home: EC2Client, where: str, image: str, arch: str) -> Iterator[Resource]:
    """The images that have the name of a version and its tags, or are copies of such an image; and their snapshots."""
    names: Filter = {"Name": "name", "Values": [f"{image}-*-{arch}"]}
    pages = ec2.get_paginator("describe_images").paginate(Owners=["self"], IncludeDisabled=True, Filters=[names])
    for ami in (ami for page in pages for ami in page["Images"]):
        match = re.fullmatch(rf"{re.escape(image)}-([0-9]+\.[0-9]+\.[0-9]+)-{re.escape(arch)}", ami["Name"])
        if match and _is_ours(ami, home, image):
            began = format_since(datetime.fromisoformat(ami["CreationDate"]))
            yield Resource(where, "image", ami["ImageId"], match[1], began)
            if snapshot := images.snapshot_of(ami):
                yield Resource(where, "snapshot", snapshot, match[1], began)


def _is_ours(ami: Image, home: EC2Client, image: str) -> bool:
    """Whether an image has our tag, or no tag of ours and a source that Packer made or removed."""
    actual = from_aws(ami)
    if "bakery:image" in actual or SHA256 in actual:
        return actual.get("bakery:image") == image
    if ami.get("SourceImageRegion") != home.meta.region_name:
        return False
    source = images.by_id(home, ami["SourceImageId"])
    return source is None or from_aws(source).get("bakery:image") == image


def _list_snapshots(ec2: EC2Client, where: str, filters: Sequence[Filter]) -> Iterator[Resource]:
    for page in ec2.get_paginator("describe_snapshots").paginate(OwnerIds=["self"], Filters=filters):
        for snapshot in page["Snapshots"]:
            yield _new_resource(where, "snapshot", snapshot["SnapshotId"], snapshot, snapshot["StartTime"])


def _new_resource(
    where: str, kind: ResourceKind, name: str, described: Mapping[str, Any], began: datetime | None
) -> Resource:
    version = from_aws(described).get("bakery:version", "")
    return Resource(where, kind, name, version, format_since(began))


def _read_time(name: str) -> datetime | None:
    """The time in the name of a security group that Packer made: AWS knows none."""
    match = TIMED_NAME.fullmatch(name)
    return datetime.fromtimestamp(int(match["seconds"], 16), UTC) if match else None


def _terminate(ec2: EC2Client, instance: str) -> None:
    """Terminate an instance, and wait until nothing else is in use by it."""
    with _ignore_absent(ec2, "terminate", instance, "InvalidInstanceID.NotFound"):
        ec2.terminate_instances(InstanceIds=[instance])
    if wait_until(lambda: True if _is_terminated(ec2, instance) else None, TERMINATED_SECONDS) is None:
        raise BakeryError(
            f"{instance} is not terminated after {TERMINATED_SECONDS / 60:.0f} min",
            where=ec2.meta.region_name,
            hint="run again: AWS goes on",
        )


def _is_terminated(ec2: EC2Client, instance: str) -> bool:
    """Whether an instance is terminated or gone; by a filter, since an unknown ID is an error otherwise."""
    with explain_errors(f"look at {instance}", ec2.meta.region_name):
        answer = ec2.describe_instances(Filters=[{"Name": "instance-id", "Values": [instance]}])
    return _are_terminated(answer)


def _delete_key_pair(ec2: EC2Client, pair: str) -> None:
    with _ignore_absent(ec2, "delete", pair, "InvalidKeyPair.NotFound"):
        ec2.delete_key_pair(KeyName=pair)


def _delete_security_group(ec2: EC2Client, group: str) -> None:
    """Delete a group; for a while after its last machine is gone, AWS says that it is in use."""

    def attempt() -> bool | None:
        try:
            ec2.delete_security_group(GroupId=group)
        except ClientError as error:
            if error_code(error) != "DependencyViolation" or not _is_free(ec2, group):
                raise
            return None
        return True

    with _ignore_absent(ec2, "delete", group, "InvalidGroup.NotFound"):
        if wait_until(attempt, VISIBLE_SECONDS) is None:
            raise BakeryError(f"{group} is still in use", where=ec2.meta.region_name, hint="run again later")


def _is_free(ec2: EC2Client, group: str) -> bool:
    """Whether no machine uses a group that is not terminated."""
    answer = ec2.describe_instances(Filters=[{"Name": "instance.group-id", "Values": [group]}])
    return _are_terminated(answer)


def _are_terminated(answer: Mapping[str, Any]) -> bool:
    instances = [instance for part in answer["Reservations"] for instance in part["Instances"]]
    return all(instance["State"]["Name"] == "terminated" for instance in instances)


def _delete_volume(ec2: EC2Client, volume: str) -> None:
    with _ignore_absent(ec2, "delete", volume, "InvalidVolume.NotFound"):
        ec2.delete_volume(VolumeId=volume)


def _deregister(ec2: EC2Client, image: str) -> None:
    """Deregister an image; its snapshot is a resource of its own."""
    region = ec2.meta.region_name
    with _name_command(f"aws ec2 deregister-image --region {region} --image-id {image} --delete-associated-snapshots"):
        images.remove(ec2, {"ImageId": image})


def _delete_snapshot(ec2: EC2Client, snapshot: str) -> None:
    with _name_command(f"aws ec2 delete-snapshot --region {ec2.meta.region_name} --snapshot-id {snapshot}"):
        snapshots.remove(ec2, snapshot)


@contextmanager
def _name_command(command: str) -> Iterator[None]:
    """Name the command for a person: the publisher's rights end at copies that a killed Packer did not tag."""
    try:
        yield
    except BakeryError as error:
        if is_denied(error):
            error.hint = (
                f"the publisher removes only what is tagged bakery:image: have an administrator run '{command}'"
            )
        raise


@contextmanager
def _ignore_absent(ec2: EC2Client, doing: str, name: str, absent: str) -> Iterator[None]:
    with explain_errors(f"{doing} {name}", ec2.meta.region_name):
        try:
            yield
        except ClientError as error:
            if error_code(error) != absent:
                raise


REMOVERS: Mapping[ResourceKind, Callable[[EC2Client, str], None]] = {
    "instance": _terminate,
    "key pair": _delete_key_pair,
    "security group": _delete_security_group,
    "image": _deregister,
    "snapshot": _delete_snapshot,
    "disk": _delete_volume,
}
