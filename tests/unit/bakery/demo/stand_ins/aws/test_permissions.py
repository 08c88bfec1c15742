"""The publisher's role may do what its synthesised policy says, and nothing else.

Sources: the IAM user guide, "Policy evaluation logic"; the Service Authorization Reference of each service; the EC2 API
reference, "Error codes" (UnauthorizedOperation) and DeregisterImage (missing-permissions).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bakery.demo.stand_ins.aws.policies import Need, allows
from doubles.aws.client import (
    BLOCK_SIZE,
    HOME_ACCOUNT,
    ONCE,
    ROOT,
    SESSION,
    StandIn,
    available,
    put_block,
    register,
    until,
)

REGION, OTHER = "eu-west-1", "us-east-1"  # those of the environment whose stacks are synthesised for tests
SNAPSHOTS = Path(__file__).parents[4] / "bakery_stacks" / "__snapshots__" / "test_snapshots"
ROLE = f"arn:aws:iam::{HOME_ACCOUNT}:role/bakery-prod-publisher"
TAGS = [{"Key": "bakery:image", "Value": "web"}]


def synthesised_policy() -> dict[str, Any]:
    """The policy of the publisher's role in the stack `distribution`, with ARNs in place of Terraform's references."""
    stack = json.loads((SNAPSHOTS / "test_the_stack_is_as_it_was[distribution].json").read_text())
    [policy] = [
        role["policy"]
        for name, role in stack["resource"]["aws_iam_role_policy"].items()
        if name.startswith("publisher_")
    ]
    for name in stack["resource"]["aws_s3_bucket"]:
        policy = policy.replace(f"${{aws_s3_bucket.{name}.arn}}", "arn:aws:s3:::prod-catalog")
    for name in stack["resource"]["aws_kms_key"]:
        policy = policy.replace(f"${{aws_kms_key.{name}.arn}}", f"arn:aws:kms:*:{HOME_ACCOUNT}:key/*")
    return json.loads(policy)  # type: ignore[no-any-return]


class Publisher:
    """Clients in a session of the publisher's role."""

    def __init__(self, cloud: StandIn) -> None:
        cloud.control("POST", "policies", {ROLE: synthesised_policy()})
        self._cloud = cloud
        self._keys = cloud.client("sts").assume_role(RoleArn=ROLE, RoleSessionName="test")["Credentials"]

    def client(self, service: str, region: str = REGION) -> Any:
        return SESSION.client(  # type: ignore[call-overload]
            service,
            region,
            endpoint_url=self._cloud.url,
            config=ONCE,
            aws_access_key_id=self._keys["AccessKeyId"],
            aws_secret_access_key=self._keys["SecretAccessKey"],
            aws_session_token=self._keys["SessionToken"],
        )

    def snapshot(self) -> str:
        """The ID of a completed snapshot, made as the bakery does."""
        ebs, ec2 = self.client("ebs"), self.client("ec2")
        snapshot: str = ebs.start_snapshot(VolumeSize=1, Tags=TAGS)["SnapshotId"]
        put_block(ebs, snapshot, 0, bytes(BLOCK_SIZE))
        ebs.complete_snapshot(SnapshotId=snapshot, ChangedBlocksCount=1)
        until("completed", lambda: ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0])
        return snapshot

    def image(self, snapshot: str, **request: Any) -> str:
        """The ID of an available image."""
        ec2 = self.client("ec2")
        devices = [{"DeviceName": ROOT, "Ebs": {"SnapshotId": snapshot}}]
        tags = {"TagSpecifications": [{"ResourceType": "image", "Tags": TAGS}]}
        image: str = ec2.register_image(
            **{"Name": "web-1.0.0", "RootDeviceName": ROOT, "BlockDeviceMappings": devices} | tags | request
        )["ImageId"]
        until("available", lambda: ec2.describe_images(ImageIds=[image])["Images"][0])
        return image


@pytest.fixture
def publisher(cloud: StandIn) -> Publisher:
    return Publisher(cloud)


