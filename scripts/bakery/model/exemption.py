"""A rule for the content of images that one image may break."""

from datetime import date

from pydantic import Field

from bakery.model.gate import Reason
from bakery.model.validation import Model


class Exemption(Model):
    """A rule that the image may break, for a reason that its verdict shows."""

    rule: str = Field(description="name of the rule, as in the reference of image rules")
    reason: Reason = Field(description="why the image may break it")
    until: date | None = Field(
        default=None, description="last day on which it may, in quotes; later the rule counts again"
    )


PASSWORDS = "no passwords"  # the rule whose exemption also keeps the seal from locking logins
