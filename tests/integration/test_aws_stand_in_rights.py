"""The bakery publishes with the rights that the stacks give to its roles, and says what is missing without one.

The stand-in checks each call against the synthesised policies of the publisher and of its role in a consumer account.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from bakery.catalog import Catalog, open_store
from bakery.clouds.aws import consumer_tags
from bakery.engine import channels
from bakery.host.errors import BakeryError, PartialError
from bakery.host.events import silent
from bakery.model import tags
from bakery.signing import Keyring
from doubles.aws.client import HOME_ACCOUNT, StandIn
from doubles.channels import open_channel
from integration import test_publish_aws as publishing

pytestmark = pytest.mark.integration

aws, bench, disks, server = publishing.aws, publishing.bench, publishing.disks, publishing.server
STACKS = Path(__file__).parents[1] / "unit" / "bakery_stacks" / "__snapshots__" / "test_snapshots"
PUBLISHER = f"arn:aws:iam::{HOME_ACCOUNT}:role/bakery-prod-publisher"
CONSUMER = f"arn:aws:iam::{publishing.CONSUMER}:role/bakery-publisher"
TAGGER = f"arn:aws:iam::{publishing.CONSUMER}:role/bakery-tagger"
# The stacks that are synthesised for tests have the regions eu-west-1 and us-east-1.
REGIONS = (("eu-west-1", publishing.HOME), ("us-east-1", publishing.SECOND), ("eu-west-1", publishing.THIRD))


def synthesised_policy(stack: str, role: str) -> dict[str, Any]:
    """A role's policy with statements for the regions of this test. It has no bucket and no key of its own."""
    resources = json.loads((STACKS / f"test_the_stack_is_as_it_was[{stack}].json").read_text())["resource"]
    [policy] = [entry["policy"] for name, entry in resources["aws_iam_role_policy"].items() if name.startswith(role)]
    texts = [json.dumps(statement) for statement in json.loads(policy.replace("${", "reference:{"))["Statement"]]
    return {"Statement": [json.loads(text.replace(*pair)) for text in texts for pair in REGIONS]}