def test_the_publisher_does_all_that_publishing_takes(cloud: StandIn, publisher: Publisher) -> None:
    ec2, ssm = publisher.client("ec2"), publisher.client("ssm")
    snapshot = publisher.snapshot()
    image = publisher.image(snapshot)
    share = {"Add": [{"UserId": "222222222222"}]}
    ec2.modify_image_attribute(ImageId=image, LaunchPermission=share)
    ec2.modify_snapshot_attribute(SnapshotId=snapshot, CreateVolumePermission=share)
    both = [{"ResourceType": kind, "Tags": TAGS} for kind in ("image", "snapshot")]
    publisher.client("ec2", OTHER).copy_image(
        Name="web-1.0.0", SourceImageId=image, SourceRegion=REGION, TagSpecifications=both
    )
    name = "/bakery/web/x86_64/1.0.0"
    ssm.put_parameter(Name=name, Value=image, Type="String", DataType="aws:ec2:image")
    for _ in range(2):
        ssm.get_parameters(Names=[name])
    assert ssm.get_parameters(Names=[name])["Parameters"][0]["Value"] == image
    channel = {"Name": "/bakery/web/x86_64/channels/stable", "Type": "String", "Overwrite": True}
    for value in ("1", "2"):
        ssm.put_parameter(**channel, Value=value)
    cloud.client("s3", REGION).create_bucket(
        Bucket="prod-catalog", CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    s3 = publisher.client("s3")
    s3.put_object(Bucket="prod-catalog", Key="bakery/images/web", Body=b"{}")
    s3.get_object(Bucket="prod-catalog", Key="bakery/images/web")
    s3.list_objects_v2(Bucket="prod-catalog")
    publisher.client("sts").assume_role(
        RoleArn="arn:aws:iam::210987654321:role/bakery-publisher", RoleSessionName="test"
    )
    resources = [{"ResourceType": kind} for kind in ("ec2:Instance", "ec2:LaunchTemplate", "ssm:Parameter")]
    ec2.describe_image_references(ImageIds=[image], ResourceTypes=resources)
    ec2.enable_image_deprecation(ImageId=image, DeprecateAt="2035-01-01T00:00:00Z")
    ec2.disable_image_deprecation(ImageId=image)
    ec2.disable_image(ImageId=image)
    ec2.enable_image(ImageId=image)
    answer = ec2.deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)
    assert answer["DeleteSnapshotResults"][0]["ReturnCode"] == "success"


def test_the_publisher_does_nothing_that_its_policy_leaves_out(cloud: StandIn, publisher: Publisher) -> None:
    ec2, ssm, s3, sts = (publisher.client(service) for service in ("ec2", "ssm", "s3", "sts"))
    foreign = register(cloud, "foreign", REGION)
    available(cloud, foreign, REGION)
    snapshot = publisher.snapshot()
    image = publisher.image(snapshot)
    pointer = {"Name": "/bakery/web/x86_64/1.0.0", "Value": "x", "Type": "String"}
    ssm.put_parameter(**pointer)
    cloud.client("s3", REGION).create_bucket(
        Bucket="prod-catalog", CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    share = {"Add": [{"UserId": "222222222222"}]}
    refused: Mapping[str, Any] = {
        # images without the bakery's tag, existing or new
        "UnauthorizedOperation 1": lambda: ec2.modify_image_attribute(ImageId=foreign, LaunchPermission=share),
        "UnauthorizedOperation 2": lambda: ec2.deregister_image(ImageId=foreign),
        "UnauthorizedOperation 3": lambda: ec2.create_tags(Resources=[foreign], Tags=TAGS),
        "UnauthorizedOperation 4": lambda: publisher.image(snapshot, Name="untagged", TagSpecifications=[]),
        "AccessDeniedException 5": lambda: publisher.client("ebs").start_snapshot(VolumeSize=1),
        # another region, and calls that publishing does not need
        "UnauthorizedOperation 6": lambda: publisher.client("ec2", "ap-south-1").describe_images(Owners=["self"]),
        "UnauthorizedOperation 7": lambda: ec2.disable_image_deregistration_protection(ImageId=image),
        "UnauthorizedOperation 8": lambda: ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1),
        "AccessDeniedException 9": lambda: publisher.client("rbin").create_rule(
            ResourceType="EC2_IMAGE", RetentionPeriod={"RetentionPeriodValue": 1, "RetentionPeriodUnit": "DAYS"}
        ),
        # the pointer of a version changes never, and others' parameters, objects and roles are closed
        "AccessDeniedException 10": lambda: ssm.put_parameter(**pointer, Overwrite=True),
        "AccessDeniedException 11": lambda: ssm.delete_parameter(Name=pointer["Name"]),
        "AccessDeniedException 12": lambda: ssm.get_parameter(Name="/secret"),
        "AccessDenied 13": lambda: s3.put_object(Bucket="prod-catalog", Key="elsewhere", Body=b""),
        "AccessDenied 14": lambda: s3.delete_object(Bucket="prod-catalog", Key="bakery/images/web"),
        "AccessDenied 15": lambda: sts.assume_role(
            RoleArn="arn:aws:iam::210987654321:role/Administrator", RoleSessionName="test"
        ),
        "AuthorizationError 16": lambda: publisher.client("sns").publish(
            TopicArn=f"arn:aws:sns:{REGION}:{HOME_ACCOUNT}:others", Message="x"
        ),
        # the life of images without the tag, and what a look for uses may see
        "UnauthorizedOperation 17": lambda: ec2.disable_image(ImageId=foreign),
        "UnauthorizedOperation 18": lambda: ec2.enable_image(ImageId=foreign),
        "UnauthorizedOperation 19": lambda: ec2.disable_image_deprecation(ImageId=foreign),
        "UnauthorizedOperation 20": lambda: ec2.describe_launch_templates(),
        "UnauthorizedOperation 21": lambda: ec2.describe_image_references(
            ImageIds=[image], IncludeAllResourceTypes=True
        ),
    }
    for name, call in refused.items():
        with pytest.raises(ClientError) as caught:
            call()
        assert (name, caught.value.response["Error"]["Code"]) == (name, name.split()[0])
    assert len(ec2.describe_images(ImageIds=[foreign, image])["Images"]) == 2, "nothing was done"


