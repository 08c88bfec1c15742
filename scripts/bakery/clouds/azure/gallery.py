"""The image definition: what all versions of an image in a gallery have in common."""

from azure.core.exceptions import ResourceNotFoundError
from azure.mgmt.compute.models import (
    GalleryImage,
    GalleryImageFeature,
    GalleryImageIdentifier,
    GalleryImageProperties,
)

from bakery.clouds.azure.calls import enum_text, explain_errors
from bakery.clouds.azure.names import GALLERY_PUBLISHER, GalleryVersion
from bakery.clouds.azure.session import AzureSession
from bakery.host.errors import ConflictError, NotFoundError
from bakery.model.definition import ImageDefinition

KIND = ("os_type", "os_state", "hyper_v_generation", "architecture")  # these properties never change
PAUSE = 2  # seconds between two requests; making it takes a few


def ensure(session: AzureSession, definition: ImageDefinition, address: GalleryVersion) -> None:
    """Make the image definition if it is absent; ConflictError if one for another kind of image exists."""
    expected = _image_properties(definition)
    image = _find_image(session, address)
    if image is None:
        location = find_location(session, address.subscription, address.resource_group, address.gallery)
        _create_image(session, address, location, expected)
    else:
        _refuse_other(address, image, expected)


def find_location(session: AzureSession, subscription: str, resource_group: str, gallery: str) -> str:
    """The region of a gallery and of its definitions. NotFoundError if there is no such gallery."""
    with explain_errors("look for the gallery", gallery):
        try:
            return str(session.compute.galleries.get(resource_group, gallery).location)
        except ResourceNotFoundError as error:
            raise NotFoundError(
                f"there is no gallery {gallery} in resource group {resource_group}",
                where=f"subscription {subscription}",
                detail=error.message,
                hint=f"make it: az sig create --resource-group {resource_group} --gallery-name {gallery}",
            ) from error


def _find_image(session: AzureSession, address: GalleryVersion) -> GalleryImage | None:
    with explain_errors(f"look for the image definition {address.image}", address.gallery):
        try:
            return session.compute.gallery_images.get(address.resource_group, address.gallery, address.image)
        except ResourceNotFoundError:
            return None


def _create_image(
    session: AzureSession, address: GalleryVersion, location: str, expected: GalleryImageProperties
) -> None:
    with explain_errors(f"make the image definition {address.image}", address.gallery):
        image = GalleryImage(location=location, properties=expected)
        session.compute.gallery_images.begin_create_or_update(
            address.resource_group, address.gallery, address.image, image, polling_interval=PAUSE
        ).result()


def _image_properties(definition: ImageDefinition) -> GalleryImageProperties:
    """The properties for generation 2: the disks boot by UEFI."""
    return GalleryImageProperties(
        description=definition.description,
        os_type="Windows" if definition.windows else "Linux",
        os_state="Generalized",
        hyper_v_generation="V2",
        architecture="x64",
        identifier=GalleryImageIdentifier(publisher=GALLERY_PUBLISHER, offer=definition.name, sku=definition.arch),
        # Set, since newer APIs assume Trusted Launch: the Debian base has no boot loader signed for Secure Boot.
        features=[GalleryImageFeature(name="SecurityType", value="Standard")],
    )


def _refuse_other(address: GalleryVersion, image: GalleryImage, expected: GalleryImageProperties) -> None:
    pairs = {name: (enum_text(getattr(image, name)), enum_text(getattr(expected, name))) for name in KIND}
    wrong = [
        f"{name} is {actual}, expected {expected}" for name, (actual, expected) in pairs.items() if actual != expected
    ]
    if wrong:
        raise ConflictError(
            f"the image definition {address.image} is for another kind of image",
            where=address.gallery,
            detail="\n".join(wrong),
            hint="these properties never change: remove the image definition if it is unused, or rename the image",
        )
