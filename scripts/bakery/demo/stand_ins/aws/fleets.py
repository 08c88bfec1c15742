"""Auto Scaling groups whose machines lose their protection: moto then leaves more of them than the group wants."""

from moto.autoscaling.models import AutoScalingBackend

_moto_set_instance_protection = AutoScalingBackend.set_instance_protection


def install() -> None:
    AutoScalingBackend.set_instance_protection = _set_instance_protection  # type: ignore[method-assign]


def _set_instance_protection(
    self: AutoScalingBackend, group_name: str, instance_ids: list[str], protected_from_scale_in: bool | None
) -> None:
    """A group with more machines than it wants ends those that are no longer protected."""
    _moto_set_instance_protection(self, group_name, instance_ids, protected_from_scale_in)
    if not protected_from_scale_in:
        group = self.autoscaling_groups[group_name]
        group.set_desired_capacity(group.desired_capacity)
