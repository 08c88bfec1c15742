"""The azure stack: a gallery as the publisher expects it, an account that is closed, roles where they are needed."""

from typing import Any

import pytest
from pydantic import ValidationError

from bakery.catalog import Catalog
from bakery_stacks.config import Environment, Settings
from bakery_stacks.stacks.azure.settings import Azure, AzureImage

PUBLISHER, READER = "33333333-3333-3333-3333-333333333333", "44444444-4444-4444-4444-444444444444"
SECTION = Azure(
    tenant="11111111-1111-1111-1111-111111111111",
    subscription="22222222-2222-2222-2222-222222222222",
    location="westeurope",
    resource_group="images",
    gallery="images",
    storage_account="exampleimages",
    images=(AzureImage(name="web"), AzureImage(name="windows", windows=True)),
    publishers=(PUBLISHER,),
    readers=(READER,),
)


@pytest.fixture(scope="module")
def stack(synth: Any, nothing: Catalog, environment: Environment) -> dict[str, Any]:
    with_section = environment.model_copy(update={"azure": SECTION})
    found: dict[str, Any] = synth(Settings(with_section, with_section.catalog, stand_in=False), nothing)["azure"]
    return found


def test_no_login_is_written_down(stack: dict[str, Any]) -> None:
    [provider] = stack["provider"]["azurerm"]
    assert set(provider) == {"features", "subscription_id", "tenant_id", "storage_use_azuread"}


def test_definitions_are_as_the_publisher_insists(stack: dict[str, Any]) -> None:
    web = stack["resource"]["azurerm_shared_image"]["image-web-x86_64"]
    assert web["name"] == "web-x86_64"
    assert web["identifier"] == {"publisher": "bakery", "offer": "web", "sku": "x86_64"}
    assert (web["os_type"], web["hyper_v_generation"], web["architecture"]) == ("Linux", "V2", "x64")
    assert web["lifecycle"] == {"prevent_destroy": True, "ignore_changes": ["tags"]}
    assert stack["resource"]["azurerm_shared_image"]["image-windows-x86_64"]["os_type"] == "Windows"


def test_the_account_is_closed(stack: dict[str, Any]) -> None:
    [store] = stack["resource"]["azurerm_storage_account"].values()
    assert store["min_tls_version"] == "TLS1_2"
    assert store["allow_nested_items_to_be_public"] is False
    [container] = stack["resource"]["azurerm_storage_container"].values()
    assert container["container_access_type"] == "private"


def test_roles_reach_no_further_than_needed(stack: dict[str, Any]) -> None:
    roles = {
        (role["principal_id"], role["role_definition_name"]): role["scope"]
        for role in stack["resource"]["azurerm_role_assignment"].values()
    }
    assert roles == {
        (PUBLISHER, "Contributor"): "${azurerm_resource_group.group.id}",
        (PUBLISHER, "Storage Blob Data Contributor"): "${azurerm_storage_account.store.id}",
        (READER, "Reader"): "${azurerm_shared_image_gallery.gallery.id}",
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"readers": (PUBLISHER,)}, "is also in publishers, which have more rights"),
        ({"publishers": (PUBLISHER, PUBLISHER)}, "this entry is listed twice"),
        ({"images": (AzureImage(name="web"), AzureImage(name="web"))}, "this entry is listed twice"),
        ({"publishers": ()}, "at least 1 item"),
        ({"location": "West Europe"}, "must be an Azure region"),
        ({"storage_account": "has-hyphen"}, "must be 3 to 24 lower-case letters"),
    ],
)
def test_mistakes_are_found_before_any_call(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Azure.model_validate({**dict(SECTION), **change})
