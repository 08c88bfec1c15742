"""Launch templates and Auto Scaling groups, where moto differs from AWS in what Terraform sees of them."""

from typing import Any

from moto.autoscaling.models import AutoScalingBackend
from moto.ec2.models.launch_templates import LaunchTemplate

_moto_create_version = LaunchTemplate.create_version
_moto_set_instance_protection = AutoScalingBackend.set_instance_protection


def install() -> None:
    LaunchTemplate.create_version = _create_version
    AutoScalingBackend.set_instance_protection = _set_instance_protection


def _create_version(self: LaunchTemplate, data: dict[str, Any], description: str) -> Any:
    """Tags of the template itself are no part of what it starts."""
    if "TagSpecifications" in data:
        data["TagSpecifications"] = [
            tags for tags in data["TagSpecifications"] if tags["ResourceType"] != "launch-template"
        ]
    return _moto_create_version(self, data, description)


def _set_instance_protection(
    self: AutoScalingBackend, group_name: str, instance_ids: list[str], protected_from_scale_in: bool | None
) -> None:
    """A group with more machines than it wants ends those that are no longer protected."""
    _moto_set_instance_protection(self, group_name, instance_ids, protected_from_scale_in)
    if not protected_from_scale_in:
        group = self.autoscaling_groups[group_name]
        group.set_desired_capacity(group.desired_capacity)
