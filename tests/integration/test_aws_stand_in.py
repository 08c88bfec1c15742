"""The state of the AWS stand-in, which is a program of its own."""

import subprocess
from pathlib import Path

import pytest

from doubles.aws.client import BLOCK_SIZE, HOME_REGION, SERVER, StandIn, available, put_block, register, running

CONSUMER = "222222222222"

pytestmark = pytest.mark.integration


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    state, blocks = tmp_path / "aws.state", tmp_path / "aws.state.blocks"
    with running(state) as cloud:
        image_id, key = _furnish(cloud)
        cloud.control("POST", "save")
        assert state.stat().st_size > 0
        assert len(list(blocks.iterdir())) == 2
    with running(state) as cloud:
        assert len(list(blocks.iterdir())) == 1, "the block of the deleted snapshot is gone"
        image = available(cloud, image_id)
        assert image["Tags"] == [{"Key": "Version", "Value": "1.0.0"}]
        snapshot_id = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
        ebs = cloud.client("ebs")
        [block] = ebs.list_snapshot_blocks(SnapshotId=snapshot_id)["Blocks"]
        assert ebs.get_snapshot_block(SnapshotId=snapshot_id, **block)["BlockData"].read() == bytes(BLOCK_SIZE)
        assert cloud.client("ssm").get_parameter(Name="/bakery/web")["Parameter"]["Value"] == image_id
        assert cloud.client("s3", account=CONSUMER).get_object(Bucket="catalog", Key="record")["Body"].read() == b"{}"
        assert cloud.client("kms").describe_key(KeyId="alias/images")["KeyMetadata"]["Arn"] == key
        assert cloud.client("iam").get_role(RoleName="publisher")["Role"]["RoleName"] == "publisher"
        assert len(cloud.client("sns").list_topics()["Topics"]) == 1
        assert cloud.client("events").list_targets_by_rule(Rule="images")["Targets"][0]["Id"] == "topic"
        cloud.client("ssm").add_tags_to_resource(
            ResourceType="Parameter", ResourceId="/bakery/web", Tags=[{"Key": "a", "Value": "b"}]
        )


def test_reset_leaves_nothing() -> None:
    with running() as cloud:
        for _ in range(2):
            _furnish(cloud)
            cloud.reset()
        assert cloud.actions() == []
        assert cloud.client("s3").list_buckets()["Buckets"] == []
        assert cloud.client("ec2").describe_snapshots(OwnerIds=["self"])["Snapshots"] == []


def test_a_state_file_of_another_program_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "aws.state"
    state.write_bytes(b"not a state file")
    command = [*SERVER, "--port", "0", "--state", str(state)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 1
    assert f"error: {state} is not a state file" in result.stderr
    assert state.read_bytes() == b"not a state file"


def _furnish(cloud: StandIn) -> tuple[str, str]:
    """One thing of each service; gives the image's ID, still pending, and the key's ARN."""
    tags = [{"ResourceType": "image", "Tags": [{"Key": "Version", "Value": "1.0.0"}]}]
    image_id = register(cloud, "web-1.0.0-x86_64", TagSpecifications=tags)
    available(cloud, image_id)
    cloud.client("ssm").put_parameter(Name="/bakery/web", Value=image_id, Type="String", DataType="aws:ec2:image")
    cloud.client("ssm").get_parameters(Names=["/bakery/web"])
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="catalog", CreateBucketConfiguration={"LocationConstraint": HOME_REGION})
    s3.put_object(Bucket="catalog", Key="record", Body=b"{}")
    key: str = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    cloud.client("kms").create_alias(AliasName="alias/images", TargetKeyId=key)
    cloud.client("iam").create_role(RoleName="publisher", AssumeRolePolicyDocument="{}")
    topic = cloud.client("sns").create_topic(Name="images")["TopicArn"]
    cloud.client("events").put_rule(Name="images", EventPattern='{"source": ["aws.ec2"]}')
    cloud.client("events").put_targets(Rule="images", Targets=[{"Id": "topic", "Arn": topic}])
    other = cloud.client("ebs").start_snapshot(VolumeSize=1)["SnapshotId"]
    put_block(cloud.client("ebs"), other, 0, b"x" * BLOCK_SIZE)
    cloud.client("ec2").delete_snapshot(SnapshotId=other)
    return image_id, key
