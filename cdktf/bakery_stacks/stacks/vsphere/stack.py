"""The vsphere stack: a published content library, libraries that follow it, and the publisher's role."""

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

# The privileges that `bakery.clouds.vsphere` needs (docs/how-to/run-against-vsphere.md), by their names in the API
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
    """Each vCenter has a provider of its own. Logins come from the environment; no file and no state contains them."""

    def __init__(self, scope: Construct, settings: Settings, section: Vsphere) -> None:
        super().__init__(scope, "vsphere", settings)
        logins = TerraformVariable(self, LOGINS, type="map(object({user = string, password = string}))", sensitive=True)
        logins.override_logical_id(LOGINS)
        provider = add_provider(self, "vcenter", section, alias=None)
        library = publish_library(self, section, provider)
        subscribers = {
            site.name: subscribe_library(self, site, section.library, library) for site in section.subscribers
        }
        role = Role(
            self,
            "publisher",
            name=f"bakery-{self.environment.name}-publisher",
            role_privileges=list(PUBLISHER),
            provider=provider,
        )
        self.output("library_id", library.id, "the published library")
        self.output("subscribed_library_ids", subscribers, "site -> library that follows")
        self.output("publisher_role_id", role.id, "give it to the bakery's user as a global permission")


def add_provider(stack: BakeryStack, construct_id: str, site: Site, *, alias: str | None) -> VsphereProvider:
    """The provider of a vCenter, with its login from the variable."""
    login = f'var.{LOGINS}["{site.server}"]'
    return VsphereProvider(
        stack,
        construct_id,
        alias=alias,
        vsphere_server=site.server,
        user=f"${{{login}.user}}",
        password=f"${{{login}.password}}",
    )


def publish_library(stack: BakeryStack, section: Vsphere, provider: VsphereProvider) -> ContentLibrary:
    """The library that the bakery publishes to."""
    return ContentLibrary(
        stack,
        "library",
        name=section.library,
        description=f"Machine images of {stack.environment.name}",
        storage_backing=[read_datastore(stack, "home", section, provider)],
        # No password: it would be in the state of both sides. The network limits who can read.
        publication=ContentLibraryPublication(published=True, authentication_method="NONE"),
        provider=provider,
        lifecycle=stack.data_lifecycle(),
    )


def subscribe_library(stack: BakeryStack, site: Subscriber, name: str, publisher: ContentLibrary) -> str:
    """The ID of a library in another vCenter that follows the published one."""
    provider = add_provider(stack, f"vcenter-{site.name}", site, alias=site.name)
    subscriber = ContentLibrary(
        stack,
        f"library-{site.name}",
        name=name,
        description=f"Follows {name} of {stack.environment.name}",
        storage_backing=[read_datastore(stack, site.name, site, provider)],
        subscription=ContentLibrarySubscription(
            subscription_url=publisher.publication.publish_url,
            authentication_method="NONE",
            automatic_sync=True,
            on_demand=site.on_demand,
        ),
        provider=provider,
    )
    return subscriber.id


def read_datastore(stack: BakeryStack, name: str, site: Site, provider: VsphereProvider) -> str:
    """The ID of the datastore that keeps a library's files."""
    datacenter = DataVsphereDatacenter(stack, f"datacenter-{name}", name=site.datacenter, provider=provider)
    datastore = DataVsphereDatastore(
        stack, f"datastore-{name}", name=site.datastore, datacenter_id=datacenter.id, provider=provider
    )
    return datastore.id
