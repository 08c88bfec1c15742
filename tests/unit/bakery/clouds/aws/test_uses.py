"""The users of a version on the stand-in: in the own account, in a consumer account, and when it was started last."""

from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from bakery.clouds.aws import uses
from bakery.clouds.target import Use
from bakery.host.errors import BakeryError
from bakery.model.documents import Location
from bakery.model.version import ImageVersion
from doubles.aws.client import HOME_ACCOUNT, HOME_REGION
from unit.bakery.clouds.aws.conftest import CONSUMER, HOME, SECOND, THIRD, Published

Publish = Callable[..., Published]
WEB = ImageVersion("web", "x86_64", "1.0.0")
DAY = 24 * 3600


def start(published: Published, region: str, account: str) -> str:
    ec2 = published.aws.client("ec2", region, account)
    [instance] = ec2.run_instances(ImageId=published.location(region).id, MinCount=1, MaxCount=1)["Instances"]
    return str(instance["InstanceId"])


def make_template(published: Published, region: str, account: str) -> str:
    ec2, image = published.aws.client("ec2", region, account), published.location(region).id
    answer = ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData={"ImageId": image})
    return str(answer["LaunchTemplate"]["LaunchTemplateId"])


def point(published: Published, region: str, account: str, name: str) -> None:
    ssm, image = published.aws.client("ssm", region, account), published.location(region).id
    ssm.put_parameter(Name=name, Value=image, Type="String", DataType="aws:ec2:image")
    for _ in range(3):  # it is live later
        ssm.get_parameters(Names=[name])


def found(published: Published) -> set[tuple[str, str, str]]:
    return {(use.location, use.kind, use.name) for use in published.target.find_uses(published.publication)}


def test_an_image_that_nobody_uses(publish: Publish) -> None:
    assert found(publish()) == set()


@pytest.mark.parametrize("account", [HOME_ACCOUNT, CONSUMER])
def test_uses_of_each_kind_in_each_account(publish: Publish, account: str) -> None:
    published = publish()
    instance, template = start(published, SECOND, account), make_template(published, THIRD, account)
    point(published, HOME, account, "/team/web")
    expected = {
        (f"{account}/{SECOND}", "instance", instance),
        (f"{account}/{THIRD}", "launch template", template),
        (f"{account}/{HOME}", "parameter", "/team/web"),
    }
    assert found(published) == expected
    images = {use.image for use in published.target.find_uses(published.publication)}
    assert images == {published.location(region).id for region in (HOME, SECOND, THIRD)}


def test_the_pointers_of_the_bakery_are_no_uses(publish: Publish) -> None:
    """Those of the version and of the channels of its image; another image's would be strange, and count."""
    published = publish((HOME,))
    for account in (HOME_ACCOUNT, CONSUMER):
        for name in ("1.0.0", "channels/stable"):
            point(published, HOME, account, f"/bakery/web/x86_64/{name}")
    point(published, HOME, HOME_ACCOUNT, "/bakery/web/x86_64/1.0.1")
    point(published, HOME, CONSUMER, "/bakery/db/x86_64/channels/stable")
    assert found(published) == {
        (f"{HOME_ACCOUNT}/{HOME}", "parameter", "/bakery/web/x86_64/1.0.1"),
        (f"{CONSUMER}/{HOME}", "parameter", "/bakery/db/x86_64/channels/stable"),
    }


def test_a_machine_that_is_shut_down_for_good_is_no_use(publish: Publish) -> None:
    published = publish((HOME,))
    stopped, ended = (start(published, HOME, HOME_ACCOUNT) for _ in range(2))
    ec2 = published.aws.client("ec2", HOME)
    ec2.stop_instances(InstanceIds=[stopped])
    ec2.terminate_instances(InstanceIds=[ended])
    assert found(published) == {(f"{HOME_ACCOUNT}/{HOME}", "instance", stopped)}