def test_a_typed_parameter_is_dropped_without_the_right_to_describe_images(cloud: StandIn) -> None:
    """The Systems Manager guide, "Native parameter support for Amazon Machine Image IDs"."""
    publisher = Publisher(cloud)
    image = register(cloud, "web", REGION)
    available(cloud, image, REGION)
    policy = synthesised_policy()
    policy["Statement"] = [statement for statement in policy["Statement"] if statement["Sid"] != "Look"]
    cloud.control("POST", "policies", {ROLE: policy})
    ssm = publisher.client("ssm")
    name = "/bakery/web/x86_64/1.0.0"
    ssm.put_parameter(Name=name, Value=image, Type="String", DataType="aws:ec2:image")
    for _ in range(5):
        assert ssm.get_parameters(Names=[name])["InvalidParameters"] == [name]


def test_a_snapshot_stays_without_the_right_to_delete_it(cloud: StandIn, publisher: Publisher) -> None:
    snapshot = publisher.snapshot()
    image = publisher.image(snapshot)
    policy = synthesised_policy()
    policy["Statement"].append({"Effect": "Deny", "Action": "ec2:DeleteSnapshot", "Resource": "*"})
    cloud.control("POST", "policies", {ROLE: policy})
    answer = publisher.client("ec2").deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)
    assert answer["DeleteSnapshotResults"] == [{"SnapshotId": snapshot, "ReturnCode": "missing-permissions"}]
    assert len(cloud.client("ec2", REGION).describe_snapshots(OwnerIds=["self"])["Snapshots"]) == 1


def test_the_publisher_removes_what_builds_left_and_no_other_machine(cloud: StandIn, publisher: Publisher) -> None:
    """Stacks tag their machines with the name of an image, too."""
    ec2, ours = cloud.client("ec2", REGION), publisher.client("ec2")
    image = register(cloud, "web-1.0.0-x86_64", REGION)
    available(cloud, image, REGION)

    def make(more: list[dict[str, str]], name: str) -> tuple[str, str, str]:
        def tag(kind: str) -> list[dict[str, Any]]:
            return [{"ResourceType": kind, "Tags": [*TAGS, *more]}]

        started = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, TagSpecifications=tag("instance"))
        group = ec2.create_security_group(
            GroupName=name, Description=name, VpcId=ec2.describe_vpcs()["Vpcs"][0]["VpcId"],
            TagSpecifications=tag("security-group"),
        )  # fmt: skip
        ec2.create_key_pair(KeyName=name, TagSpecifications=tag("key-pair"))
        return started["Instances"][0]["InstanceId"], group["GroupId"], name

    def remove(instance: str, group: str, pair: str) -> None:
        ours.terminate_instances(InstanceIds=[instance])
        ours.delete_security_group(GroupId=group)
        ours.delete_key_pair(KeyName=pair)

    remove(*make([{"Key": "bakery:purpose", "Value": "build"}], "build"))
    machine, group, pair = make([], "stack")
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        ours.terminate_instances(InstanceIds=[machine])
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        ours.delete_security_group(GroupId=group)
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        ours.delete_key_pair(KeyName=pair)


