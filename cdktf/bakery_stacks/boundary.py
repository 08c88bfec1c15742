"""An environment's permissions boundary, on every role that a stack makes."""

import jsii
from cdktf import IAspect
from cdktf_cdktf_provider_aws.iam_role import IamRole
from constructs import IConstruct


@jsii.implements(IAspect)
class PermissionsBoundary:
    """Set from outside, so that no block can forget it."""

    def __init__(self, policy_arn: str) -> None:
        self._policy_arn = policy_arn

    def visit(self, node: IConstruct) -> None:
        """Called by cdktf for each construct of the stack."""
        if isinstance(node, IamRole):
            node.permissions_boundary = self._policy_arn
