"""The accounts that may start images, one entry and one stack each."""

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from bakery.fields import Account
from bakery.strict import Model

# What IAM accepts in names of roles.
RoleName = Annotated[str, StringConstraints(pattern=r"^[\w+=,.@-]{1,64}$")]
PolicyArn = Annotated[str, StringConstraints(pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:policy/\S+$")]
DEPLOY_ROLE = "OrganizationAccountAccessRole"


class Consumer(Model):
    """An account that may start the images."""

    account: Account
    deploy_role: RoleName = Field(
        default=DEPLOY_ROLE,
        description="role that Terraform assumes there; AWS Organizations makes the default one with each account",
    )
    permissions_boundary: PolicyArn | None = Field(
        default=None, description="on every role that the account's stack makes; a policy of that account"
    )

    @model_validator(mode="after")
    def _own_boundary(self) -> Self:
        if self.permissions_boundary and f"::{self.account}:" not in self.permissions_boundary:
            raise ValueError(f"permissions_boundary must be a policy of account {self.account}: IAM takes no other")
        return self
