"""Auto Scaling groups, where moto differs from AWS in what Terraform sees of them."""

from moto.autoscaling.models import AutoScalingBackend

moto_set_instance_protection = AutoScalingBackend.set_instance_protection


def install() -> None:
    """Before the first group is made."""
    AutoScalingBackend.set_instance_protection = set_instance_protection  # type: ignore[method-assign]


def set_instance_protection(
    self: AutoScalingBackend, group_name: str, instance_ids: list[str], protected_from_scale_in: bool | None
) -> None:
    """A group with more machines than it wants ends those that are no longer protected."""
    moto_set_instance_protection(self, group_name, instance_ids, protected_from_scale_in)
    if not protected_from_scale_in:
        group = self.autoscaling_groups[group_name]
        group.set_desired_capacity(group.desired_capacity)
