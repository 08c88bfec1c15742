"""An existing VPC, with checks: the subnets are in it, and each is in a zone of its own."""

from collections.abc import Sequence

from cdktf import Postcondition, TerraformDataSource, TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.data_aws_subnet import DataAwsSubnet
from cdktf_cdktf_provider_aws.data_aws_vpc import DataAwsVpc
from constructs import Construct


class ExistingNetwork(Construct):
    """Every plan fails if the IDs do not belong together."""

    def __init__(self, scope: Construct, name: str, *, vpc: str, subnets: Sequence[str]) -> None:
        super().__init__(scope, name)
        self.cidr: str = DataAwsVpc(self, "vpc", id=vpc).cidr_block
        zones: list[str] = []
        for subnet in subnets:
            subnet_data = self._read_subnet(subnet, vpc, zones)
            zones.append(f"{subnet_data.fqn}.availability_zone")

    def _read_subnet(self, subnet: str, vpc: str, zones: Sequence[str]) -> TerraformDataSource:
        checks = {f'self.vpc_id == "{vpc}"': f"{subnet} is not in {vpc}"}
        if zones:
            alone = f"!contains([{', '.join(zones)}], self.availability_zone)"
            checks[alone] = f"{subnet} is in the zone of another one: name one subnet of each zone"
        postconditions = [
            Postcondition(condition=f"${{{check}}}", error_message=f"network.existing: {mistake}.")
            for check, mistake in checks.items()
        ]
        subnet_data: TerraformDataSource = DataAwsSubnet(
            self, subnet, id=subnet, lifecycle=TerraformResourceLifecycle(postcondition=postconditions)
        )
        return subnet_data
