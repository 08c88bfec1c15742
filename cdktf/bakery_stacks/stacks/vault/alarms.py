"""What a person has to look at in a cluster of Vault."""

from bakery_stacks.blocks.alarms import Metric, Missed, Watch
from bakery_stacks.stacks.vault.front import Front
from bakery_stacks.stacks.vault.settings import Vault

STOPPING = ("unhealthy", "sealed", "voters")  # alarms on which no further node is replaced
FULL_PERCENT = 80  # of a disk, while there is time to do something


def cluster_alarms(section: Vault, cluster: Metric, front: Front) -> list[Watch | Missed]:
    """All but the first are what nodes report (ansible/roles/vault): where all must, silence is bad, too."""
    balancer = Metric("AWS/NetworkELB", front.dimensions)
    hours = 2 * section.snapshots.every_hours
    return [
        Watch("unhealthy", "A node does not serve, and AWS does not replace it", balancer, "UnHealthyHostCount"),
        Watch("sealed", "A node is sealed", cluster, "Sealed", silent="breaching"),
        Watch("voters", "The cluster survives less than it should", cluster, "VotersMissing", 15, silent="breaching"),
        Missed("snapshot", "No snapshot was saved", cluster, "SnapshotSaved", hours),
        Watch("data-disk", "A node's disk for data fills up", cluster, "DataDiskUsed", most=FULL_PERCENT),
        Watch("audit-disk", "A node's disk for audit logs fills up", cluster, "AuditDiskUsed", most=FULL_PERCENT),
    ]
