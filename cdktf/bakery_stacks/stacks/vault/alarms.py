"""What a person has to look at in a cluster of Vault."""

from bakery_stacks.blocks.alarms import MetricSource, MissingDataAlarm, ThresholdAlarm
from bakery_stacks.stacks.vault.load_balancer import InternalLoadBalancer
from bakery_stacks.stacks.vault.settings import Vault

STOPPING = ("unhealthy", "sealed", "voters")  # alarms on which no further node is replaced
FULL_PERCENT = 80  # of a disk, while there is time to do something


def cluster_alarms(
    section: Vault, cluster: MetricSource, load_balancer: InternalLoadBalancer
) -> list[ThresholdAlarm | MissingDataAlarm]:
    """All but the first are what nodes report (ansible/roles/vault): where all must, silence is bad, too."""
    balancer = MetricSource("AWS/NetworkELB", load_balancer.dimensions)
    hours = 2 * section.snapshots.every_hours
    return [
        ThresholdAlarm(
            "unhealthy", "A node does not serve, and AWS does not replace it", balancer, "UnHealthyHostCount"
        ),
        ThresholdAlarm("sealed", "A node is sealed", cluster, "Sealed", treat_missing_data="breaching"),
        ThresholdAlarm(
            "voters",
            "The cluster survives less than it should",
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
