"""Auto Scaling groups whose instances lose their protection: moto then keeps more of them than the desired capacity."""

from moto.autoscaling.models import AutoScalingBackend

_moto_set_instance_protection = AutoScalingBackend.set_instance_protection


def replace_groups() -> None:
    AutoScalingBackend.set_instance_protection = _set_instance_protection  # type: ignore[method-assign]


def _set_instance_protection(
    self: AutoScalingBackend, group_name: str, instance_ids: list[str], protected_from_scale_in: bool | None
) -> None:
    """End unprotected instances of a group that has more than its desired capacity."""
    _moto_set_instance_protection(self, group_name, instance_ids, protected_from_scale_in)
    if not protected_from_scale_in:
        group = self.autoscaling_groups[group_name]
        group.set_desired_capacity(group.desired_capacity)
