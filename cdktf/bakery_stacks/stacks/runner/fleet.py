"""The two Auto Scaling groups of a runner: one manager, and the workers that it starts and terminates."""

from collections.abc import Sequence

from cdktf import TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.autoscaling_group import (
    AutoscalingGroup,
    AutoscalingGroupInstanceRefresh,
    AutoscalingGroupInstanceRefreshPreferences,
    AutoscalingGroupLaunchTemplate,
    AutoscalingGroupMixedInstancesPolicy,
    AutoscalingGroupMixedInstancesPolicyInstancesDistribution,
    AutoscalingGroupMixedInstancesPolicyLaunchTemplate,
    AutoscalingGroupMixedInstancesPolicyLaunchTemplateLaunchTemplateSpecification,
    AutoscalingGroupMixedInstancesPolicyLaunchTemplateOverride,
)
from constructs import Construct

from bakery_stacks.blocks.machine import Machine
from bakery_stacks.stacks.runner.settings import Spot

WARM_UP_SECONDS = 120  # until a new manager has booted and fetched its token


def manager_group(scope: Construct, name: str, *, title: str, machine: Machine, subnet_ids: Sequence[str]) -> None:
    """A refresh terminates the old manager first: two must never scale the same workers (GitLab's documentation)."""
    AutoscalingGroup(
        scope,
        name,
        name=title,
        min_size=1,
        max_size=1,
        desired_capacity=1,
        vpc_zone_identifier=list(subnet_ids),
        health_check_type="EC2",
        launch_template=AutoscalingGroupLaunchTemplate(id=machine.template_id, version=machine.template_version),
        instance_refresh=AutoscalingGroupInstanceRefresh(
            strategy="Rolling",
            preferences=AutoscalingGroupInstanceRefreshPreferences(
                min_healthy_percentage=0, max_healthy_percentage=100, instance_warmup=str(WARM_UP_SECONDS)
            ),
        ),
        wait_for_capacity_timeout="0",  # its token may be put into SSM later
    )


def worker_group(
    scope: Construct,
    name: str,
    *,
    title: str,
    machine: Machine,
    subnet_ids: Sequence[str],
    most: int,
    spot: Spot | None,
) -> None:
    """Only the manager terminates a worker: anything else would end its job as well.

    There is no refresh, and only new workers get a new image. There is no maximum age either, which Auto Scaling
    does not apply to protected machines.
    """
    direct = AutoscalingGroupLaunchTemplate(id=machine.template_id, version=machine.template_version)
    AutoscalingGroup(
        scope,
        name,
        name=title,
        min_size=0,
        max_size=most,
        desired_capacity=0,
        vpc_zone_identifier=list(subnet_ids),
        health_check_type="EC2",
        protect_from_scale_in=True,
        suspended_processes=["AZRebalance"],
        launch_template=None if spot else direct,
        mixed_instances_policy=_mixed_instances(machine, spot) if spot else None,
        wait_for_capacity_timeout="0",
        # The manager changes the number all the time.
        lifecycle=TerraformResourceLifecycle(ignore_changes=["desired_capacity"]),
    )


def _mixed_instances(machine: Machine, spot: Spot) -> AutoscalingGroupMixedInstancesPolicy:
    specification = AutoscalingGroupMixedInstancesPolicyLaunchTemplateLaunchTemplateSpecification(
        launch_template_id=machine.template_id, version=machine.template_version
    )
    types = [
        AutoscalingGroupMixedInstancesPolicyLaunchTemplateOverride(instance_type=kind) for kind in spot.instance_types
    ]
    return AutoscalingGroupMixedInstancesPolicy(
        launch_template=AutoscalingGroupMixedInstancesPolicyLaunchTemplate(
            launch_template_specification=specification, override=types
        ),
        instances_distribution=AutoscalingGroupMixedInstancesPolicyInstancesDistribution(
            on_demand_base_capacity=spot.on_demand_base,
            on_demand_percentage_above_base_capacity=0,
            spot_allocation_strategy="price-capacity-optimized",
        ),
    )
