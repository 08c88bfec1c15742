"""A group of machines that keep data together: replaced one at a time, each new one before its old one goes."""

import math
from collections.abc import Sequence

from bakery_stacks.bindings import Construct, aws
from bakery_stacks.blocks.machine import Machine

# Until a new member counts: it copies all data, its vote is taken, and the one that went before is forgotten, which
# autopilot does after 10 minutes (docs/reference/stacks/vault.md). Sooner, the dead would be the half of a vote.
WARM_UP_SECONDS = 1200
AFTER_BOOT_SECONDS = 300


class Cluster(Construct):
    """An Auto Scaling group of a fixed size. A new version of the template rolls through it by instance refresh.

    To AWS a machine is healthy when it runs, whatever the program on it does. So the refresh looks at `alarms` as well:
    one of them stops it, before an image that does not work has taken the place of every member, and their data.
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
        template = aws.AutoscalingGroupLaunchTemplate(id=machine.template_id, version=machine.template_version)
        watched = aws.AutoscalingGroupInstanceRefreshPreferencesAlarmSpecification(alarms=list(alarms))
        aws.AutoscalingGroup(
            self,
            "group",
            name=title,
            min_size=size,
            max_size=size,
            desired_capacity=size,
            launch_template=template,
            vpc_zone_identifier=list(subnet_ids),
            target_group_arns=list(target_groups),
            # Sealed or not yet initialized nodes fail the balancer's check and must not be replaced for it.
            health_check_type="EC2",
            health_check_grace_period=AFTER_BOOT_SECONDS,
            # It would end a member for the sake of even zones, whatever the others are doing.
            suspended_processes=["AZRebalance"],
            termination_policies=["OldestInstance"],
            wait_for_capacity_timeout="0",  # a cluster that nobody has initialized is never healthy
            instance_refresh=aws.AutoscalingGroupInstanceRefresh(
                strategy="Rolling",
                preferences=aws.AutoscalingGroupInstanceRefreshPreferences(
                    min_healthy_percentage=100,
                    max_healthy_percentage=one_more(size),
                    instance_warmup=str(WARM_UP_SECONDS),
                    skip_matching=True,
                    alarm_specification=watched,
                ),
            ),
            tag=[
                aws.AutoscalingGroupTag(key=key, value=value, propagate_at_launch=True) for key, value in tags.items()
            ],
        )


def one_more(size: int) -> int:
    """The percentage that lets one machine more than `size` run, and no second."""
    return math.ceil((size + 1) * 100 / size)
