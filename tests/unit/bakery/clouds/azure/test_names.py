"""Names in a Compute Gallery."""

import pytest

from bakery.clouds.azure.names import GalleryVersion, channel_tag, gallery_image
from bakery.host.errors import BakeryError
from bakery.model.version import ImageVersion

OF = ImageVersion("web", "x86_64", "1.0.3")
ADDRESS = GalleryVersion("0000-1111", "images", "bakery", "web-x86_64", "1.0.3")
ID = (
    "/subscriptions/0000-1111/resourceGroups/images/providers/Microsoft.Compute"
    "/galleries/bakery/images/web-x86_64/versions/1.0.3"
)


def test_names() -> None:
    assert gallery_image(OF) == "web-x86_64"
    assert channel_tag("stable") == "bakery:channel:stable"


def test_a_resource_id_and_its_parts() -> None:
    assert str(ADDRESS) == ID
    assert ADDRESS.image_id == ID.removesuffix("/versions/1.0.3")
    assert GalleryVersion.parse(ID) == ADDRESS


def test_azure_writes_keywords_in_any_case() -> None:
    assert GalleryVersion.parse(ID.replace("resourceGroups", "resourcegroups")) == ADDRESS


@pytest.mark.parametrize("other", ["", "ami-1", ID.removesuffix("/versions/1.0.3"), f"{ID}/more"])
def test_what_is_not_a_version(other: str) -> None:
    with pytest.raises(BakeryError, match="not the ID of a gallery image version"):
        GalleryVersion.parse(other)
