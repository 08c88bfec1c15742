"""Settings of the accounts that may start images, one entry and one stack for each."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from bakery.clouds.aws.settings import Account
from bakery.model.fields import TextFormat
from bakery.model.validation import Model, field_error
from bakery_stacks.fields.arn import PolicyArn

# IAM's rules for names of roles.
RoleName = Annotated[
    str, TextFormat(r"^[\w+=,.@-]{1,64}$", "the name of a role, not its ARN: 64 characters at most", "terraform")
]
DEPLOY_ROLE = "OrganizationAccountAccessRole"


class Consumer(Model):
    """An account that may start the images."""

    account: Account = Field(description="its number")
    deploy_role: RoleName = Field(
        default=DEPLOY_ROLE,
        description="role that Terraform assumes there; AWS Organizations creates the default role in each account",
    )
    permissions_boundary: PolicyArn | None = Field(
        default=None,
        description="permissions boundary of every role that the account's stack makes; a policy of that account",
    )

    @model_validator(mode="after")
    def _check_boundary(self) -> Self:
        if self.permissions_boundary and f"::{self.account}:" not in self.permissions_boundary:
            raise field_error(
                f"IAM accepts only policies of account {self.account} as a boundary",
                f"write arn:aws:iam::{self.account}:policy/NAME",
                "permissions_boundary",
            )
        return self
