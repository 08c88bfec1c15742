"""The machines of Vault's cluster, and which connections they take part in."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from bakery_stacks.blocks.image import ChannelImage
from bakery_stacks.blocks.machine import Build, Machine, Volume
from bakery_stacks.config import Environment
from bakery_stacks.stacks.vault.front import Front
from bakery_stacks.stacks.vault.settings import API_PORT, Vault
from bakery_stacks.stacks.vault.user_data import CLUSTER_PORT, Cluster, of_node

ROOT_GIB = 20
HTTPS = 443


def node_build(section: Vault, cluster: Cluster, image: ChannelImage, tags: Mapping[str, str], *, keep: bool) -> Build:
    """A node of the cluster. With `keep`, its audit logs outlive it."""
    return Build(
        title=cluster.name,
        image=f"{section.image} {image.version}",
        image_id=image.image_id,
        instance_type=section.instance_type,
        disk_gib=ROOT_GIB,
        user_data=of_node(section, cluster),
        tags=tags,
        volumes=(
            Volume("/dev/sdf", section.data_gib),  # the other nodes have it, too
            Volume("/dev/sdg", section.audit_gib, kept=keep),  # nothing else has these logs
        ),
    )


def connect_nodes(nodes: Machine, front: Front, gitlab_port: int) -> None:
    """Clients come by the load balancer only; nodes talk to each other, to AWS and to GitLab."""
    nodes.let_in(API_PORT, "Clients", source=front.firewall_id)
    front.let_through(nodes.firewall_id, API_PORT)
    nodes.let_among(API_PORT, "Nodes that join")
    nodes.let_among(CLUSTER_PORT, "Nodes, of each other")
    nodes.let_out(HTTPS, "Services of AWS")
    if gitlab_port != HTTPS:
        nodes.let_out(gitlab_port, "GitLab, of which Vault asks how it signs")


def gitlab_port(environment: Environment) -> int:
    """The port of the GitLab whose jobs log in to Vault."""
    section = environment.vault_config
    return (urlsplit(section.gitlab.url).port if section else None) or HTTPS
