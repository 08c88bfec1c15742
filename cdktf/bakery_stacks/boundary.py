"""The permissions boundary of an environment, on every role of a stack."""

import jsii
from cdktf import IAspect
from cdktf_cdktf_provider_aws.iam_role import IamRole
from constructs import IConstruct


@jsii.implements(IAspect)
class PermissionsBoundary:
    """An aspect sets the boundary, so no construct can forget it."""

    def __init__(self, policy_arn: str) -> None:
        self._policy_arn = policy_arn

    def visit(self, node: IConstruct) -> None:
        """cdktf calls this for each construct of the stack."""
        if isinstance(node, IamRole):
            node.permissions_boundary = self._policy_arn
