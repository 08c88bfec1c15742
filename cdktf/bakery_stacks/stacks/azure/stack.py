"""The azure stack: a Compute Gallery with its image definitions, a storage account for uploads, and roles."""

from cdktf_cdktf_provider_azurerm.provider import AzurermProvider, AzurermProviderFeatures
from cdktf_cdktf_provider_azurerm.resource_group import ResourceGroup
from cdktf_cdktf_provider_azurerm.role_assignment import RoleAssignment
from cdktf_cdktf_provider_azurerm.shared_image import SharedImage, SharedImageIdentifier
from cdktf_cdktf_provider_azurerm.shared_image_gallery import SharedImageGallery
from cdktf_cdktf_provider_azurerm.storage_account import StorageAccount
from cdktf_cdktf_provider_azurerm.storage_container import StorageContainer
from constructs import Construct

from bakery.clouds.azure.names import BLOB_CONTAINER, GALLERY_PUBLISHER
from bakery_stacks.base import BakeryStack
from bakery_stacks.config import Settings
from bakery_stacks.stacks.azure.settings import Azure, AzureImage

ARCHITECTURES = {"x86_64": "x64"}  # the bakery's name -> Azure's


class AzureStack(BakeryStack):
    """One subscription. The provider logs in by ARM_CLIENT_ID and ARM_CLIENT_SECRET or OIDC, from the environment."""

    def __init__(self, scope: Construct, settings: Settings, section: Azure) -> None:
        super().__init__(scope, "azure", settings)
        add_provider(self, section)
        group = ResourceGroup(self, "group", name=section.resource_group, location=section.location, tags=self.tags)
        gallery = make_gallery(self, group, section.gallery)
        store = make_store(self, group, section.storage_account)
        allow_publishing(self, section, group, store)
        allow_reading(self, section, gallery)
        images = {f"{image.name}-{image.arch}": make_image(self, image, gallery) for image in section.images}
        self.output("gallery_id", gallery.id, "the Compute Gallery")
        self.output("storage_account", store.name, "`distribution.azure.storage_account` of definitions")
        self.output("image_ids", images, "image-architecture -> its image definition")


def add_provider(stack: BakeryStack, section: Azure) -> None:
    """The provider, which has no login of its own."""
    AzurermProvider(
        stack,
        "azurerm",
        features=[AzurermProviderFeatures()],
        subscription_id=section.subscription,
        tenant_id=section.tenant,
        storage_use_azuread=True,
    )


def make_gallery(stack: BakeryStack, group: ResourceGroup, name: str) -> SharedImageGallery:
    """The gallery that images are published to."""
    return SharedImageGallery(
        stack,
        "gallery",
        name=name,
        resource_group_name=group.name,
        location=group.location,
        description=f"Machine images of {stack.environment.name}",
        tags=stack.tags,
        lifecycle=stack.data_lifecycle(),
    )


def make_store(stack: BakeryStack, group: ResourceGroup, name: str) -> StorageAccount:
    """The account of disks between their upload and the last replica; page blobs need kind StorageV2."""
    store = StorageAccount(
        stack,
        "store",
        name=name,
        resource_group_name=group.name,
        location=group.location,
        account_kind="StorageV2",
        account_tier="Standard",
        account_replication_type="LRS",
        min_tls_version="TLS1_2",
        https_traffic_only_enabled=True,
        allow_nested_items_to_be_public=False,
        cross_tenant_replication_enabled=False,
        default_to_oauth_authentication=True,
        infrastructure_encryption_enabled=True,
        tags=stack.tags,
    )
    StorageContainer(
        stack, "container", name=BLOB_CONTAINER, storage_account_id=store.id, container_access_type="private"
    )
    return store


def make_image(stack: BakeryStack, image: AzureImage, gallery: SharedImageGallery) -> str:
    """The ID of an image definition, with the same arguments as `bakery publish` creates and requires."""
    name = f"{image.name}-{image.arch}"
    definition = SharedImage(
        stack,
        f"image-{name}",
        name=name,
        gallery_name=gallery.name,
        resource_group_name=gallery.resource_group_name,
        location=gallery.location,
        os_type="Windows" if image.windows else "Linux",
        specialized=False,
        hyper_v_generation="V2",
        architecture=ARCHITECTURES[image.arch],
        identifier=SharedImageIdentifier(publisher=GALLERY_PUBLISHER, offer=image.name, sku=image.arch),
        # Channels are tags of the image definition, which `bakery promote` changes.
        lifecycle=stack.data_lifecycle(ignore=["tags"]),
    )
    return definition.id


def allow_publishing(stack: BakeryStack, section: Azure, group: ResourceGroup, store: StorageAccount) -> None:
    """The roles of docs/how-to/run-against-azure.md: the group contains only the gallery and the account."""
    for principal in section.publishers:
        assign_role(stack, f"publisher-{principal}", principal, "Contributor", group.id)
        assign_role(stack, f"uploader-{principal}", principal, "Storage Blob Data Contributor", store.id)


def allow_reading(stack: BakeryStack, section: Azure, gallery: SharedImageGallery) -> None:
    """Readers may start machines from every image of the gallery."""
    for principal in section.readers:
        assign_role(stack, f"reader-{principal}", principal, "Reader", gallery.id)


def assign_role(stack: BakeryStack, construct_id: str, principal: str, role: str, scope: str) -> None:
    """A role for a principal, on a resource and all in it."""
    RoleAssignment(stack, construct_id, scope=scope, principal_id=principal, role_definition_name=role)
