"""The vCenter stand-in refuses what vCenter refuses, and shows nothing before it is whole."""

import hashlib
from collections.abc import Iterator

import pytest
import requests

from doubles.vcenter.client import ITEMS, StandIn, running

pytestmark = pytest.mark.integration

OVF = b'<Envelope><References><File href="a.iso" size="3"/></References></Envelope>'
FILES = {"a.ovf": OVF, "a.iso": b"abc"}


@pytest.fixture
def vcenter() -> Iterator[StandIn]:
    with running() as double:
        yield double


def create(vcenter: StandIn, name: str = "a", **more: str) -> str:
    spec = {"library_id": vcenter.library(), "name": name, "description": "", "type": "ovf"}
    return str(vcenter.call("POST", ITEMS, {"create_spec": spec, **more}))


def copy(vcenter: StandIn, item: str, name: str) -> str:
    spec = {"library_id": vcenter.library(), "name": name, "description": "a copy"}
    return str(vcenter.call("POST", f"{ITEMS}/id:{item}?~action=copy", {"destination_create_spec": spec}))


def rename(vcenter: StandIn, item: str, name: str) -> None:
    vcenter.call("PATCH", f"{ITEMS}/id:{item}", {"update_spec": {"name": name}})


def start(vcenter: StandIn, item: str) -> str:
    return str(vcenter.call("POST", f"{ITEMS}/update-session", {"create_spec": {"library_item_id": item}}))


def send(vcenter: StandIn, session: str, name: str, content: bytes, arrives: bytes | None = None) -> None:
    told = {"algorithm": "SHA256", "checksum": hashlib.sha256(content).hexdigest()}
    spec = {"name": name, "source_type": "PUSH", "size": len(content), "checksum_info": told}
    added = vcenter.call("POST", f"{ITEMS}/updatesession/file/id:{session}?~action=add", {"file_spec": spec})
    vcenter.put(added["upload_endpoint"]["uri"], content if arrives is None else arrives)


def complete(vcenter: StandIn, session: str) -> str:
    """The state in the end."""
    vcenter.call("POST", f"{ITEMS}/update-session/id:{session}?~action=complete")
    seen = [vcenter.call("GET", f"{ITEMS}/update-session/id:{session}")["state"] for _ in range(3)]
    return str(seen[-1])


def fill(vcenter: StandIn, item: str) -> None:
    session = start(vcenter, item)
    for name, content in FILES.items():
        send(vcenter, session, name, content)
    assert complete(vcenter, session) == "DONE"


def refused(error: pytest.ExceptionInfo[requests.HTTPError]) -> str:
    assert error.value.response is not None
    return str(error.value.response.json()["type"]).rpartition(".")[2]


def test_a_name_is_there_once(vcenter: StandIn) -> None:
    item, other = create(vcenter, "a"), create(vcenter, "b")
    for act in (
        lambda: create(vcenter, "A"),
        lambda: copy(vcenter, item, "b"),
        lambda: rename(vcenter, other, "a"),
    ):
        with pytest.raises(requests.HTTPError) as caught:
            act()
        assert refused(caught) == "already_exists"
    rename(vcenter, item, "a")
    assert sorted(vcenter.items()) == ["a", "b"]


def test_a_client_token_makes_one(vcenter: StandIn) -> None:
    assert create(vcenter, client_token="one") == create(vcenter, client_token="one")


def test_an_item_has_one_session_at_a_time(vcenter: StandIn) -> None:
    item = create(vcenter)
    session = start(vcenter, item)
    with pytest.raises(requests.HTTPError) as caught:
        start(vcenter, item)
    assert refused(caught) == "resource_busy"
    vcenter.call("POST", f"{ITEMS}/update-session/id:{session}?~action=cancel")
    start(vcenter, item)


def test_content_is_invisible_until_it_is_complete(vcenter: StandIn) -> None:
    item = create(vcenter)
    session = start(vcenter, item)
    for name, content in FILES.items():
        send(vcenter, session, name, content)
        assert vcenter.files(item) == []
    assert complete(vcenter, session) == "DONE"
    assert vcenter.files(item) == sorted(FILES)
    assert {name: vcenter.download(item, name) for name in FILES} == FILES


@pytest.mark.parametrize("missing", FILES)
def test_content_that_is_not_complete(vcenter: StandIn, missing: str) -> None:
    item = create(vcenter)
    session = start(vcenter, item)
    for name in FILES.keys() - {missing}:
        send(vcenter, session, name, FILES[name])
    assert complete(vcenter, session) == "ERROR"
    assert vcenter.files(item) == []


@pytest.mark.parametrize("arrives", [b"abd", b"abcd", b""])
def test_a_file_that_is_not_what_was_announced(vcenter: StandIn, arrives: bytes) -> None:
    session = start(vcenter, create(vcenter))
    send(vcenter, session, "a.iso", b"abc", arrives)
    assert vcenter.call("GET", f"{ITEMS}/update-session/id:{session}")["state"] == "ERROR"
    with pytest.raises(requests.HTTPError) as caught:
        complete(vcenter, session)
    assert refused(caught) == "not_allowed_in_current_state"


def test_a_copy_comes_later_and_as_a_whole(vcenter: StandIn) -> None:
    item = create(vcenter)
    fill(vcenter, item)
    copied = copy(vcenter, item, "b")
    assert vcenter.files(copied) == []
    assert [vcenter.files(copied) for _ in range(2)][-1] == sorted(FILES)
    assert vcenter.items()["b"]["description"] == "a copy"
    assert vcenter.download(copied, "a.iso") == b"abc"


def test_nothing_without_a_login(vcenter: StandIn) -> None:
    for auth in (None, ("bakery@vsphere.local", "wrong")):
        answer = requests.post(
            f"{vcenter.url}/rest/com/vmware/cis/session", auth=auth, verify=str(vcenter.authority), timeout=10
        )
        assert answer.status_code == 401
    answer = requests.get(f"{vcenter.url}/rest/com/vmware/content/library", verify=str(vcenter.authority), timeout=10)
    assert answer.status_code == 401
