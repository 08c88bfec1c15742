"""The vsphere stack: a published content library, libraries that follow it, and the publisher's role."""

from typing import Any

from cdktf import TerraformVariable
from cdktf_cdktf_provider_vsphere.content_library import (
    ContentLibrary,
    ContentLibraryPublication,
    ContentLibrarySubscription,
)
from cdktf_cdktf_provider_vsphere.data_vsphere_datacenter import DataVsphereDatacenter
from cdktf_cdktf_provider_vsphere.data_vsphere_datastore import DataVsphereDatastore
from cdktf_cdktf_provider_vsphere.provider import VsphereProvider
from cdktf_cdktf_provider_vsphere.role import Role
from constructs import Construct

from bakery_stacks.base import BakeryStack
from bakery_stacks.config import Settings
from bakery_stacks.stacks.vsphere.settings import Site, Subscriber, Vsphere

# What `bakery.publish.vsphere` does with items (docs/how-to/run-against-vsphere.md), as the API calls the privileges
# (VMware vSphere Security 8.0, "Content Library Privileges").
PUBLISHER = (
    "ContentLibrary.AddLibraryItem",
    "ContentLibrary.DeleteLibraryItem",
    "ContentLibrary.DownloadSession",
    "ContentLibrary.ReadStorage",
    "ContentLibrary.UpdateLibraryItem",
    "ContentLibrary.UpdateSession",
    "Sessions.ValidateSession",
)
LOGINS = "vsphere_logins"  # TF_VAR_vsphere_logins: {"HOST": {"user": …, "password": …}}


class VsphereStack(BakeryStack):
    """Each vCenter has a provider of its own; logins come from the environment, and are in no file and no state."""

    def __init__(self, scope: Construct, settings: Settings, section: Vsphere) -> None:
        super().__init__(scope, "vsphere", settings)
        self._logins = TerraformVariable(
            self, LOGINS, type="map(object({user = string, password = string}))", sensitive=True
        )
        self._logins.override_logical_id(LOGINS)
        home = self._provider("vcenter", section, alias=None)
        published = self._publish(section, home)
        followers = {site.name: self._follow(site, section.library, published) for site in section.subscribers}
        role = Role(
            self,
            "publisher",
            name=f"bakery-{self.environment.name}-publisher",
            role_privileges=list(PUBLISHER),
            provider=home,
        )
        self.output("library_id", published.id, "the published library")
        self.output("subscribed_library_ids", followers, "site -> library that follows")
        self.output("publisher_role_id", role.id, "give it to the bakery's user as a global permission")

    def _provider(self, name: str, site: Site, *, alias: str | None) -> Any:
        login = f'var.{LOGINS}["{site.server}"]'
        return VsphereProvider(
            self,
            name,
            alias=alias,
            vsphere_server=site.server,
            user=f"${{{login}.user}}",
            password=f"${{{login}.password}}",
        )

    def _publish(self, section: Vsphere, provider: Any) -> Any:
        return ContentLibrary(
            self,
            "library",
            name=section.library,
            description=f"Machine images of {self.environment.name}",
            storage_backing=[self._datastore("home", section, provider)],
            # Without a password: it would stand in the state of both sides. The network decides who reads.
            publication=ContentLibraryPublication(published=True, authentication_method="NONE"),
            provider=provider,
            lifecycle=self.keep(),
        )

    def _follow(self, site: Subscriber, library: str, published: Any) -> str:
        provider = self._provider(f"vcenter-{site.name}", site, alias=site.name)
        follower = ContentLibrary(
            self,
            f"library-{site.name}",
            name=library,
            description=f"Follows {library} of {self.settings.environment.name}",
            storage_backing=[self._datastore(site.name, site, provider)],
            subscription=ContentLibrarySubscription(
                subscription_url=published.publication.publish_url,
                authentication_method="NONE",
                automatic_sync=True,
                on_demand=site.on_demand,
            ),
            provider=provider,
        )
        return str(follower.id)

    def _datastore(self, name: str, site: Site, provider: Any) -> str:
        datacenter = DataVsphereDatacenter(self, f"datacenter-{name}", name=site.datacenter, provider=provider)
        datastore = DataVsphereDatastore(
            self, f"datastore-{name}", name=site.datastore, datacenter_id=datacenter.id, provider=provider
        )
        return str(datastore.id)
