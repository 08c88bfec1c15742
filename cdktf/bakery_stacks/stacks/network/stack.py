"""The network stack: private subnets for the machines of other stacks, made here or found."""

from constructs import Construct

from bakery_stacks.base import AwsStack
from bakery_stacks.blocks.log_key import log_encryption
from bakery_stacks.blocks.stack_key import StackKey
from bakery_stacks.config import Settings
from bakery_stacks.handover import NetworkOutputs
from bakery_stacks.stacks.network.endpoints import Endpoints
from bakery_stacks.stacks.network.existing import ExistingNetwork
from bakery_stacks.stacks.network.flow_log import FlowLog, log_name
from bakery_stacks.stacks.network.settings import Existing, Network
from bakery_stacks.stacks.network.vpc import Nat, Vpc


class NetworkStack(AwsStack):
    """In the home region. Nothing in it can be reached from the internet."""

    def __init__(self, scope: Construct, settings: Settings, section: Network) -> None:
        super().__init__(scope, "network", settings)
        self._title = f"bakery-{self.environment.name}"
        self.outputs = self._find(section.existing) if section.existing else self._make(section)
        self.output("vpc_id", self.outputs.vpc_id, "the VPC")
        self.output("cidr", self.outputs.cidr, "its address range")
        self.output("subnet_ids", list(self.outputs.subnet_ids), "private subnets, one in each zone")

    def _find(self, existing: Existing) -> NetworkOutputs:
        found = ExistingNetwork(self, "existing", vpc=existing.vpc, subnets=existing.subnets)
        return NetworkOutputs(existing.vpc, found.cidr, existing.subnets)

    def _make(self, section: Network) -> NetworkOutputs:
        assert section.cidr  # or existing, as the section has checked
        vpc = Vpc(self, "vpc", title=self._title, cidr=section.cidr, subnets=dict(section.subnets))
        region = self.environment.home_region
        Endpoints(self, "endpoints", title=self._title, region=region, vpc=vpc, cidr=section.cidr)
        if section.nat:
            Nat(self, "nat", title=self._title, vpc=vpc, cidr=section.nat)
        key = StackKey(
            self,
            "key",
            environment=self.environment,
            title=f"{self._title}-network",
            description=f"Flow logs of {self.environment.name}",
            others=[log_encryption(self.environment, log_name(self._title))],
        )
        FlowLog(
            self,
            "flow-log",
            environment=self.environment,
            title=self._title,
            vpc_id=vpc.id,
            days=section.flow_log_days,
            key_arn=key.arn,
        )
        return NetworkOutputs(vpc.id, section.cidr, list(vpc.subnets.values()))
