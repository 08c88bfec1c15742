"""How long versions of an image stay usable: the key `retention` of a definition."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from bakery.model.validation import Model, field_error

Days = Annotated[int, Field(ge=1, le=3650)]


class Retention(Model):
    """The versions that `bakery retire` deprecates, disables and removes; days count since a newer one was published.

    The newest version, and one that a channel points at, stay whatever is written here.
    """

    keep: Annotated[int, Field(ge=1)] = Field(default=3, description="newest versions that stay as they are")
    deprecate_after_days: Days | None = Field(default=None, description="no longer offer a version after this many days")
    disable_after_days: Days | None = Field(default=None, description="let nobody start a version after this many days")
    remove_after_days: Days | None = Field(
        default=None, description="remove the images and snapshots of a version after this many days"
    )
    launched_within_days: Days = Field(
        default=30, description="neither disable nor remove a version that was started within this many days"
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
        names = list(steps)
        for earlier, later in zip(names, names[1:], strict=False):
            if steps[later] <= steps[earlier]:
                raise field_error(f"it is not after {earlier} ({steps[earlier]})", "write more days", later)
        return self
