"""References to an image, reports on its use, and its last start.

Sources: the EC2 API reference, pages DescribeImageReferences, CreateImageUsageReport, DescribeImageUsageReports,
DescribeImageUsageReportEntries, DeleteImageUsageReport and Image (LastLaunchedTime); the EC2 user guide, "View your AMI
usage".
"""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from doubles.aws.client import StandIn, available, register

CONSUMER = "222222222222"
STRANGER = "333333333333"
NAME = "web-1.0.0-x86_64"
DAY = 24 * 3600
BOTH = [{"ResourceType": "ec2:Instance"}, {"ResourceType": "ec2:LaunchTemplate"}]


@pytest.fixture
def image(cloud: StandIn) -> str:
    """The ID of an available image that two other accounts may start."""
    image_id = register(cloud, NAME)
    available(cloud, image_id)
    cloud.client("ec2").modify_image_attribute(
        ImageId=image_id, LaunchPermission={"Add": [{"UserId": CONSUMER}, {"UserId": STRANGER}]}
    )
    return image_id


def start(ec2: Any, image_id: str, count: int = 1) -> list[str]:
    """The IDs of new instances."""
    answer = ec2.run_instances(ImageId=image_id, MinCount=count, MaxCount=count)
    return [instance["InstanceId"] for instance in answer["Instances"]]


def references(cloud: StandIn, image_id: str, **request: Any) -> list[tuple[str, str]]:
    """Types and last parts of the ARNs of what refers to an image."""
    ec2 = cloud.client("ec2")
    answer = ec2.describe_image_references(ImageIds=[image_id], **(request or {"IncludeAllResourceTypes": True}))
    return [(entry["ResourceType"], entry["Arn"].rpartition("/")[2]) for entry in answer["ImageReferences"]]


def test_instances_templates_and_typed_parameters_of_the_own_account_refer_to_an_image(
    cloud: StandIn, image: str
) -> None:
    ec2, ssm = cloud.client("ec2"), cloud.client("ssm")
    assert references(cloud, image) == []
    [instance] = start(ec2, image)
    start(cloud.client("ec2", account=CONSUMER), image)
    template = ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData={"ImageId": image})
    ssm.put_parameter(Name="/bakery/web", Value=image, Type="String", DataType="aws:ec2:image")
    for _ in range(2):
        ssm.get_parameters(Names=["/bakery/web"])
    ssm.put_parameter(Name="/text", Value=image, Type="String")
    assert references(cloud, image) == [
        ("ec2:Instance", instance),
        ("ec2:LaunchTemplate", template["LaunchTemplate"]["LaunchTemplateId"]),
        ("ssm:Parameter", "web"),
    ]


def test_an_instance_refers_in_any_state_unless_states_are_named(cloud: StandIn, image: str) -> None:
    ec2 = cloud.client("ec2")
    [running, ended] = start(ec2, image, 2)
    ec2.terminate_instances(InstanceIds=[ended])
    assert references(cloud, image) == [("ec2:Instance", running), ("ec2:Instance", ended)]
    alive = {"OptionName": "state-name", "OptionValues": ["running", "stopped"]}
    types = [{"ResourceType": "ec2:Instance", "ResourceTypeOptions": [alive]}]
    assert references(cloud, image, ResourceTypes=types) == [("ec2:Instance", running)]


def test_ten_versions_of_a_template_are_looked_at_unless_a_depth_is_named(cloud: StandIn, image: str) -> None:
    ec2 = cloud.client("ec2")
    made = ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData={"ImageId": image})
    template = made["LaunchTemplate"]["LaunchTemplateId"]
    for number in range(10):
        assert references(cloud, image) == [("ec2:LaunchTemplate", template)], number
        ec2.create_launch_template_version(LaunchTemplateId=template, LaunchTemplateData={"ImageId": "ami-1"})
    assert references(cloud, image) == []
    depth = {"OptionName": "version-depth", "OptionValues": ["11"]}
    types = [{"ResourceType": "ec2:LaunchTemplate", "ResourceTypeOptions": [depth]}]
    assert references(cloud, image, ResourceTypes=types) == [("ec2:LaunchTemplate", template)]
    depth["OptionValues"] = ["10001"]
    with pytest.raises(ClientError, match=r"\(InvalidParameterValue\)"):
        references(cloud, image, ResourceTypes=types)


