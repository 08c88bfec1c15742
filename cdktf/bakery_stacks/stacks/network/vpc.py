"""A VPC with a private subnet in each zone. Its default security group and default route table allow nothing."""

from cdktf_cdktf_provider_aws.default_security_group import DefaultSecurityGroup
from cdktf_cdktf_provider_aws.eip import Eip
from cdktf_cdktf_provider_aws.internet_gateway import InternetGateway
from cdktf_cdktf_provider_aws.nat_gateway import NatGateway
from cdktf_cdktf_provider_aws.route import Route
from cdktf_cdktf_provider_aws.route_table import RouteTable
from cdktf_cdktf_provider_aws.route_table_association import RouteTableAssociation
from cdktf_cdktf_provider_aws.subnet import Subnet
from cdktf_cdktf_provider_aws.vpc import Vpc as AwsVpc
from constructs import Construct


class Vpc(Construct):
    """`subnets` and `route_tables` by zone."""

    def __init__(self, scope: Construct, name: str, *, title: str, cidr: str, subnets: dict[str, str]) -> None:
        super().__init__(scope, name)
        self._title = title
        resource = AwsVpc(
            self,
            "vpc",
            cidr_block=cidr,
            enable_dns_support=True,
            enable_dns_hostnames=True,  # private names of endpoints need both
            tags={"Name": title},
        )
        self.id: str = resource.id
        # A machine without a security group gets this one, which AWS creates open to all of its members.
        DefaultSecurityGroup(self, "closed", vpc_id=resource.id, tags={"Name": f"{title}-closed"})
        self.subnets = {zone: self._make_subnet(zone, range_) for zone, range_ in subnets.items()}
        self.route_tables = {zone: self._make_route_table(zone, subnet) for zone, subnet in self.subnets.items()}

    def _make_subnet(self, zone: str, cidr: str) -> str:
        tags = {"Name": f"{self._title}-{zone}"}
        resource = Subnet(self, f"subnet-{zone}", vpc_id=self.id, availability_zone=zone, cidr_block=cidr, tags=tags)
        return resource.id

    def _make_route_table(self, zone: str, subnet: str) -> str:
        table = RouteTable(self, f"routes-{zone}", vpc_id=self.id, tags={"Name": f"{self._title}-{zone}"})
        RouteTableAssociation(self, f"uses-{zone}", subnet_id=subnet, route_table_id=table.id)
        return table.id


class Nat(Construct):
    """One NAT gateway for all zones. It costs less than one in each zone, but fails with its zone."""

    def __init__(self, scope: Construct, name: str, *, title: str, vpc: Vpc, cidr: str) -> None:
        super().__init__(scope, name)
        tags = {"Name": f"{title}-nat"}
        zone = min(vpc.subnets)
        internet = InternetGateway(self, "internet", vpc_id=vpc.id, tags=tags)
        subnet = Subnet(self, "subnet", vpc_id=vpc.id, availability_zone=zone, cidr_block=cidr, tags=tags)
        table = RouteTable(self, "routes", vpc_id=vpc.id, tags=tags)
        self._add_route("out", table.id, gateway_id=internet.id)
        RouteTableAssociation(self, "uses", subnet_id=subnet.id, route_table_id=table.id)
        address = Eip(self, "address", domain="vpc", tags=tags)
        gateway = NatGateway(
            self, "gateway", allocation_id=address.allocation_id, subnet_id=subnet.id, tags=tags, depends_on=[internet]
        )
        for private, routes in vpc.route_tables.items():
            self._add_route(f"out-{private}", routes, nat_gateway_id=gateway.id)

    def _add_route(
        self, construct_id: str, table_id: str, *, gateway_id: str | None = None, nat_gateway_id: str | None = None
    ) -> None:
        Route(
            self,
            construct_id,
            route_table_id=table_id,
            destination_cidr_block="0.0.0.0/0",
            gateway_id=gateway_id,
            nat_gateway_id=nat_gateway_id,
        )
