"""The network stack: private subnets for the machines of other stacks, in a VPC of its own or in an existing one."""

from constructs import Construct

from bakery_stacks.base import AwsStack
from bakery_stacks.blocks.log_key import log_encryption
from bakery_stacks.blocks.stack_key import StackKey
from bakery_stacks.config import Settings
from bakery_stacks.outputs import NetworkOutputs
from bakery_stacks.stacks.network.endpoints import Endpoints
from bakery_stacks.stacks.network.existing import ExistingNetwork
from bakery_stacks.stacks.network.flow_log import FlowLog, log_name
from bakery_stacks.stacks.network.settings import Existing, Network
from bakery_stacks.stacks.network.vpc import Nat, Vpc


class NetworkStack(AwsStack):
    """A network in the home region, closed to the internet."""

    def __init__(self, scope: Construct, settings: Settings, section: Network) -> None:
        super().__init__(scope, "network", settings)
        self.outputs = read_network(self, section.existing) if section.existing else make_network(self, section)
        self.output("vpc_id", self.outputs.vpc_id, "the VPC")
        self.output("cidr", self.outputs.cidr, "its address range")
        self.output("subnet_ids", list(self.outputs.subnet_ids), "private subnets, one in each zone")


def read_network(stack: AwsStack, existing: Existing) -> NetworkOutputs:
    """The outputs of an existing VPC."""
    network = ExistingNetwork(stack, "existing", vpc=existing.vpc, subnets=existing.subnets)
    return NetworkOutputs(existing.vpc, network.cidr, existing.subnets)


def make_network(stack: AwsStack, section: Network) -> NetworkOutputs:
    """A new VPC with endpoints of AWS's services and a flow log."""
    assert section.cidr  # the settings have either cidr or existing
    title, region = f"bakery-{stack.environment.name}", stack.environment.home_region
    vpc = Vpc(stack, "vpc", title=title, cidr=section.cidr, subnets=dict(section.subnets))
    Endpoints(stack, "endpoints", title=title, region=region, vpc=vpc, cidr=section.cidr)
    if section.nat:
        Nat(stack, "nat", title=title, vpc=vpc, cidr=section.nat)
    key = StackKey(
        stack,
        "key",
        environment=stack.environment,
        title=f"{title}-network",
        description=f"Flow logs of {stack.environment.name}",
        service_statements=[log_encryption(stack.environment, log_name(title))],
    )
    FlowLog(
        stack,
        "flow-log",
        environment=stack.environment,
        title=title,
        vpc_id=vpc.id,
        days=section.flow_log_days,
        key_arn=key.arn,
    )
    return NetworkOutputs(vpc.id, section.cidr, list(vpc.subnets.values()))
