"""An environment's permissions boundary, on every role that a stack makes."""

from typing import Any

import jsii
from cdktf import IAspect


@jsii.implements(IAspect)
class PermissionsBoundary:
    """Set from outside, so that no block can forget it."""

    def __init__(self, policy_arn: str) -> None:
        self._policy_arn = policy_arn

    def visit(self, node: Any) -> None:
        """Called by cdktf for each construct of the stack."""
        if getattr(node, "terraform_resource_type", "") == "aws_iam_role":
            node.permissions_boundary = self._policy_arn
