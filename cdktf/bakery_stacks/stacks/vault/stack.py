"""The vault stack: a raft cluster from the baked image, unsealed by KMS, behind an internal address."""

from collections.abc import Sequence

from cdktf_cdktf_provider_aws.route53_record import Route53Record, Route53RecordAlias
from constructs import Construct

from bakery_stacks.base import AwsStack
from bakery_stacks.blocks.alarms import Alarms, MetricSource, alarm_encryption
from bakery_stacks.blocks.image import ChannelImage
from bakery_stacks.blocks.log_key import log_encryption
from bakery_stacks.blocks.machine import Machine
from bakery_stacks.blocks.policy import Statement
from bakery_stacks.blocks.sessions import Sessions, log_name, session_rights
from bakery_stacks.blocks.stack_key import StackKey
from bakery_stacks.channel_images import ChannelImages
from bakery_stacks.config import Settings, node_role_arn
from bakery_stacks.outputs import NetworkOutputs
from bakery_stacks.stacks.vault import rights, user_data
from bakery_stacks.stacks.vault.alarms import STOPPING, cluster_alarms
from bakery_stacks.stacks.vault.cluster import Cluster
from bakery_stacks.stacks.vault.load_balancer import InternalLoadBalancer
from bakery_stacks.stacks.vault.locked_bucket import LockedBucket
from bakery_stacks.stacks.vault.nodes import connect_nodes, gitlab_port, node_spec
from bakery_stacks.stacks.vault.settings import API_PORT, Vault

# Active and standby nodes serve; a sealed (503) or uninitialized (501) one gets no clients (Vault API, "/sys/health").
HEALTH = "/v1/sys/health?standbyok=true&perfstandbyok=true"


class VaultStack(AwsStack):
    """A person initializes the cluster once, and gets the recovery keys: docs/how-to/run-a-vault-cluster.md."""

    def __init__(
        self,
        scope: Construct,
        settings: Settings,
        section: Vault,
        network: NetworkOutputs,
        channel_images: ChannelImages | None,
    ) -> None:
        super().__init__(scope, "vault", settings)
        environment, title = self.environment, f"bakery-{self.environment.name}-vault"
        seal_key, data_key = make_seal_key(self, title), make_data_key(self, title)
        snapshots = make_snapshots(self, section, data_key.arn)
        sessions = Sessions(
            self, "sessions", environment=environment, title=title, days=section.log_days, key_arn=data_key.arn
        )
        balancer = make_balancer(self, title, section, network)
        image = ChannelImage(self, "image", section.image, channel_images, at=("vault", "image"))
        node = user_data.Cluster(title, environment.home_region, seal_key.alias, f"bakery/{environment.name}")
        statements = rights.node_policy(
            environment,
            section,
            seal_key=seal_key.arn,
            data_key=data_key.arn,
            bucket=snapshots.arn,
            metrics=node.metrics,
        )
        nodes = make_nodes(self, section, node, image, network.vpc_id, statements)
        connect_nodes(nodes, balancer, gitlab_port(environment))
        alarms = make_alarms(self, section, node, balancer, data_key.arn)
        make_cluster(self, title, section, nodes, network, balancer, [alarms.names[name] for name in STOPPING])
        if section.dns_zone:
            make_record(self, section.dns_zone, section.certificate.name, balancer)

        address = f"https://{section.certificate.name}:{API_PORT}"
        self.output("address", address, "VAULT_ADDR of clients; its host name must resolve to load_balancer")
        self.output("load_balancer", balancer.dns_name, "target of a CNAME or an alias for certificate.name")
        self.output("node_role_arn", nodes.role_arn, "role of the nodes, for the login that snapshots use")
        self.output("seal_key_arn", seal_key.arn, "key that unseals Vault: without it, no data can be read")
        self.output("snapshot_bucket", snapshots.name, "bucket of snapshots")
        self.output("alarm_topic_arn", alarms.topic_arn, "topic of alarms that need a person")
        self.output("session_document", sessions.document, "for aws ssm start-session --document-name")
        self.output("image_version", image.version, "version of the image that new nodes start from")


def make_seal_key(stack: AwsStack, title: str) -> StackKey:
    """The key that unseals Vault. Only the nodes may use it."""
    environment = stack.environment
    return StackKey(
        stack,
        "seal-key",
        environment=environment,
        title=f"{title}-seal",
        description=f"Unseals Vault of {environment.name}",
        seal_role_arn=node_role_arn(environment.name, environment.account, environment.home_region),
    )


def make_data_key(stack: AwsStack, title: str) -> StackKey:
    """The key of all other data of the stack."""
    return StackKey(
        stack,
        "data-key",
        environment=stack.environment,
        title=title,
        description=f"Snapshots, logs and alarms of Vault of {stack.environment.name}",
        service_statements=[log_encryption(stack.environment, log_name(title)), alarm_encryption()],
    )


def make_snapshots(stack: AwsStack, section: Vault, key_arn: str) -> LockedBucket:
    """The bucket of snapshots."""
    bucket, days = section.snapshots.bucket, section.snapshots.keep_days
    return LockedBucket(stack, "snapshots", settings=stack.settings, bucket=bucket, key_arn=key_arn, days=days)


def make_balancer(stack: AwsStack, title: str, section: Vault, network: NetworkOutputs) -> InternalLoadBalancer:
    """The load balancer in front of the nodes."""
    return InternalLoadBalancer(
        stack,
        "front",
        title=title,
        network=network,
        port=API_PORT,
        clients=section.clients or (network.cidr,),
        health=HEALTH,
        protected=not stack.environment.disposable,
    )


def make_nodes(
    stack: AwsStack,
    section: Vault,
    node: user_data.Cluster,
    image: ChannelImage,
    vpc_id: str,
    statements: Sequence[Statement],
) -> Machine:
    """The launch template of the nodes."""
    environment = stack.environment
    spec = node_spec(section, node, image, environment.tags, keep=not environment.disposable)
    machine_rights = [*statements, *session_rights(environment, node.name)]
    return Machine(stack, "machine", spec=spec, vpc_id=vpc_id, rights=machine_rights)


def make_alarms(
    stack: AwsStack, section: Vault, node: user_data.Cluster, balancer: InternalLoadBalancer, key_arn: str
) -> Alarms:
    """The alarms of the cluster, and their topic."""
    return Alarms(
        stack,
        "alarms",
        title=node.name,
        account=stack.environment.account,
        group=node.name,
        alarms=cluster_alarms(section, MetricSource(node.metrics, {"cluster": node.name}), balancer),
        key_arn=key_arn,
    )


def make_cluster(
    stack: AwsStack,
    title: str,
    section: Vault,
    nodes: Machine,
    network: NetworkOutputs,
    balancer: InternalLoadBalancer,
    alarms: Sequence[str],
) -> None:
    """The group that starts the nodes, which find each other by a tag."""
    Cluster(
        stack,
        "cluster",
        title=title,
        size=section.nodes,
        machine=nodes,
        subnet_ids=network.subnet_ids,
        target_groups=[balancer.target_group_arn],
        alarms=alarms,
        tags={**stack.environment.tags, "Name": title, user_data.JOIN_TAG: title},
    )


def make_record(stack: AwsStack, zone_id: str, name: str, balancer: InternalLoadBalancer) -> None:
    """The DNS record of the certificate's name."""
    alias = Route53RecordAlias(name=balancer.dns_name, zone_id=balancer.zone_id, evaluate_target_health=False)
    Route53Record(stack, "name", zone_id=zone_id, name=name, type="A", alias=alias)
