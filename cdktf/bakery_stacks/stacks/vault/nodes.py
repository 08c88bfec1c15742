"""The machines of Vault's cluster, and their connections."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from bakery_stacks.blocks.image import ChannelImage
from bakery_stacks.blocks.machine import Machine, MachineSpec, Volume
from bakery_stacks.config import Environment
from bakery_stacks.stacks.vault.load_balancer import InternalLoadBalancer
from bakery_stacks.stacks.vault.settings import API_PORT, Vault
from bakery_stacks.stacks.vault.user_data import CLUSTER_PORT, Cluster, render_user_data

ROOT_GIB = 20
HTTPS = 443


def node_spec(
    section: Vault, cluster: Cluster, image: ChannelImage, tags: Mapping[str, str], *, keep: bool
) -> MachineSpec:
    """A node of the cluster. With `keep`, its audit logs outlive it."""
    return MachineSpec(
        title=cluster.name,
        image=f"{section.image} {image.version}",
        image_id=image.image_id,
        instance_type=section.instance_type,
        disk_gib=ROOT_GIB,
        user_data=render_user_data(section, cluster),
        tags=tags,
        volumes=(
            Volume("/dev/sdf", section.data_gib),  # the other nodes have the same data
            Volume("/dev/sdg", section.audit_gib, delete_on_termination=not keep),  # these logs exist on this node only
        ),
    )


def connect_nodes(nodes: Machine, balancer: InternalLoadBalancer, gitlab_port: int) -> None:
    """Clients use the load balancer; nodes connect to each other, to AWS and to GitLab."""
    nodes.allow_ingress(API_PORT, "Clients", source=balancer.security_group_id)
    balancer.allow_egress(nodes.security_group_id, API_PORT)
    nodes.allow_mutual(API_PORT, "Nodes that join")
    nodes.allow_mutual(CLUSTER_PORT, "Nodes, from each other")
    nodes.allow_egress(HTTPS, "Services of AWS")
    if gitlab_port != HTTPS:
        nodes.allow_egress(gitlab_port, "GitLab, from which Vault reads the keys of ID tokens")


def gitlab_port(environment: Environment) -> int:
    """The port of the GitLab whose jobs log in to Vault."""
    section = environment.vault_config
    return (urlsplit(section.gitlab.url).port if section else None) or HTTPS