def enter_role(aws: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check the roles, and log in as the publisher."""
    aws.control(
        "POST",
        "policies",
        {
            PUBLISHER: synthesised_policy("distribution", "publisher_"),
            CONSUMER: synthesised_policy(f"consumer-{publishing.CONSUMER}", "roles_publisher"),
            TAGGER: synthesised_policy(f"consumer-{publishing.CONSUMER}", "roles_tagger"),
        },
    )
    keys = aws.client("sts").assume_role(RoleArn=PUBLISHER, RoleSessionName="test")["Credentials"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", keys["SessionToken"])


def test_the_synthesised_rights_are_enough_to_publish_and_to_publish_again(
    aws: StandIn, bench: publishing.DiskPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter_role(aws, monkeypatch)
    first = bench.publish()
    publishing._assert_whole(aws, first)
    assert all(found["bakery:version"] == "1.0.0" for found in publishing._consumer_tags(aws))
    assert bench.publish() == first
    assert all(finding.status == "correct" for finding in bench.target().inspect(first))


def test_a_missing_right_stops_it(
    aws: StandIn, bench: publishing.DiskPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter_role(aws, monkeypatch)
    policy = synthesised_policy("distribution", "publisher_")
    policy["Statement"] = [statement for statement in policy["Statement"] if statement["Sid"] != "CopyImages"]
    aws.control("POST", "policies", {PUBLISHER: policy})
    with pytest.raises(BakeryError) as caught:
        bench.publish()
    assert "ec2:CopyImage" in caught.value.detail


def test_the_tagger_sets_no_tag_of_the_consumers(
    aws: StandIn, bench: publishing.DiskPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither one of the definition, on which a policy there may depend."""
    enter_role(aws, monkeypatch)
    monkeypatch.setattr(consumer_tags, "select_mirrored", dict)
    with pytest.raises(PartialError) as caught:
        bench.publish()
    assert "ec2:CreateTags" in caught.value.detail
    assert f"bakery apply consumer-{publishing.CONSUMER}" in caught.value.hint
    assert publishing._consumer_tags(aws) == [{}] * len(publishing.REGIONS)


def test_the_synthesised_rights_are_enough_to_move_a_channel_and_a_version(
    aws: StandIn, bench: publishing.DiskPublisher, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """To more regions, and back from a consumer account."""
    enter_role(aws, monkeypatch)
    bench.definition = publishing._definition(regions=publishing.REGIONS[:2])
    first = bench.publish()
    bench.definition = publishing._definition()
    expected = tags.of_artifact(bench.definition, bench.artifact())
    everywhere = bench.target().distribute(first, expected, silent)
    publishing._assert_whole(aws, everywhere)
    catalog = Catalog(open_store(str(tmp_path / "catalog")), Keyring(tmp_path / "keys", {}))
    channel = open_channel(catalog, {"aws": bench.target()})
    channels.promote(channel, publishing._record(catalog, everywhere), "", is_new=True)
    assert publishing._pointers(aws, publishing.CHANNEL) == publishing._values(everywhere)
    channels.delete(channel, "")
    assert publishing._pointers(aws, publishing.CHANNEL) == {}
    consumers = [location for location in everywhere.locations if not location.owned]
    bench.target().withdraw(everywhere, consumers, silent)
    for region in publishing.REGIONS:
        consumer = aws.client("ec2", region, publishing.CONSUMER)
        assert consumer.describe_images(ExecutableUsers=["self"])["Images"] == []


def test_the_synthesised_rights_are_enough_for_the_life_of_a_version(
    aws: StandIn, bench: publishing.DiskPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked for users, deprecated, disabled, brought back with its shares, and removed."""
    first = bench.publish()
    ec2 = aws.client("ec2", publishing.SECOND, publishing.CONSUMER)
    image = next(one.id for one in first.locations if one.region == publishing.SECOND)
    [machine] = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"]
    enter_role(aws, monkeypatch)
    target, expected = bench.target(), tags.of_artifact(bench.definition, bench.artifact())
    assert [(use.kind, use.name) for use in target.find_uses(first)] == [("instance", machine["InstanceId"])]
    for availability in ("deprecated", "disabled", "deprecated", "available"):
        target.set_availability(first, availability, silent)
        if availability != "disabled":
            assert target.distribute(first, expected, silent).locations == first.locations
        assert all(one.status == "correct" for one in target.inspect(first, availability))
    target.set_availability(first, "removed", silent)
    assert all(finding.status == "correct" for finding in target.inspect(first, "removed"))
    for region in publishing.REGIONS:
        assert publishing._images(aws, region) == []
        assert publishing._snapshots(aws, region) == []
    assert publishing._pointers(aws, publishing.PARAMETER) == publishing._values(first)


@pytest.mark.parametrize(
    ("role", "stack", "name"),
    [
        (PUBLISHER, "distribution", "publisher_"),
        (CONSUMER, f"consumer-{publishing.CONSUMER}", "roles_publisher"),
    ],
)
def test_a_role_that_cannot_see_all_users_is_named_with_its_stack(
    aws: StandIn, bench: publishing.DiskPublisher, monkeypatch: pytest.MonkeyPatch, role: str, stack: str, name: str
) -> None:
    first = bench.publish()
    enter_role(aws, monkeypatch)
    for right in ("DescribeImageReferences", "DescribeInstances", "DescribeLaunchTemplates", "DescribeParameters"):
        statements = synthesised_policy(stack, name)["Statement"]
        for one in statements:
            one["Action"] = [action for action in one["Action"] if not action.endswith(f":{right}")]
        aws.control("POST", "policies", {role: {"Statement": statements}})
        with pytest.raises(BakeryError, match="cannot look for uses") as caught:
            bench.target().find_uses(first)
        assert f":{right}" in caught.value.detail
        assert f"bakery apply {stack}" in caught.value.hint


def test_the_publisher_retires_no_image_without_the_tag(
    aws: StandIn, bench: publishing.DiskPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such an image is not the bakery's."""
    bench.definition = publishing._definition(regions=(publishing.HOME,), accounts=())
    first = bench.publish()
    image = first.locations[0].id
    aws.client("ec2", publishing.HOME).delete_tags(Resources=[image], Tags=[{"Key": "bakery:image"}])
    enter_role(aws, monkeypatch)
    for availability in ("deprecated", "disabled", "removed"):
        with pytest.raises(BakeryError) as caught:
            bench.target().set_availability(first, availability, silent)
        assert "is not authorized to perform" in caught.value.detail
    [left] = publishing._images(aws, publishing.HOME)
    assert (left["State"], "DeprecationTime" in left) == ("available", False)


def test_an_untagged_copy_of_packers_is_named_with_the_command_that_removes_it(
    aws: StandIn, bench: publishing.DiskPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packer tags its copies last. The publisher may remove them neither with nor without their snapshot."""
    first = bench.publish()
    copied = first.locations[1]
    owner = aws.client("ec2", copied.region)
    keys = [{"Key": tag["Key"]} for tag in owner.describe_images(ImageIds=[copied.id])["Images"][0]["Tags"]]
    owner.delete_tags(Resources=[copied.id, copied.snapshot], Tags=keys)
    enter_role(aws, monkeypatch)
    listing = bench.target().list_resources("web", "x86_64")
    resources = [one for part in listing.resources.values() for one in part if one.id in (copied.id, copied.snapshot)]
    failures = bench.target().remove_resources(resources)
    assert {resource.kind: error.hint.partition("run ")[2] for resource, error in failures.items()} == {
        "image": f"'aws ec2 deregister-image --region {copied.region} --image-id {copied.id} "
        "--delete-associated-snapshots'",
        "snapshot": f"'aws ec2 delete-snapshot --region {copied.region} --snapshot-id {copied.snapshot}'",
    }
    answer = owner.deregister_image(ImageId=copied.id, DeleteAssociatedSnapshots=True)
    assert [one["ReturnCode"] for one in answer["DeleteSnapshotResults"]] == ["success"]


def test_the_publisher_may_not_change_the_parameter_of_a_version(
    aws: StandIn, bench: publishing.DiskPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even when its image is gone: an administrator removes it, as the hint says, and the next run writes it."""
    first = bench.publish()
    gone = first.locations[1]
    aws.client("ec2", gone.region).deregister_image(ImageId=gone.id)
    aws.client("ec2", gone.region).delete_snapshot(SnapshotId=gone.snapshot)
    expected = tags.of_artifact(bench.definition, bench.artifact())
    with monkeypatch.context() as role:
        enter_role(aws, role)
        with pytest.raises(BakeryError) as caught:
            bench.target().distribute(first, expected, silent)
        assert f"have an administrator delete it (aws ssm delete-parameter --name {publishing.PARAMETER})" in (
            caught.value.hint
        )
        for account in publishing.ACCOUNTS:
            aws.client("ssm", gone.region, account).delete_parameter(Name=publishing.PARAMETER)
        publishing._assert_whole(aws, bench.target().distribute(first, expected, silent))