def test_other_roles_and_users_are_not_checked_nor_a_role_whose_policy_is_taken_back(
    cloud: StandIn, publisher: Publisher
) -> None:
    cloud.client("ssm", REGION).get_parameters(Names=["/secret"])
    cloud.client("ssm", REGION, "222222222222").get_parameters(Names=["/secret"])
    cloud.control("POST", "policies", {ROLE: None})
    publisher.client("ssm").get_parameters(Names=["/secret"])


IMAGE = "arn:aws:ec2:eu-west-1::image/ami-1"


@pytest.mark.parametrize(
    ("condition", "keys", "allowed"),
    [
        ({}, {}, True),
        ({"StringEquals": {"k": ["a", "b"]}}, {"k": "b"}, True),
        ({"StringEquals": {"k": "a"}}, {}, False),
        ({"StringEqualsIfExists": {"k": "a"}}, {}, True),
        ({"StringEqualsIfExists": {"k": "a"}}, {"k": "b"}, False),
        ({"StringNotEquals": {"k": "a"}}, {}, True),
        ({"StringNotLike": {"k": "a*"}}, {"k": "ab"}, False),
        ({"StringLike": {"k": "a?c*"}}, {"k": "abcd"}, True),
        ({"StringLike": {"k": "a[b]"}}, {"k": "ab"}, False),
        ({"Bool": {"k": "true"}}, {"k": "True"}, True),
        ({"Null": {"k": "true"}}, {}, True),
        ({"Null": {"k": "true"}}, {"k": "a"}, False),
        ({"ForAllValues:StringLike": {"k": "a*"}}, {"k": ["ab", "b"]}, False),
        ({"ForAllValues:StringLike": {"k": "a*"}}, {}, True),
        ({"ForAnyValue:StringLike": {"k": "a*"}}, {"k": ["ab", "b"]}, True),
        ({"ForAnyValue:StringLike": {"k": "a*"}}, {}, False),
        ({"ArnEquals": {"k": "arn:aws:iam::1:role/*"}}, {"k": "arn:aws:iam::1:role/x"}, True),
        ({"StringEquals": {"k": "a"}, "Null": {"other": "false"}}, {"k": "a"}, False),
    ],
)
def test_conditions(condition: Any, keys: Any, allowed: bool) -> None:
    statement = {"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*", "Condition": condition}
    assert allows([statement], Need("ec2:describeImages", IMAGE, keys)) is allowed


def test_a_statement_that_denies_wins_and_one_that_is_silent_allows_nothing() -> None:
    everything = {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}
    no_images = {"Effect": "Deny", "Action": ["ec2:*"], "NotResource": ["arn:aws:ec2:*::snapshot/*"]}
    assert not allows([], Need("ec2:X", IMAGE))
    assert allows([everything], Need("ec2:X", IMAGE))
    assert not allows([everything], Need("iam:X", IMAGE))
    assert not allows([everything, no_images], Need("ec2:X", IMAGE))
    assert allows([everything, no_images], Need("ec2:X", "arn:aws:ec2:eu-west-1::snapshot/snap-1"))


@pytest.mark.parametrize(
    "statement",
    [
        {"Effect": "Allow", "Action": "*", "Resource": "${aws_s3_bucket.catalog.arn}"},
        {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"DateLessThan": {"k": "2030-01-01"}}},
    ],
)
def test_a_policy_that_is_not_understood_is_no_guess(statement: Any) -> None:
    with pytest.raises(NotImplementedError):
        allows([statement], Need("ec2:X", IMAGE, {"k": "2029-01-01"}))
