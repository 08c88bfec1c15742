"""An Auto Scaling group for a raft cluster: it replaces one machine at a time, and starts the new one first."""

import math
from collections.abc import Sequence

from cdktf_cdktf_provider_aws.autoscaling_group import (
    AutoscalingGroup,
    AutoscalingGroupInstanceRefresh,
    AutoscalingGroupInstanceRefreshPreferences,
    AutoscalingGroupInstanceRefreshPreferencesAlarmSpecification,
    AutoscalingGroupLaunchTemplate,
    AutoscalingGroupTag,
)
from constructs import Construct

from bakery_stacks.blocks.machine import Machine

# A new member has to copy all data and become a voter, and autopilot has to remove the old one, which takes 10 minutes
# (docs/reference/stacks/vault.md). With less time, dead members could be half of all voters.
WARM_UP_SECONDS = 1200
AFTER_BOOT_SECONDS = 300


class Cluster(Construct):
    """An Auto Scaling group of a fixed size. A new version of the template rolls through it by instance refresh.

    AWS treats a running machine as healthy, whatever its program does. The refresh therefore also watches `alarms`:
    each of them stops it before a broken image has replaced every member and its data.
    """

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        title: str,
        size: int,
        machine: Machine,
        subnet_ids: Sequence[str],
        target_groups: Sequence[str],
        alarms: Sequence[str],
        tags: dict[str, str],
    ) -> None:
        super().__init__(scope, name)
        template = AutoscalingGroupLaunchTemplate(id=machine.template_id, version=machine.template_version)
        alarm_specification = AutoscalingGroupInstanceRefreshPreferencesAlarmSpecification(alarms=list(alarms))
        AutoscalingGroup(
            self,
            "group",
            name=title,
            min_size=size,
            max_size=size,
            desired_capacity=size,
            launch_template=template,
            vpc_zone_identifier=list(subnet_ids),
            target_group_arns=list(target_groups),
            # Nodes that are sealed or not initialized fail the balancer's check; AWS must not replace them for that.
            health_check_type="EC2",
            health_check_grace_period=AFTER_BOOT_SECONDS,
            # It would terminate a member to balance zones, whatever the state of the others.
            suspended_processes=["AZRebalance"],
            termination_policies=["OldestInstance"],
            wait_for_capacity_timeout="0",  # a cluster is not healthy before a person initializes it
            instance_refresh=AutoscalingGroupInstanceRefresh(
                strategy="Rolling",
                preferences=AutoscalingGroupInstanceRefreshPreferences(
                    min_healthy_percentage=100,
                    max_healthy_percentage=one_more(size),
                    instance_warmup=str(WARM_UP_SECONDS),
                    skip_matching=True,
                    alarm_specification=alarm_specification,
                ),
            ),
            tag=[AutoscalingGroupTag(key=key, value=value, propagate_at_launch=True) for key, value in tags.items()],
        )


def one_more(size: int) -> int:
    """The percentage at which exactly one machine more than `size` may run."""
    return math.ceil((size + 1) * 100 / size)
