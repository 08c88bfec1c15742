"""Instance refreshes of Auto Scaling groups, which moto does not have: all instances are replaced at once."""

import uuid
from typing import Any

from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.models import FakeAutoScalingGroup
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult

from bakery.demo.stand_ins.aws.world import WORLD

ENDS = {"InProgress": "Successful", "Cancelling": "Cancelled"}  # the status after one that passes


class InstanceRefreshInProgress(AutoscalingClientError):
    code = "InstanceRefreshInProgress"


class ActiveInstanceRefreshNotFound(AutoscalingClientError):
    code = "ActiveInstanceRefreshNotFound"


def start_instance_refresh(self: AutoScalingResponse) -> ActionResult:
    """One at a time for each group (model, StartInstanceRefresh)."""
    group, history = _find_group(self), _group_refreshes(self)
    if any(refresh["Status"] in ENDS for refresh in history):
        raise InstanceRefreshInProgress(f"An instance refresh of {group.name} is in progress")
    _replace_instances(group)
    refresh = {
        "InstanceRefreshId": str(uuid.uuid4()),
        "AutoScalingGroupName": group.name,
        "Status": "InProgress",
        "PercentageComplete": 0,
        "InstancesToUpdate": len(group.instance_states),
        "Strategy": self._get_param("Strategy") or "Rolling",
        "Preferences": self._get_param("Preferences") or {},
    }
    history.insert(0, refresh)
    return ActionResult({"InstanceRefreshId": refresh["InstanceRefreshId"]})


def describe_instance_refreshes(self: AutoScalingResponse) -> ActionResult:
    """The refreshes, newest first. One that was shown in progress or cancelling is at its end in the next answer."""
    _find_group(self)
    history = _group_refreshes(self)
    ids = self._get_param("InstanceRefreshIds") or [refresh["InstanceRefreshId"] for refresh in history]
    shown = [dict(refresh) for refresh in history if refresh["InstanceRefreshId"] in ids]
    for refresh in history:
        refresh["Status"] = ENDS.get(refresh["Status"], refresh["Status"])
        if refresh["Status"] == "Successful":
            refresh.update(PercentageComplete=100, InstancesToUpdate=0)
    return ActionResult({"InstanceRefreshes": shown})


def cancel_instance_refresh(self: AutoScalingResponse) -> ActionResult:
    """Cancel the one in progress; the instances that it replaced stay (reference, CancelInstanceRefresh)."""
    group = _find_group(self)
    for refresh in _group_refreshes(self):
        if refresh["Status"] == "InProgress":
            refresh["Status"] = "Cancelling"
            return ActionResult({"InstanceRefreshId": refresh["InstanceRefreshId"]})
    raise ActiveInstanceRefreshNotFound(f"No instance refresh of {group.name} is in progress")


def _find_group(self: AutoScalingResponse) -> FakeAutoScalingGroup:
    name = self._get_param("AutoScalingGroupName")
    group = self.autoscaling_backend.autoscaling_groups.get(name)
    if group is None:
        raise ValidationError(f"AutoScalingGroup name not found - {name}")
    return group


def _group_refreshes(self: AutoScalingResponse) -> list[dict[str, Any]]:
    key = self.current_account, self.region, self._get_param("AutoScalingGroupName")
    return WORLD.refreshes.setdefault(key, [])


def _replace_instances(group: FakeAutoScalingGroup) -> None:
    """Start instances from the group's current launch template."""
    capacity = group.desired_capacity
    group.set_desired_capacity(0)
    group.set_desired_capacity(capacity)


HANDLERS = (start_instance_refresh, describe_instance_refreshes, cancel_instance_refresh)
