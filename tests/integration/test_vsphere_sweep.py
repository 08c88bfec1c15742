"""What runs left in vSphere is listed by its marks and removed: items, unfinished uploads, machines of builds."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import stamina

from bakery.clouds.definitions import Definition
from bakery.clouds.target import Listing, Resource
from bakery.clouds.vsphere import channels, notes
from bakery.clouds.vsphere.library import Library
from bakery.clouds.vsphere.machines import BUILD
from bakery.clouds.vsphere.release import UNFINISHED
from bakery.clouds.vsphere.session import connect
from bakery.clouds.vsphere.target import VsphereTarget
from bakery.clouds.vsphere.template import log_in
from bakery.clouds.vsphere.upload import SESSIONS
from bakery.model.tags import identity
from bakery.model.version import ImageVersion
from doubles.vcenter.client import LIBRARY, PASSWORD, USER, StandIn, running

pytestmark = pytest.mark.integration

LOGIN = {"username": USER, "password": PASSWORD}
NAME = "web-1.0.0-x86_64"
TAGS = identity(ImageVersion("web", "x86_64", "1.0.0"))
NOTES = notes.write("A web server", TAGS)
MACHINES = ("DC0_C0_RP0_VM0", "DC0_C0_RP0_VM1")  # of the simulator, both running


@pytest.fixture
def vcenter(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    nap = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: nap(seconds / 50))
    with running() as double, stamina.set_testing(True, attempts=10, cap=True):
        monkeypatch.setenv("VSPHERE_CACERT", str(double.authority))
        yield double


@pytest.fixture
def target(vcenter: StandIn) -> VsphereTarget:
    site = {"datacenter": "DC0", "cluster": "DC0_C0", "datastore": "LocalDS_0"}
    settings = {"server": vcenter.server, "library": LIBRARY, "credentials": "secret/data/vcenter", "build": site}
    definition = {
        "name": "web",
        "description": "A web server",
        "os": "debian-12",
        "arch": "x86_64",
        "version": "1.0",
        "base": {"vsphere": {"template": "debian-12"}},
        "targets": ("vsphere",),
        "distribution": {"vsphere": settings},
    }
    return VsphereTarget(Definition.model_validate(definition), LOGIN)


@pytest.fixture
def library(vcenter: StandIn) -> Iterator[Library]:
    with connect(vcenter.server, LOGIN) as session:
        yield Library(session, LIBRARY)


def flatten(listing: Listing) -> list[Resource]:
    assert not listing.failures
    return [resource for part in listing.resources.values() for resource in part]


def become(vcenter: StandIn, machine: str, name: str, build: str = "") -> str:
    """Give a machine of the simulator another name, and the setting of a build; gives its ID."""
    with log_in(vcenter.server, LOGIN) as session:
        path = f"<inventoryPath>DC0/vm/{machine}</inventoryPath>"
        number = session.call("FindByInventoryPath", "SearchIndex", "SearchIndex", path)[0].text
        assert number
        setting = (
            f'<extraConfig><key>{BUILD}</key><value xmlns:xsd="http://www.w3.org/2001/XMLSchema" xsi:type="xsd:string">'
            f"{build}</value></extraConfig>"
        )
        spec = f"<spec><name>{name}</name>{setting if build else ''}</spec>"
        session.call("ReconfigVM_Task", number, "VirtualMachine", spec)
    return number


def test_nothing_is_there(target: VsphereTarget) -> None:
    assert flatten(target.list_resources("web", "x86_64")) == []


def test_all_kinds_are_listed_and_removed(vcenter: StandIn, library: Library, target: VsphereTarget) -> None:
    """An upload that was cut off has a session, which goes with it."""
    item, unfinished = library.create(NAME, NOTES), library.create(NAME + UNFINISHED, NOTES)
    library.vcenter.create("upload", SESSIONS, {"create_spec": {"library_item_id": unfinished.id}})
    machine = become(vcenter, MACHINES[0], f"{NAME}-0a1b2c3d", NAME)
    resources = flatten(target.list_resources("web", "x86_64"))
    assert {(resource.kind, resource.location, resource.id, resource.version) for resource in resources} == {
        ("image", f"{vcenter.server}/{LIBRARY}", item.id, "1.0.0"),
        ("upload", f"{vcenter.server}/{LIBRARY}", unfinished.id, "1.0.0"),
        ("instance", f"{vcenter.server}/DC0", machine, "1.0.0"),
    }
    for resource in resources:
        began = datetime.fromisoformat(resource.since)
        assert abs((datetime.now(UTC) - began).total_seconds()) < 300, resource
    assert target.remove_resources(resources) == {}
    assert flatten(target.list_resources("web", "x86_64")) == []
    assert (vcenter.items(), vcenter.sessions()) == ({}, [])
    assert target.remove_resources(resources) == {}


def test_what_is_not_of_this_image_is_not_listed(vcenter: StandIn, library: Library, target: VsphereTarget) -> None:
    """Channels' items have the notes of a version; consumers' machines may have any name."""
    library.create("web-stable-x86_64", notes.write("A web server", {**TAGS, channels.CHANNEL: "stable"}))
    library.create("web-1.0.1-x86_64", "somebody's own")
    library.create("web-1.0.2-x86_64-next", NOTES)
    become(vcenter, MACHINES[0], f"{NAME}-0a1b2c3d")
    become(vcenter, MACHINES[1], "web-1.0.1-x86_64-0a1b2c3d", NAME)  # a copy of a build's machine
    assert flatten(target.list_resources("web", "x86_64")) == []


def test_a_library_that_does_not_answer_is_named_and_the_rest_is_listed(
    vcenter: StandIn, target: VsphereTarget
) -> None:
    machine = become(vcenter, MACHINES[0], f"{NAME}-0a1b2c3d", NAME)
    vcenter.fault("/content/library", status=403, times=50)
    listing = target.list_resources("web", "x86_64")
    assert set(listing.failures) == {f"{vcenter.server}/{LIBRARY}"}
    assert [resource.id for resource in listing.resources[f"{vcenter.server}/DC0"]] == [machine]


def test_an_item_that_stays_is_named_and_the_rest_goes(
    vcenter: StandIn, library: Library, target: VsphereTarget
) -> None:
    item, other = library.create(NAME, NOTES), library.create("web-1.0.1-x86_64", NOTES)
    vcenter.fault(f"DELETE /rest/com/vmware/content/library/item/id:{item.id}", status=403)
    failures = target.remove_resources(flatten(target.list_resources("web", "x86_64")))
    assert {resource.id for resource in failures} == {item.id}
    assert library.by_id(other.id) is None
    assert library.by_id(item.id)
