"""Alarms of the Vault cluster, which need a person."""

from bakery_stacks.blocks.alarms import MetricSource, MissingDataAlarm, ThresholdAlarm
from bakery_stacks.stacks.vault.load_balancer import InternalLoadBalancer
from bakery_stacks.stacks.vault.settings import Vault

STOPPING = ("unhealthy", "sealed", "voters")  # a refresh stops on these alarms
FULL_PERCENT = 80  # of a disk; there is still time to react


def cluster_alarms(
    section: Vault, cluster: MetricSource, load_balancer: InternalLoadBalancer
) -> list[ThresholdAlarm | MissingDataAlarm]:
    """Nodes report all metrics but the first (ansible/roles/vault). No value is bad if all nodes must report."""
    balancer = MetricSource("AWS/NetworkELB", load_balancer.dimensions)
    hours = 2 * section.snapshots.every_hours
    return [
        ThresholdAlarm(
            "unhealthy", "A node does not serve, and AWS does not replace it", balancer, "UnHealthyHostCount"
        ),
        ThresholdAlarm("sealed", "A node is sealed", cluster, "Sealed", treat_missing_data="breaching"),
        ThresholdAlarm(
            "voters",
            "The cluster survives fewer failures than it should",
            cluster,
            "VotersMissing",
            15,
            treat_missing_data="breaching",
        ),
        MissingDataAlarm("snapshot", "No snapshot was saved", cluster, "SnapshotSaved", hours),
        ThresholdAlarm("data-disk", "A node's disk for data fills up", cluster, "DataDiskUsed", threshold=FULL_PERCENT),
        ThresholdAlarm(
            "audit-disk", "A node's disk for audit logs fills up", cluster, "AuditDiskUsed", threshold=FULL_PERCENT
        ),
    ]
