"""The Azure stand-in keeps Azure's rules: each is broken here once."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
import requests
from werkzeug.test import Client, TestResponse

from doubles.azure import tokens, world
from doubles.azure.app import StrictAzure
from doubles.azure.proxy import proxy

API = {"api-version": "2026-03-03"}
EXPANDED = {**API, "$expand": "ReplicationStatus"}
IMAGE = world.compute_id("galleries/bakery/images/web-x86_64")
VERSION = f"{IMAGE}/versions/1.0.0"
APPLICATION = f"/v1.0/applications/{world.APPLICATION}"
DEFINITION = {
    "location": "westeurope",
    "properties": {
        "osType": "Linux",
        "osState": "Generalized",
        "hyperVGeneration": "V2",
        "identifier": {"publisher": "bakery", "offer": "web", "sku": "x86_64"},
    },
}
SOURCE = {
    "uri": "https://127.0.0.1:10000/bakerystore/bakery/web.vhd",
    "storageAccountId": world.storage_id("bakerystore"),
}


class Cloud:
    """A stand-in in this process."""

    def __init__(self) -> None:
        self._client = Client(StrictAzure())
        self.token = self.login().get_json()["access_token"]

    def login(self, **changed: str) -> TestResponse:
        form = {
            "grant_type": "client_credentials",
            "client_id": world.CLIENT_ID,
            "client_secret": world.CLIENT_SECRET,
            "scope": "https://management.azure.com/.default",
        }
        return self._client.post(f"/{world.TENANT}/oauth2/v2.0/token", data=form | changed)

    def ask(self, method: str, path: str, body: object = None, query: dict[str, str] | None = None) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.token}"}
        query = API if query is None else query
        return self._client.open(path, method=method, json=body, query_string=query, headers=headers)

    def control(self, method: str, name: str, body: object = None) -> TestResponse:
        return self._client.open(f"/_double/{name}", method=method, json=body)

    def define(self) -> None:
        assert self.ask("PUT", IMAGE, DEFINITION).status_code == 201
        self.ask("GET", IMAGE)

    def until_settled(self) -> dict[str, Any]:
        for _ in range(10):
            found: dict[str, Any] = self.ask("GET", VERSION, query=EXPANDED).get_json()["properties"]
            if found["provisioningState"] in ("Succeeded", "Failed"):
                return found
        raise AssertionError(found)


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def defined(cloud: Cloud) -> Cloud:
    cloud.define()
    return cloud


def _version(*regions: str, **changed: Any) -> dict[str, Any]:
    targets = [{"name": region} for region in regions or ("West Europe", "eastus")]
    properties = {
        "storageProfile": {"osDiskImage": {"source": SOURCE}},
        "publishingProfile": {"targetRegions": targets},
    }
    return {"location": "westeurope", "properties": properties} | changed


def _code(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, answer.get_json()["error"]["code"]


class TestLogin:
    @pytest.mark.parametrize(
        ("field", "status", "code"),
        [
            ("client_secret", 401, "AADSTS7000215"),
            ("client_id", 400, "AADSTS700016"),
            ("scope", 400, "AADSTS70011"),
            ("grant_type", 400, "AADSTS70003"),
        ],
    )
    def test_refused(self, cloud: Cloud, field: str, status: int, code: str) -> None:
        answer = cloud.login(**{field: "wrong"})
        assert answer.status_code == status
        assert answer.get_json()["error_description"].startswith(code)

    def test_a_token_for_storage_is_not_one_for_the_manager(self, cloud: Cloud) -> None:
        cloud.token = cloud.login(scope="https://storage.azure.com/.default").get_json()["access_token"]
        assert _code(cloud.ask("GET", IMAGE)) == (401, "InvalidAuthenticationToken")

    def test_expired(self, cloud: Cloud) -> None:
        claims = jwt.decode(cloud.token, options={"verify_signature": False})
        cloud.token = jwt.encode(claims | {"exp": 1}, tokens.KEY, algorithm="HS256")
        assert _code(cloud.ask("GET", IMAGE)) == (401, "ExpiredAuthenticationToken")

    def test_another_key(self, cloud: Cloud) -> None:
        claims = jwt.decode(cloud.token, options={"verify_signature": False})
        cloud.token = jwt.encode(claims, "another key that is long enough for it", algorithm="HS256")
        assert _code(cloud.ask("GET", IMAGE)) == (401, "InvalidAuthenticationToken")


class TestGraph:
    """As Vault's Azure engine uses it."""

    @pytest.fixture
    def graph(self, cloud: Cloud) -> Cloud:
        cloud.token = _graph_token(cloud, client_id=world.VAULT_ID, client_secret=world.VAULT_SECRET)
        return cloud

    def test_a_password_is_told_once_and_good_for_a_login_until_it_is_removed(self, graph: Cloud) -> None:
        made = graph.ask("POST", f"{APPLICATION}/addPassword", _password(hours=1)).get_json()
        (shown,) = graph.ask("GET", APPLICATION).get_json()["passwordCredentials"]
        assert shown == {name: value for name, value in made.items() if name != "secretText"}
        assert graph.login(client_secret=made["secretText"]).status_code == 200
        removed = graph.ask("POST", f"{APPLICATION}/removePassword", {"keyId": made["keyId"]})
        assert removed.status_code == 204
        assert graph.login(client_secret=made["secretText"]).status_code == 401
        again = graph.ask("POST", f"{APPLICATION}/removePassword", {"keyId": made["keyId"]})
        assert _code(again) == (400, "Request_BadRequest")

    def test_a_password_runs_out(self, graph: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
        made = graph.ask("POST", f"{APPLICATION}/addPassword", _password(hours=1)).get_json()
        later = datetime.now(UTC) + timedelta(hours=1)
        monkeypatch.setattr(tokens, "datetime", SimpleNamespace(now=lambda _: later))
        assert graph.login(client_secret=made["secretText"]).status_code == 401

    def test_a_password_that_is_over_already(self, graph: Cloud) -> None:
        answer = graph.ask("POST", f"{APPLICATION}/addPassword", _password(hours=-1))
        assert _code(answer) == (400, "Request_BadRequest")

    def test_another_application(self, graph: Cloud) -> None:
        answer = graph.ask("GET", APPLICATION.replace("4", "6"))
        assert _code(answer) == (404, "Request_ResourceNotFound")

    def test_a_token_for_the_manager(self, cloud: Cloud) -> None:
        assert _code(cloud.ask("GET", APPLICATION)) == (401, "InvalidAuthenticationToken")

    def test_an_application_gives_itself_no_password(self, cloud: Cloud) -> None:
        cloud.token = _graph_token(cloud)
        answer = cloud.ask("POST", f"{APPLICATION}/addPassword", _password(hours=1))
        assert _code(answer) == (403, "Authorization_RequestDenied")


def _graph_token(cloud: Cloud, **login: str) -> str:
    answer = cloud.login(scope="https://graph.microsoft.com/.default openid profile", **login)
    return str(answer.get_json()["access_token"])


def _password(hours: int) -> dict[str, Any]:
    ends = datetime.now(UTC) + timedelta(hours=hours)
    return {"passwordCredential": {"displayName": "test", "endDateTime": ends.isoformat()}}


def test_the_proxy_leads_nowhere_else() -> None:
    with proxy(1) as (address, refused), pytest.raises(requests.exceptions.ProxyError, match="403"):
        requests.get("https://example.com", proxies={"https": address}, timeout=5)
    assert refused == ["example.com:443"]


class TestRequests:
    def test_need_a_version_of_the_api(self, cloud: Cloud) -> None:
        assert _code(cloud.ask("GET", IMAGE, query={})) == (400, "MissingApiVersionParameter")
        assert _code(cloud.ask("GET", IMAGE, query={"api-version": "1"})) == (400, "InvalidApiVersionParameter")

    def test_of_another_subscription(self, cloud: Cloud) -> None:
        path = IMAGE.replace(world.SUBSCRIPTION, world.TENANT)
        assert _code(cloud.ask("GET", path)) == (404, "SubscriptionNotFound")

    def test_that_it_cannot_do(self, cloud: Cloud) -> None:
        assert _code(cloud.ask("DELETE", IMAGE)) == (501, "NotImplemented")


class TestImages:
    def test_need_a_gallery(self, cloud: Cloud) -> None:
        path = IMAGE.replace("/bakery/", "/other/")
        assert _code(cloud.ask("PUT", path, DEFINITION)) == (404, "ResourceNotFound")

    @pytest.mark.parametrize("name", ["a" * 81, "has space", "-dash-first", "dash-last-"])
    def test_names(self, cloud: Cloud, name: str) -> None:
        answer = cloud.ask("PUT", world.compute_id(f"galleries/bakery/images/{name}"), DEFINITION)
        assert _code(answer) == (400, "InvalidParameter")

    @pytest.mark.parametrize("field", ["osType", "osState", "identifier"])
    def test_required(self, cloud: Cloud, field: str) -> None:
        properties = {name: value for name, value in DEFINITION["properties"].items() if name != field}  # type: ignore[attr-defined]
        assert _code(cloud.ask("PUT", IMAGE, DEFINITION | {"properties": properties})) == (400, "InvalidParameter")

    def test_never_change_in_kind(self, defined: Cloud) -> None:
        assert defined.ask("PUT", IMAGE, DEFINITION).status_code == 200
        other = DEFINITION["properties"] | {"hyperVGeneration": "V1"}  # type: ignore[operator]
        assert _code(defined.ask("PUT", IMAGE, DEFINITION | {"properties": other})) == (409, "PropertyChangeNotAllowed")

    def test_have_an_identifier_of_their_own(self, defined: Cloud) -> None:
        other = world.compute_id("galleries/bakery/images/other")
        assert _code(defined.ask("PUT", other, DEFINITION)) == (409, "Conflict")


class TestVersions:
    def test_get_ready_by_looking(self, defined: Cloud) -> None:
        started = defined.ask("PUT", VERSION, _version())
        assert (started.status_code, started.get_json()["properties"]["provisioningState"]) == (201, "Creating")
        assert "replicationStatus" not in defined.ask("GET", VERSION).get_json()["properties"]
        found = defined.until_settled()
        assert found["provisioningState"] == "Succeeded"
        assert found["publishingProfile"]["targetRegions"] == [{"name": "West Europe"}, {"name": "East US"}]
        assert [replica["state"] for replica in found["replicationStatus"]["summary"]] == ["Completed"] * 2
        operation = started.headers["Azure-AsyncOperation"].removeprefix("http://localhost").partition("?")[0]
        assert defined.ask("GET", operation).get_json()["status"] == "Succeeded"

    def test_the_first_replica_comes_first(self, defined: Cloud) -> None:
        defined.ask("PUT", VERSION, _version())
        seen = []
        for _ in range(3):
            properties = defined.ask("GET", VERSION, query=EXPANDED).get_json()["properties"]
            seen.append([replica["state"] for replica in properties["replicationStatus"]["summary"]])
        assert seen == [["Replicating"] * 2, ["Completed", "Replicating"], ["Completed"] * 2]

    def test_a_failing_region(self, defined: Cloud) -> None:
        defined.control("POST", "settings", {"failing": ["eastus"]})
        started = defined.ask("PUT", VERSION, _version())
        found = defined.until_settled()
        assert found["provisioningState"] == "Failed"
        assert [replica["state"] for replica in found["replicationStatus"]["summary"]] == ["Completed", "Failed"]
        operation = started.headers["Azure-AsyncOperation"].removeprefix("http://localhost").partition("?")[0]
        assert defined.ask("GET", operation).get_json()["error"]["code"] == "ReplicationJobFailed"
        defined.control("POST", "settings", {"failing": []})
        assert defined.ask("PATCH", VERSION, _version()).status_code == 200
        assert defined.until_settled()["provisioningState"] == "Succeeded"

    def test_without_the_first_region_nothing_comes(self, defined: Cloud) -> None:
        defined.control("POST", "settings", {"failing": ["westeurope"]})
        defined.ask("PUT", VERSION, _version())
        summary = defined.until_settled()["replicationStatus"]["summary"]
        assert [replica["state"] for replica in summary] == ["Failed", "Failed"]

    @pytest.mark.parametrize("name", ["1.0", "1.0.0-rc1", "01.0.0", "1.0.2147483648"])
    def test_numbers(self, defined: Cloud, name: str) -> None:
        assert _code(defined.ask("PUT", f"{IMAGE}/versions/{name}", _version())) == (400, "InvalidParameter")

    def test_need_a_definition(self, cloud: Cloud) -> None:
        assert _code(cloud.ask("PUT", VERSION, _version())) == (404, "ResourceNotFound")

    @pytest.mark.parametrize("regions", [("eastus",), ("westeurope", "mars"), ("westeurope", "West Europe")])
    def test_regions(self, defined: Cloud, regions: tuple[str, ...]) -> None:
        assert _code(defined.ask("PUT", VERSION, _version(*regions))) == (400, "InvalidParameter")

    @pytest.mark.parametrize(
        ("source", "status"),
        [
            ({}, 400),
            ({"uri": SOURCE["uri"]}, 400),
            (SOURCE | {"uri": "http://127.0.0.1/bakerystore/bakery/web.vhd"}, 400),
            (SOURCE | {"uri": "https://other.blob.core.windows.net/bakery/web.vhd"}, 400),
            (SOURCE | {"storageAccountId": world.storage_id("other")}, 404),
        ],
    )
    def test_sources(self, defined: Cloud, source: dict[str, str], status: int) -> None:
        body = _version()
        body["properties"]["storageProfile"] = {"osDiskImage": {"source": source}}
        assert defined.ask("PUT", VERSION, body).status_code == status

    def test_one_request_at_a_time(self, defined: Cloud) -> None:
        defined.ask("PUT", VERSION, _version())
        assert _code(defined.ask("PUT", VERSION, _version())) == (409, "Conflict")
        assert _code(defined.ask("PATCH", VERSION, _version())) == (409, "Conflict")

    def test_never_change_in_content(self, defined: Cloud) -> None:
        defined.ask("PUT", VERSION, _version())
        defined.until_settled()
        other = _version()
        other["properties"]["storageProfile"] = {"osDiskImage": {"source": SOURCE | {"uri": "https://x/other.vhd"}}}
        assert _code(defined.ask("PUT", VERSION, other)) == (409, "PropertyChangeNotAllowed")

    def test_a_put_replaces_tags(self, defined: Cloud) -> None:
        defined.ask("PUT", VERSION, _version(tags={"one": "1", "two": "2"}))
        defined.until_settled()
        defined.ask("PUT", VERSION, _version(tags={"two": "3"}))
        assert defined.ask("GET", VERSION).get_json()["tags"] == {"two": "3"}

    def test_take_time_to_go(self, defined: Cloud) -> None:
        defined.ask("PUT", VERSION, _version())
        defined.until_settled()
        assert defined.ask("DELETE", VERSION).status_code == 202
        assert defined.ask("GET", VERSION).get_json()["properties"]["provisioningState"] == "Deleting"
        assert _code(defined.ask("GET", VERSION)) == (404, "ResourceNotFound")
        assert _code(defined.ask("DELETE", VERSION)) == (404, "ResourceNotFound")


class TestTags:
    PATH = f"{IMAGE}/providers/Microsoft.Resources/tags/default"

    def _patch(self, cloud: Cloud, operation: str, **tags: str) -> TestResponse:
        return cloud.ask("PATCH", self.PATH, {"operation": operation, "properties": {"tags": tags}})

    def test_merge_replace_and_delete(self, defined: Cloud) -> None:
        self._patch(defined, "Merge", one="1", two="2")
        assert self._patch(defined, "Merge", two="3").get_json()["properties"]["tags"] == {"one": "1", "two": "3"}
        self._patch(defined, "Delete", one="another value")
        self._patch(defined, "Delete", two="3", three="absent")
        assert defined.ask("GET", self.PATH).get_json()["properties"]["tags"] == {"one": "1"}
        self._patch(defined, "Replace", three="3")
        assert defined.ask("GET", IMAGE).get_json()["tags"] == {"three": "3"}

    @pytest.mark.parametrize(
        "tags",
        [{"n" * 513: ""}, {"name": "v" * 257}, {"a/b": ""}, {"microsoft:x": ""}, {str(n): "" for n in range(51)}],
    )
    def test_limits(self, defined: Cloud, tags: dict[str, str]) -> None:
        assert self._patch(defined, "Merge", **tags).status_code == 400
        assert defined.ask("GET", self.PATH).get_json()["properties"]["tags"] == {}

    def test_of_nothing(self, cloud: Cloud) -> None:
        assert _code(self._patch(cloud, "Merge", one="1")) == (404, "ResourceNotFound")


class TestControl:
    def test_faults_strike_as_often_as_asked(self, defined: Cloud) -> None:
        rule = {"operation": "GalleryImages_Get", "error": "TooManyRequests", "status": 429, "times": 2}
        defined.control("POST", "faults", [rule])
        codes = [defined.ask("GET", IMAGE).status_code for _ in range(3)]
        assert codes == [429, 429, 200]
        defined.control("POST", "faults", [rule])
        defined.control("DELETE", "faults")
        assert defined.ask("GET", IMAGE).status_code == 200

    def test_calls_and_reset(self, defined: Cloud) -> None:
        assert defined.control("GET", "calls").get_json() == [
            "Login",
            "GalleryImages_CreateOrUpdate",
            "GalleryImages_Get",
        ]
        defined.control("POST", "reset")
        assert defined.control("GET", "calls").get_json() == []
        assert defined.ask("GET", IMAGE).status_code == 404

    @pytest.mark.parametrize(
        ("name", "body"),
        [("faults", [{"operation": "x", "kind": "flood"}]), ("settings", {"nonsense": 1}), ("nothing", {})],
    )
    def test_mistakes_are_told(self, cloud: Cloud, name: str, body: object) -> None:
        assert cloud.control("POST", name, body).status_code in (400, 404)
