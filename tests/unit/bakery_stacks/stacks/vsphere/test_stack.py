"""The vsphere stack: every vCenter has its own login, nothing secret is written down, the followers follow."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from bakery.catalog import Catalog
from bakery_stacks.config import Environment, Settings
from bakery_stacks.stacks.vsphere.settings import Subscriber, Vsphere

SECTION = Vsphere(
    server="vcenter.example.com",
    datacenter="dc1",
    datastore="ssd",
    library="images",
    subscribers=(Subscriber(name="branch", server="b.example.com", datacenter="dc2", datastore="hdd", on_demand=True),),
)


@pytest.fixture(scope="module")
def stack(synth: Any, nothing: Catalog, environment: Environment) -> dict[str, Any]:
    with_section = environment.model_copy(update={"vsphere": SECTION})
    found: dict[str, Any] = synth(Settings(with_section, with_section.catalog, stand_in=False), nothing)["vsphere"]
    return found


def test_logins_come_from_a_sensitive_variable(stack: dict[str, Any]) -> None:
    assert stack["variable"] == {
        "vsphere_logins": {"type": "map(object({user = string, password = string}))", "sensitive": True}
    }
    home, branch = stack["provider"]["vsphere"]
    assert home["user"] == '${var.vsphere_logins["vcenter.example.com"].user}'
    assert branch["password"] == '${var.vsphere_logins["b.example.com"].password}'
    assert (home.get("alias"), branch["alias"]) == (None, "branch")
    assert "allow_unverified_ssl" not in json.dumps(stack)


def test_a_subscriber_follows_the_published_library(stack: dict[str, Any]) -> None:
    libraries = stack["resource"]["vsphere_content_library"]
    assert libraries["library"]["publication"] == {"published": True, "authentication_method": "NONE"}
    assert libraries["library"]["lifecycle"] == {"prevent_destroy": True}
    follower = libraries["library-branch"]
    url = "${vsphere_content_library.library.publication[0].publish_url}"
    assert follower["provider"] == "vsphere.branch"
    assert follower["subscription"]["subscription_url"] == url
    assert follower["subscription"]["automatic_sync"] is True
    assert follower["storage_backing"] == ["${data.vsphere_datastore.datastore-branch.id}"]


def test_the_publisher_may_do_what_the_how_to_lists(stack: dict[str, Any]) -> None:
    [role] = stack["resource"]["vsphere_role"].values()
    assert role["name"] == "bakery-prod-publisher"
    assert "ContentLibrary.UpdateSession" in role["role_privileges"]
    assert not any(privilege.startswith("ContentLibrary.Create") for privilege in role["role_privileges"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"server": "vcenter.example.com", "name": "other"}, "it cannot subscribe"),
        ({"server": "c.example.com", "name": "branch"}, "another subscriber has this name"),
        ({"server": "b.example.com", "name": "other"}, "another subscriber has this server"),
    ],
)
def test_sites_are_distinct(change: dict[str, str], message: str) -> None:
    other = SECTION.subscribers[0].model_copy(update=change)
    with pytest.raises(ValidationError, match=message):
        Vsphere.model_validate({**dict(SECTION), "subscribers": (SECTION.subscribers[0], other)})