def test_a_request_for_references_names_types_and_at_most_ten_images(cloud: StandIn, image: str) -> None:
    ec2 = cloud.client("ec2")
    with pytest.raises(ClientError, match=r"\(MissingParameter\)"):
        ec2.describe_image_references(ImageIds=[image])
    with pytest.raises(ClientError, match=r"\(InvalidParameterValue\)"):
        ec2.describe_image_references(ImageIds=[image] * 11, IncludeAllResourceTypes=True)


def test_the_last_start_is_reported_a_day_later(cloud: StandIn, image: str) -> None:
    ec2 = cloud.client("ec2")

    def last_start() -> str | None:
        shown = ec2.describe_images(ImageIds=[image])["Images"][0].get("LastLaunchedTime")
        attribute = ec2.describe_image_attribute(ImageId=image, Attribute="lastLaunchedTime")
        assert attribute.get("LastLaunchedTime", {}).get("Value") == shown
        return shown  # type: ignore[no-any-return]

    start(cloud.client("ec2", account=CONSUMER), image)
    assert last_start() is None
    cloud.settings(clock_ahead=DAY)
    first = last_start()
    assert first
    start(ec2, image)
    assert last_start() == first
    cloud.settings(clock_ahead=2 * DAY)
    second = last_start()
    assert second and second > first


def test_a_report_counts_what_other_accounts_use(cloud: StandIn, image: str) -> None:
    ec2, consumer = cloud.client("ec2"), cloud.client("ec2", account=CONSUMER)
    start(ec2, image)
    start(consumer, image, 2)
    start(cloud.client("ec2", account=STRANGER), image)
    data = {"LaunchTemplateName": "web", "LaunchTemplateData": {"ImageId": image}}
    consumer.create_launch_template(**data)
    consumer.create_launch_template_version(**data)

    def count(**request: Any) -> list[tuple[str, str, int]]:
        report = ec2.create_image_usage_report(ImageId=image, ResourceTypes=BOTH, **request)["ReportId"]
        states = [
            ec2.describe_image_usage_reports(ReportIds=[report])["ImageUsageReports"][0]["State"] for _ in range(2)
        ]
        assert states == ["pending", "available"]
        entries = ec2.describe_image_usage_report_entries(ReportIds=[report])["ImageUsageReportEntries"]
        return sorted((entry["AccountId"], entry["ResourceType"], entry["UsageCount"]) for entry in entries)

    assert count() == [], "activity of the last day is not in a report"
    cloud.settings(clock_ahead=DAY + 60)
    users = [(CONSUMER, "ec2:Instance", 2), (CONSUMER, "ec2:LaunchTemplate", 1), (STRANGER, "ec2:Instance", 1)]
    assert count() == users
    assert count(AccountIds=[STRANGER]) == users[2:]


def test_a_report_is_made_once_by_a_token_and_goes_when_deleted_or_after_30_days(cloud: StandIn, image: str) -> None:
    ec2 = cloud.client("ec2")
    request = {"ImageId": image, "ResourceTypes": BOTH, "ClientToken": "once"}
    first, second = (ec2.create_image_usage_report(**request)["ReportId"] for _ in range(2))
    assert first == second
    with pytest.raises(ClientError, match=r"\(IdempotentParameterMismatch\)"):
        ec2.create_image_usage_report(**request, AccountIds=[CONSUMER])
    ec2.create_image_usage_report(ImageId=image, ResourceTypes=BOTH)
    ec2.delete_image_usage_report(ReportId=first)
    assert len(ec2.describe_image_usage_reports(ImageIds=[image])["ImageUsageReports"]) == 1
    cloud.settings(clock_ahead=31 * DAY)
    assert ec2.describe_image_usage_reports()["ImageUsageReports"] == []


def test_only_the_owner_gets_a_report_and_none_on_parameters(cloud: StandIn, image: str) -> None:
    with pytest.raises(ClientError, match=r"\(InvalidAMIID.NotFound\)"):
        cloud.client("ec2", account=CONSUMER).create_image_usage_report(ImageId=image, ResourceTypes=BOTH)
    with pytest.raises(ClientError, match=r"\(InvalidParameterValue\)"):
        cloud.client("ec2").create_image_usage_report(ImageId=image, ResourceTypes=[{"ResourceType": "ssm:Parameter"}])
