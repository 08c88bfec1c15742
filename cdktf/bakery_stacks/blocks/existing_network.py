"""A VPC of somebody else, looked at: its subnets are in it, and each is in a zone of its own."""

from collections.abc import Sequence

from bakery_stacks.bindings import Construct, aws, core


class ExistingNetwork(Construct):
    """Every plan fails where the IDs do not belong together."""

    def __init__(self, scope: Construct, name: str, *, vpc: str, subnets: Sequence[str]) -> None:
        super().__init__(scope, name)
        found = aws.DataAwsVpc(self, "vpc", id=vpc)
        looked_at = [self._subnet(subnet, vpc) for subnet in subnets]
        self.cidr: str = found.cidr_block
        zones = ", ".join(f"{subnet.fqn}.availability_zone" for subnet in looked_at)
        distinct = core.Precondition(
            condition=f"${{length(distinct([{zones}])) == {len(looked_at)}}}",
            error_message="Two of network.existing.subnets are in one zone: name one of each.",
        )
        core.TerraformOutput(
            self, "zones", value=f"${{[{zones}]}}", description="where the subnets are", precondition=distinct
        )

    def _subnet(self, subnet: str, vpc: str) -> core.TerraformDataSource:
        inside = core.Postcondition(
            condition=f'${{self.vpc_id == "{vpc}"}}', error_message=f"{subnet} is not in {vpc}: see network.existing."
        )
        found: core.TerraformDataSource = aws.DataAwsSubnet(
            self, subnet, id=subnet, lifecycle=core.TerraformResourceLifecycle(postcondition=[inside])
        )
        return found
