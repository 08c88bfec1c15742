"""The azure stack: a Compute Gallery with its image definitions, the way into it, and who may publish and use it."""

from typing import Any

from cdktf_cdktf_provider_azurerm.provider import AzurermProvider, AzurermProviderFeatures
from cdktf_cdktf_provider_azurerm.resource_group import ResourceGroup
from cdktf_cdktf_provider_azurerm.role_assignment import RoleAssignment
from cdktf_cdktf_provider_azurerm.shared_image import SharedImage, SharedImageIdentifier
from cdktf_cdktf_provider_azurerm.shared_image_gallery import SharedImageGallery
from cdktf_cdktf_provider_azurerm.storage_account import StorageAccount
from cdktf_cdktf_provider_azurerm.storage_container import StorageContainer
from constructs import Construct

from bakery.naming import BLOB_CONTAINER, GALLERY_PUBLISHER
from bakery_stacks.base import BakeryStack
from bakery_stacks.config import Settings
from bakery_stacks.stacks.azure.settings import Azure, AzureImage

ARCHITECTURES = {"x86_64": "x64"}  # ours -> Azure's


class AzureStack(BakeryStack):
    """One subscription. The provider logs in by ARM_CLIENT_ID and ARM_CLIENT_SECRET or OIDC, from the environment."""

    def __init__(self, scope: Construct, settings: Settings, section: Azure) -> None:
        super().__init__(scope, "azure", settings)
        AzurermProvider(
            self,
            "azurerm",
            features=[AzurermProviderFeatures()],
            subscription_id=section.subscription,
            tenant_id=section.tenant,
            storage_use_azuread=True,
        )
        group = ResourceGroup(self, "group", name=section.resource_group, location=section.location, tags=self.tags)
        gallery = self._gallery(group, section)
        store = self._store(group, section)
        self._let_publish(section, group, store)
        self._let_read(section, gallery)
        self.output("gallery_id", gallery.id, "the Compute Gallery")
        self.output("storage_account", store.name, "`distribution.azure.storage_account` of definitions")
        self.output("image_ids", self._images(section, gallery), "image-architecture -> its image definition")

    def _gallery(self, group: Any, section: Azure) -> Any:
        return SharedImageGallery(
            self,
            "gallery",
            name=section.gallery,
            resource_group_name=group.name,
            location=group.location,
            description=f"Machine images of {self.environment.name}",
            tags=self.tags,
            lifecycle=self.keep(),
        )

    def _store(self, group: Any, section: Azure) -> Any:
        """Holds a disk for the minutes between its upload and the last replica; page blobs need kind StorageV2."""
        store = StorageAccount(
            self,
            "store",
            name=section.storage_account,
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
            tags=self.tags,
        )
        StorageContainer(
            self, "container", name=BLOB_CONTAINER, storage_account_id=store.id, container_access_type="private"
        )
        return store

    def _images(self, section: Azure, gallery: Any) -> dict[str, str]:
        return {f"{image.name}-{image.arch}": self._image(image, gallery) for image in section.images}

    def _image(self, image: AzureImage, gallery: Any) -> str:
        """As `bakery.publish.azure.gallery` makes one where there is none, and insists on."""
        name = f"{image.name}-{image.arch}"
        made = SharedImage(
            self,
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
            # Channels are tags of the image definition, and `bakery promote` moves those.
            lifecycle=self.keep(ignore=["tags"]),
        )
        return str(made.id)

    def _let_publish(self, section: Azure, group: Any, store: Any) -> None:
        """The roles of docs/how-to/run-against-azure.md: the group holds nothing but gallery and account."""
        for principal in section.publishers:
            self._assign(f"publisher-{principal}", principal, "Contributor", group.id)
            self._assign(f"uploader-{principal}", principal, "Storage Blob Data Contributor", store.id)

    def _let_read(self, section: Azure, gallery: Any) -> None:
        for principal in section.readers:
            self._assign(f"reader-{principal}", principal, "Reader", gallery.id)

    def _assign(self, name: str, principal: str, role: str, where: str) -> None:
        RoleAssignment(self, name, scope=where, principal_id=principal, role_definition_name=role)