def test_the_last_start_by_anybody_is_a_use_a_day_later(publish: Publish) -> None:
    published = publish((HOME, SECOND))
    instance = start(published, SECOND, CONSUMER)
    published.aws.client("ec2", SECOND, CONSUMER).terminate_instances(InstanceIds=[instance])
    assert found(published) == set()
    published.aws.settings(clock_ahead=2 * DAY)
    [use] = published.target.find_uses(published.publication)
    assert (use.location, use.kind, use.name) == (f"{HOME_ACCOUNT}/{SECOND}", "launch", "")
    assert use.image == published.location(SECOND).id
    assert use.at == published.image(SECOND)["LastLaunchedTime"]


def test_withdrawn_images_may_still_have_users(publish: Publish) -> None:
    published = publish((HOME,), withdrawn=(SECOND,))
    instance = start(published, SECOND, HOME_ACCOUNT)
    assert found(published) == {(f"{HOME_ACCOUNT}/{SECOND}", "instance", instance)}


def test_uses_of_a_disabled_version_are_found(publish: Publish) -> None:
    published = publish((HOME,))
    instance = start(published, HOME, CONSUMER)
    published.target.set_availability(published.publication, "disabled", lambda _: None)
    assert found(published) == {(f"{CONSUMER}/{HOME}", "instance", instance)}


@pytest.mark.parametrize(("account", "stack"), [(HOME_ACCOUNT, "distribution"), (CONSUMER, f"consumer-{CONSUMER}")])
def test_a_role_without_the_right_is_no_answer(publish: Publish, account: str, stack: str) -> None:
    published = publish()
    published.aws.fault(
        "ec2", "DescribeImageReferences", region=SECOND, account=account, error="UnauthorizedOperation", status=403
    )
    with pytest.raises(BakeryError, match="cannot look for uses of ami-") as caught:
        published.target.find_uses(published.publication)
    assert caught.value.where == f"{account}/{SECOND}"
    assert "ec2:DescribeImageReferences" in caught.value.hint
    assert f"the stack '{stack}' gives them (bakery apply {stack})" in caught.value.hint


def test_an_account_that_lets_nobody_in_is_no_answer(publish: Publish) -> None:
    published = publish()
    published.aws.fault("sts", "AssumeRole", error="AccessDenied", status=403)
    with pytest.raises(BakeryError, match=f"{CONSUMER}:role/bakery-publisher"):
        published.target.find_uses(published.publication)


def test_a_region_that_never_answers_is_no_answer(publish: Publish) -> None:
    published = publish()
    published.aws.fault("ec2", "DescribeImageReferences", region=THIRD, kind="reset", times=1000)
    with pytest.raises(BakeryError, match=f"cannot look for uses in {HOME_ACCOUNT}/{THIRD}, {CONSUMER}/{THIRD}"):
        published.target.find_uses(published.publication)


def test_all_pages_are_read() -> None:
    ec2: Any = boto3.client("ec2", HOME_REGION, aws_access_key_id="test", aws_secret_access_key="test")
    arns = [f"arn:aws:ec2:{HOME_REGION}:{HOME_ACCOUNT}:instance/i-{number}" for number in (1, 2)]
    pages = [
        {"ImageReferences": [{"ImageId": "ami-1", "ResourceType": "ec2:Instance", "Arn": arn}], **token}
        for arn, token in zip(arns, ({"NextToken": "more"}, {}), strict=True)
    ]
    request = {"ImageIds": ["ami-1"], "ResourceTypes": uses._resource_types()}
    with Stubber(ec2) as stub:
        stub.add_response("describe_image_references", pages[0], request)
        stub.add_response("describe_image_references", pages[1], {**request, "NextToken": "more"})
        references = uses.find_references(ec2, Location(HOME_ACCOUNT, HOME_REGION), "ami-1", WEB, "distribution")
    where = f"{HOME_ACCOUNT}/{HOME_REGION}"
    assert references == [Use(where, "instance", f"i-{number}", "ami-1") for number in (1, 2)]
