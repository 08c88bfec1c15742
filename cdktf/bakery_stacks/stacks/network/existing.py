"""A VPC of somebody else, looked at: its subnets are in it, and each is in a zone of its own."""

from collections.abc import Sequence

from bakery_stacks.bindings import Construct, aws, core


class ExistingNetwork(Construct):
    """Every plan fails where the IDs do not belong together."""

    def __init__(self, scope: Construct, name: str, *, vpc: str, subnets: Sequence[str]) -> None:
        super().__init__(scope, name)
        self.cidr: str = aws.DataAwsVpc(self, "vpc", id=vpc).cidr_block
        earlier: list[str] = []
        for subnet in subnets:
            found = self._subnet(subnet, vpc, earlier)
            earlier.append(f"{found.fqn}.availability_zone")

    def _subnet(self, subnet: str, vpc: str, zones: Sequence[str]) -> core.TerraformDataSource:
        checks = {f'self.vpc_id == "{vpc}"': f"{subnet} is not in {vpc}"}
        if zones:
            alone = f"!contains([{', '.join(zones)}], self.availability_zone)"
            checks[alone] = f"{subnet} is in the zone of another one: name one subnet of each zone"
        expected = [
            core.Postcondition(condition=f"${{{check}}}", error_message=f"network.existing: {mistake}.")
            for check, mistake in checks.items()
        ]
        found: core.TerraformDataSource = aws.DataAwsSubnet(
            self, subnet, id=subnet, lifecycle=core.TerraformResourceLifecycle(postcondition=expected)
        )
        return found
