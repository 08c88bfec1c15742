"""The vault stack: a raft cluster from the baked image, unsealed by KMS, behind an internal address."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from bakery_stacks import vault_user_data as told
from bakery_stacks.base import AwsStack
from bakery_stacks.bindings import Construct, aws
from bakery_stacks.blocks.alarms import Alarms, Metric, Missed, Watch, alarm_encryption
from bakery_stacks.blocks.archive import Archive
from bakery_stacks.blocks.cluster import Cluster
from bakery_stacks.blocks.front import Front
from bakery_stacks.blocks.image import ChannelImage
from bakery_stacks.blocks.log_key import log_encryption
from bakery_stacks.blocks.machine import Build, Machine, Volume
from bakery_stacks.blocks.policy import Statement
from bakery_stacks.blocks.sessions import Sessions, log_name, of_machine
from bakery_stacks.blocks.stack_key import StackKey
from bakery_stacks.blocks.vault_rights import of_node
from bakery_stacks.config import Settings, node_role
from bakery_stacks.handover import NetworkOutputs
from bakery_stacks.published import Published
from bakery_stacks.sections.vault import Vault

# Both may serve; a sealed (503) or uninitialized (501) node gets no clients (Vault API, "/sys/health").
HEALTH = "/v1/sys/health?standbyok=true&perfstandbyok=true"
ROOT_GIB = 20
STOPPING = ("unhealthy", "sealed", "voters")  # alarms on which no further node is replaced
FULL_PERCENT = 80  # of a disk, while there is time to do something


class VaultStack(AwsStack):
    """Initialized once by a person, who gets the recovery keys: docs/how-to/run-a-vault-cluster.md."""

    def __init__(
        self,
        scope: Construct,
        settings: Settings,
        section: Vault,
        network: NetworkOutputs,
        published: Published | None,
    ) -> None:
        super().__init__(scope, "vault", settings)
        self._section = section
        self._title = f"bakery-{self.environment.name}-vault"
        environment = self.environment
        nodes = node_role(environment.name, environment.account, environment.home_region)
        self._seal_key = self._key("seal-key", f"{self._title}-seal", "Unseals Vault", sealer=nodes)
        logs = log_encryption(self.environment, log_name(self._title))
        self._data_key = self._key(
            "data-key", self._title, "Snapshots, logs and alarms of Vault", logs, alarm_encryption()
        )
        snapshots = Archive(
            self,
            "snapshots",
            settings=settings,
            bucket=section.snapshots.bucket,
            key_arn=self._data_key.arn,
            days=section.snapshots.keep_days,
        )
        sessions = Sessions(
            self,
            "sessions",
            environment=self.environment,
            title=self._title,
            days=section.log_days,
            key_arn=self._data_key.arn,
        )
        front = self._front(network)
        image = ChannelImage(self, "image", section.image, published, at=("vault", "image"))
        machine = self._machine(image, network, front, snapshots.arn)
        alarms = Alarms(
            self,
            "alarms",
            title=self._title,
            account=self.environment.account,
            group=self._title,
            watches=self._watches(front),
            key_arn=self._data_key.arn,
        )
        self._cluster(machine, network, front, [alarms.names[name] for name in STOPPING])
        self._point(front)
        address = f"https://{section.certificate.name}:{told.API}"
        self.output("address", address, "for VAULT_ADDR of clients; its name leads to load_balancer")
        self.output("load_balancer", front.dns_name, "what certificate.name has to lead to, as a CNAME or an alias")
        self.output("node_role_arn", machine.role_arn, "role of the nodes, for the login that snapshots use")
        self.output("seal_key_arn", self._seal_key.arn, "key that unseals: without it, no data can be read")
        self.output("snapshot_bucket", snapshots.name, "where snapshots are")
        self.output("alarm_topic_arn", alarms.topic_arn, "tells of what a person has to look at")
        self.output("session_document", sessions.document, "for aws ssm start-session --document-name")
        self.output("image_version", image.version, "version of the image that new nodes start from")

    def _key(self, name: str, title: str, description: str, *others: Statement, sealer: str | None = None) -> StackKey:
        return StackKey(
            self,
            name,
            environment=self.environment,
            title=title,
            description=f"{description} of {self.environment.name}",
            others=others,
            sealer=sealer,
        )

    def _front(self, network: NetworkOutputs) -> Front:
        return Front(
            self,
            "front",
            title=self._title,
            network=network,
            port=told.API,
            clients=self._section.clients or (network.cidr,),
            health=HEALTH,
            protected=not self.environment.disposable,
        )

    def _machine(self, image: ChannelImage, network: NetworkOutputs, front: Front, bucket_arn: str) -> Machine:
        section, environment = self._section, self.environment
        cluster = told.Cluster(self._title, environment.home_region, self._seal_key.alias, f"bakery/{environment.name}")
        build = Build(
            title=self._title,
            image=f"{section.image} {image.version}",
            image_id=image.image_id,
            instance_type=section.instance_type,
            disk_gib=ROOT_GIB,
            user_data=told.of_node(section, cluster),
            tags=environment.tags,
            volumes=(
                Volume("/dev/sdf", section.data_gib),  # the other nodes have it, too
                Volume("/dev/sdg", section.audit_gib, kept=not environment.disposable),  # nothing else has these logs
            ),
        )
        rights = of_node(
            environment,
            section,
            seal_key=self._seal_key.arn,
            data_key=self._data_key.arn,
            bucket=bucket_arn,
            metrics=cluster.metrics,
        )
        sessions = of_machine(environment, self._title)
        machine = Machine(self, "machine", build=build, vpc_id=network.vpc_id, rights=[*rights, *sessions])
        machine.let_in(told.API, "Clients", source=front.firewall_id)
        front.let_through(machine.firewall_id, told.API)
        for port, why in ((told.API, "Nodes that join"), (told.CLUSTER, "Nodes, of each other")):
            machine.let_among(port, why)
        machine.let_out(443, "Services of AWS")
        if (gitlab := self._gitlab_port()) != 443:
            machine.let_out(gitlab, "GitLab, of which Vault asks how it signs")
        return machine

    def _gitlab_port(self) -> int:
        section = self.environment.vault_config
        return (urlsplit(section.gitlab.url).port if section else None) or 443

    def _cluster(self, machine: Machine, network: NetworkOutputs, front: Front, alarms: Sequence[str]) -> None:
        Cluster(
            self,
            "cluster",
            title=self._title,
            size=self._section.nodes,
            machine=machine,
            subnet_ids=network.subnet_ids,
            target_groups=[front.target_group_arn],
            alarms=alarms,
            tags={**self.environment.tags, "Name": self._title, told.JOIN_TAG: self._title},
        )

    def _point(self, front: Front) -> None:
        if zone := self._section.dns_zone:
            alias = aws.Route53RecordAlias(name=front.dns_name, zone_id=front.zone_id, evaluate_target_health=False)
            aws.Route53Record(self, "name", zone_id=zone, name=self._section.certificate.name, type="A", alias=alias)

    def _watches(self, front: Front) -> list[Watch | Missed]:
        """All but the first are what nodes report (ansible/roles/vault): where all must, silence is bad, too."""
        own = Metric(f"bakery/{self.environment.name}", {"cluster": self._title})
        balancer = Metric("AWS/NetworkELB", front.dimensions)
        lost = 2 * self._section.snapshots.every_hours
        return [
            Watch("unhealthy", "A node does not serve, and AWS does not replace it", balancer, "UnHealthyHostCount"),
            Watch("sealed", "A node is sealed", own, "Sealed", silent="breaching"),
            Watch("voters", "The cluster survives less than it should", own, "VotersMissing", 15, silent="breaching"),
            Missed("snapshot", "No snapshot was saved", own, "SnapshotSaved", lost),
            Watch("data-disk", "A node's disk for data fills up", own, "DataDiskUsed", most=FULL_PERCENT),
            Watch("audit-disk", "A node's disk for audit logs fills up", own, "AuditDiskUsed", most=FULL_PERCENT),
        ]
