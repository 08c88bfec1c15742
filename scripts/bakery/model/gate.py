"""The known vulnerabilities that a disk must not have, as definitions say."""

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from bakery.model.fields import TextFormat
from bakery.model.validation import Model, field_error, first_repeated

Identifier = Annotated[str, TextFormat(r"^[A-Z]+-[A-Za-z0-9-]+$", "an identifier as grype writes it", "CVE-2025-9230")]
Reason = Annotated[str, StringConstraints(min_length=1)]


class IgnoredVulnerability(Model):
    """A known vulnerability that may stay for a while."""

    id: Identifier = Field(description="identifier, such as CVE-2025-9230")
    reason: Reason = Field(description="why it may stay, also for the VEX document")
    until: date = Field(description="last day on which it may, in quotes; later the check fails")


class VulnerabilityGate(Model):
    """The check that a disk has no known vulnerability of some severity. It needs a vulnerability database."""

    fail_on: Literal["low", "medium", "high", "critical"] = Field(description="severity at and above which it fails")
    only_fixed: bool = Field(default=False, description="whether to let pass what no version of the package fixes")
    ignore: tuple[IgnoredVulnerability, ...] = Field(default=(), description="vulnerabilities that may stay")

    @model_validator(mode="after")
    def _no_repetition(self) -> Self:
        index = first_repeated([one.id for one in self.ignore])
        if index is not None:
            raise field_error(f"{self.ignore[index].id} is listed twice", "keep one of them", "ignore", index)
        return self
