"""How long versions of an image stay usable: the key `retention` of a definition."""

from itertools import pairwise
from typing import Annotated, Self

from pydantic import Field, model_validator

from bakery.model.validation import Model, field_error

LAUNCHED_WITHIN_DAYS = 30  # even an idle group of machines starts one in this time
Days = Annotated[int, Field(ge=1, le=3650)]


class Retention(Model):
    """The versions that `bakery retire` deprecates, disables and removes; days count since the next one was baked.

    The newest version, and one that a channel points at, stay whatever is written here.
    """

    keep: Annotated[int, Field(ge=1)] = Field(default=3, description="newest versions that stay as they are")
    deprecate_after_days: Days | None = Field(default=None, description="stop offering a version after so many days")
    disable_after_days: Days | None = Field(default=None, description="let nobody start a version after so many days")
    remove_after_days: Days | None = Field(
        default=None, description="remove the images and snapshots of a version after so many days"
    )
    launched_within_days: Days = Field(
        default=LAUNCHED_WITHIN_DAYS,
        description="keep a version usable that was started within so many days",
    )

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        steps = {
            name: days
            for name in ("deprecate_after_days", "disable_after_days", "remove_after_days")
            if (days := getattr(self, name)) is not None
        }
        if not steps:
            raise ValueError("it retires nothing: set deprecate_after_days, disable_after_days or remove_after_days")
        if self.remove_after_days and not self.disable_after_days:
            message = "a version is disabled for some days before it is removed"
            raise field_error(message, "set disable_after_days, too", "remove_after_days")
        for earlier, later in pairwise(steps):
            if steps[later] <= steps[earlier]:
                raise field_error(f"it is not after {earlier} ({steps[earlier]})", "write more days", later)
        return self
