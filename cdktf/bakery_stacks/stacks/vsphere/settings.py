"""Settings of the vsphere stack."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from bakery.clouds.vsphere.settings import Server
from bakery.model.fields import Name
from bakery.model.validation import Model, field_error, first_repeated


class Site(Model):
    """A vCenter, and the datastore of its content library."""

    server: Server = Field(description="vCenter, HOST or HOST:PORT; its certificate is verified")
    datacenter: str = Field(description="the datacenter of the datastore")
    datastore: str = Field(description="datastore of the library's files")


class Subscriber(Site):
    """A vCenter that follows the published library."""

    name: Name = Field(description="name of the site, in names of resources and outputs")
    on_demand: bool = Field(default=False, description="fetch an item's files when they are first used")


class Vsphere(Site):
    """The content library that the bakery publishes to, and those that follow it in other vCenters."""

    library: Annotated[str, Field(min_length=1)] = Field(description="`distribution.vsphere.library` of definitions")
    subscribers: tuple[Subscriber, ...] = Field(default=(), description="other vCenters that get every image")

    @model_validator(mode="after")
    def _check_duplicates(self) -> Self:
        for field in ("name", "server"):
            if (index := first_repeated([getattr(site, field) for site in self.subscribers])) is not None:
                raise field_error(
                    f"another subscriber has this {field}", "give each its own", "subscribers", index, field
                )
        for index, site in enumerate(self.subscribers):
            if site.server == self.server:
                reason = f"{site.server} publishes the library, so it cannot subscribe to it"
                raise field_error(reason, "name another vCenter, or remove this one", "subscribers", index, "server")
        return self
