"""What guards images and the catalog: block public access, replication, and rules of the Recycle Bin."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from doubles.aws.client import HOME_REGION, StandIn, available, register, upload

EVERYBODY = {"Add": [{"Group": "all"}]}
RULE: dict[str, Any] = {
    "ResourceType": "EC2_IMAGE",
    "RetentionPeriod": {"RetentionPeriodValue": 7, "RetentionPeriodUnit": "DAYS"},
    "ResourceTags": [{"ResourceTagKey": "bakery:arch", "ResourceTagValue": "x86_64"}],
    "Tags": [{"Key": "owner", "Value": "platform"}],
}


def test_public_images_are_refused_once_that_is_blocked(cloud: StandIn) -> None:
    ec2 = cloud.client("ec2")
    image_id = register(cloud, "open")
    available(cloud, image_id)
    assert ec2.get_image_block_public_access_state()["ImageBlockPublicAccessState"] == "unblocked"
    ec2.modify_image_attribute(ImageId=image_id, LaunchPermission=EVERYBODY)
    ec2.enable_image_block_public_access(ImageBlockPublicAccessState="block-new-sharing")
    assert ec2.get_image_block_public_access_state()["ImageBlockPublicAccessState"] == "block-new-sharing"
    with pytest.raises(ClientError, match="OperationNotPermitted"):
        ec2.modify_image_attribute(ImageId=image_id, LaunchPermission=EVERYBODY)
    ec2.modify_image_attribute(ImageId=image_id, LaunchPermission={"Add": [{"UserId": "210987654321"}]})
    ec2.disable_image_block_public_access()
    ec2.modify_image_attribute(ImageId=image_id, LaunchPermission=EVERYBODY)


def test_public_snapshots_are_refused_once_that_is_blocked(cloud: StandIn) -> None:
    ec2, snapshot = cloud.client("ec2"), upload(cloud)
    ec2.enable_snapshot_block_public_access(State="block-all-sharing")
    with pytest.raises(ClientError, match="OperationNotPermitted"):
        ec2.modify_snapshot_attribute(SnapshotId=snapshot, CreateVolumePermission=EVERYBODY)
    assert cloud.client("ec2", "us-east-1").get_snapshot_block_public_access_state()["State"] == "unblocked"


def test_no_stricter_state_than_aws_has(cloud: StandIn) -> None:
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        cloud.client("ec2").enable_image_block_public_access(ImageBlockPublicAccessState="block-all-sharing")


def test_a_replication_rule_is_kept_whole(cloud: StandIn) -> None:
    s3, names = cloud.client("s3"), ("catalog", "catalog-replica")
    for name in names:
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": HOME_REGION})
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    rule = {
        "ID": "everything",
        "Priority": 0,
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "DeleteMarkerReplication": {"Status": "Disabled"},
        "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
        "Destination": {
            "Bucket": "arn:aws:s3:::catalog-replica",
            "EncryptionConfiguration": {"ReplicaKmsKeyID": "arn:aws:kms:us-east-1:123456789012:key/1"},
        },
    }
    wanted = {"Role": "arn:aws:iam::123456789012:role/replication", "Rules": [rule]}
    s3.put_bucket_replication(Bucket="catalog", ReplicationConfiguration=wanted)
    assert s3.get_bucket_replication(Bucket="catalog")["ReplicationConfiguration"] == wanted


def test_a_rule_is_pending_first(cloud: StandIn) -> None:
    rbin = cloud.client("rbin")
    made = rbin.create_rule(**RULE)
    assert [rbin.get_rule(Identifier=made["Identifier"])["Status"] for _ in range(2)] == ["pending", "available"]
    assert rbin.list_tags_for_resource(ResourceArn=made["RuleArn"])["Tags"] == RULE["Tags"]
    assert f":rbin:{HOME_REGION}:" in made["RuleArn"]


def test_a_rule_changes_and_goes(cloud: StandIn) -> None:
    rbin = cloud.client("rbin")
    identifier = rbin.create_rule(**RULE)["Identifier"]
    longer = {"RetentionPeriodValue": 30, "RetentionPeriodUnit": "DAYS"}
    assert rbin.update_rule(Identifier=identifier, RetentionPeriod=longer)["RetentionPeriod"] == longer
    rbin.delete_rule(Identifier=identifier)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        rbin.get_rule(Identifier=identifier)


@pytest.mark.parametrize(
    "wrong",
    [
        {"RetentionPeriod": {"RetentionPeriodValue": 366, "RetentionPeriodUnit": "DAYS"}},
        {"ResourceTags": [{"ResourceTagKey": "bakery:image"}]},
    ],
)
def test_what_the_recycle_bin_does_not_take(cloud: StandIn, wrong: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match="ValidationException"):
        cloud.client("rbin").create_rule(**(RULE | wrong))
    with pytest.raises(ClientError, match="NotImplemented"):
        cloud.client("rbin").lock_rule(
            Identifier="1", LockConfiguration={"UnlockDelay": {"UnlockDelayValue": 7, "UnlockDelayUnit": "DAYS"}}
        )
