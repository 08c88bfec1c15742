"""Instance refreshes: every instance is made anew from what the launch template is then, one refresh at a time."""

import pytest
from botocore.exceptions import ClientError

from doubles.aws.client import ROOT, StandIn, available, register


def test_a_refresh_replaces_instances_by_the_new_image(cloud: StandIn) -> None:
    ec2, autoscaling = cloud.client("ec2"), cloud.client("autoscaling")
    old, new = register(cloud, "web-1"), register(cloud, "web-2")
    for image_id in (old, new):
        available(cloud, image_id)
    # Size and snapshot are the image's.
    disk = {"DeviceName": ROOT, "Ebs": {"Encrypted": True, "DeleteOnTermination": True}}
    data = {"ImageId": old, "InstanceType": "t3.micro", "UserData": "", "BlockDeviceMappings": [disk]}
    template = ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData=data)["LaunchTemplate"]
    launch = {"LaunchTemplateId": template["LaunchTemplateId"], "Version": "$Latest"}
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName="web", MinSize=2, MaxSize=2, LaunchTemplate=launch, AvailabilityZones=["eu-central-1a"]
    )
    assert _images(cloud) == [old, old]
    ec2.create_launch_template_version(
        LaunchTemplateId=template["LaunchTemplateId"], LaunchTemplateData=data | {"ImageId": new}
    )
    refresh = autoscaling.start_instance_refresh(AutoScalingGroupName="web")["InstanceRefreshId"]
    with pytest.raises(ClientError, match="InstanceRefreshInProgress"):
        autoscaling.start_instance_refresh(AutoScalingGroupName="web")
    assert _images(cloud) == [new, new]
    seen = [autoscaling.describe_instance_refreshes(AutoScalingGroupName="web") for _ in range(2)]
    assert [found["InstanceRefreshes"][0]["Status"] for found in seen] == ["InProgress", "Successful"]
    assert seen[0]["InstanceRefreshes"][0]["InstanceRefreshId"] == refresh


def test_a_templates_own_tags_are_not_its_machines(cloud: StandIn) -> None:
    ec2 = cloud.client("ec2")
    own, machines = [
        {"ResourceType": kind, "Tags": [{"Key": "owner", "Value": kind}]} for kind in ("launch-template", "instance")
    ]
    made = ec2.create_launch_template(
        LaunchTemplateName="web", LaunchTemplateData={"TagSpecifications": [machines]}, TagSpecifications=[own]
    )["LaunchTemplate"]
    [version] = ec2.describe_launch_template_versions(LaunchTemplateId=made["LaunchTemplateId"])[
        "LaunchTemplateVersions"
    ]
    assert version["LaunchTemplateData"]["TagSpecifications"] == [machines]
    assert made["Tags"] == own["Tags"]


def test_a_refresh_in_progress_can_be_cancelled(cloud: StandIn) -> None:
    """As Terraform does before it starts another one."""
    autoscaling = cloud.client("autoscaling")
    ami = register(cloud, "web-1")
    available(cloud, ami)
    autoscaling.create_launch_configuration(LaunchConfigurationName="web", ImageId=ami, InstanceType="t3.micro")
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName="web",
        MinSize=1,
        MaxSize=1,
        LaunchConfigurationName="web",
        AvailabilityZones=["eu-central-1a"],
    )
    refresh = autoscaling.start_instance_refresh(AutoScalingGroupName="web")["InstanceRefreshId"]
    assert autoscaling.cancel_instance_refresh(AutoScalingGroupName="web")["InstanceRefreshId"] == refresh
    seen = [autoscaling.describe_instance_refreshes(AutoScalingGroupName="web") for _ in range(2)]
    assert [found["InstanceRefreshes"][0]["Status"] for found in seen] == ["Cancelling", "Cancelled"]
    with pytest.raises(ClientError, match="ActiveInstanceRefreshNotFound"):
        autoscaling.cancel_instance_refresh(AutoScalingGroupName="web")


def test_there_is_no_refresh_of_no_group(cloud: StandIn) -> None:
    with pytest.raises(ClientError, match="not found"):
        cloud.client("autoscaling").start_instance_refresh(AutoScalingGroupName="none")


def _images(cloud: StandIn) -> list[str]:
    running = [{"Name": "instance-state-name", "Values": ["running"]}]
    pages = cloud.client("ec2").describe_instances(Filters=running)["Reservations"]
    return [instance["ImageId"] for page in pages for instance in page["Instances"]]
