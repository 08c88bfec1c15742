"""The Vault client against a scripted HTTP server: what a real one cannot be made to answer on demand."""

import json
import ssl
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from bakery.host.errors import BakeryError, ExitCode, NotFoundError, OutageError, UsageError, render_error
from bakery.host.vault import Secret, Vault, connection
from bakery.host.vault.secrets import read_secrets
from bakery.model.definition import SecretRef
from doubles.serving import at_work

TOKEN = "token-0815"
VALUE = "canary-4711"
Answer = tuple[int, dict[str, Any]]


MOUNTS = {
    "secret/": {"type": "kv", "options": {"version": "2"}},
    "old/": {"type": "kv", "options": {"version": "1"}},
    "older/": {"type": "kv", "options": None},
    "aws/": {"type": "aws", "options": None},
}


class Script(ThreadingHTTPServer):
    """Answers from a table; a list of answers is used up one by one, its last one stays."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, list[Answer]] = {
            "GET /v1/sys/seal-status": [(200, {"sealed": False})],
            "GET /v1/auth/token/lookup-self": [(200, {"data": {}})],
            "GET /v1/secret/data/web": [(200, {"data": {"data": {"password": VALUE}, "metadata": {"version": 1}}})],
            "GET /v1/sys/internal/ui/mounts": [(200, {"data": {"secret": MOUNTS}})],
            "POST /v1/auth/approle/login": [(200, {"auth": {"client_token": "s.own"}})],
            "POST /v1/auth/jwt/login": [(200, {"auth": {"client_token": "s.own"}})],
            "POST /v1/auth/token/revoke-self": [(204, {})],
        }
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[str] = []

    @property
    def env(self) -> dict[str, str]:
        return {"VAULT_ADDR": f"http://127.0.0.1:{self.server_port}", "VAULT_TOKEN": TOKEN}


class Handler(BaseHTTPRequestHandler):
    server: Script

    def _answer(self) -> None:
        request = f"{self.command} {self.path}"
        self.server.asked.append(request)
        self.server.headers.append(dict(self.headers))
        self.server.bodies.append(self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode())
        answers = self.server.answers.get(request) or [(404, {"errors": []})]
        status, body = answers.pop(0) if len(answers) > 1 else answers[0]
        data = json.dumps(body).encode() if status != 204 else b""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = _answer

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    monkeypatch.setattr(connection, "BACKOFF", 0)
    with at_work(Script()) as script:
        yield script


def refused(env: dict[str, str]) -> BakeryError:
    with pytest.raises(BakeryError) as caught:
        Vault.login(env)
    return caught.value


def test_a_value_is_read(server: Script) -> None:
    with Vault.login(server.env) as opened:
        assert opened.read("secret/data/web", "password") == VALUE
        assert (opened.address, opened.token) == (server.env["VAULT_ADDR"], TOKEN)


def test_version_1_of_the_engine_has_no_second_data(server: Script) -> None:
    server.answers["GET /v1/kv/web"] = [(200, {"data": {"password": VALUE}})]
    with Vault.login(server.env) as opened:
        assert opened.read("kv/web", "password") == VALUE


@pytest.mark.parametrize("status", [412, 429, 500, 502, 503, 504])
def test_a_passing_fault_is_waited_out(server: Script, status: int) -> None:
    server.answers["GET /v1/secret/data/web"][:0] = [(status, {"errors": ["not now"]})] * 3
    with Vault.login(server.env) as opened:
        assert opened.read("secret/data/web", "password") == VALUE
    assert server.asked.count("GET /v1/secret/data/web") == 4


def test_a_login_is_tried_again_too(server: Script) -> None:
    server.answers["POST /v1/auth/approle/login"][:0] = [(503, {"errors": ["standby"]})]
    with Vault.login({"VAULT_ADDR": server.env["VAULT_ADDR"], "VAULT_ROLE_ID": "r", "VAULT_SECRET_ID": "s"}) as opened:
        assert opened.token == "s.own"


def test_a_lasting_fault_is_told_with_vaults_words(server: Script) -> None:
    server.answers["GET /v1/secret/data/web"] = [(500, {"errors": ["storage is gone"]})]
    with Vault.login(server.env) as opened, pytest.raises(OutageError, match="storage is gone") as caught:
        opened.read("secret/data/web", "password")
    assert caught.value.exit_code == ExitCode.TRY_AGAIN
    assert server.asked.count("GET /v1/secret/data/web") == 1 + connection.RETRIES


def test_a_sealed_vault_is_not_asked_twice(server: Script) -> None:
    server.answers["GET /v1/sys/seal-status"] = [(200, {"sealed": True})]
    error = refused(server.env)
    assert "is sealed" in error.message
    assert "unseal" in error.hint
    assert server.asked == ["GET /v1/sys/seal-status"]


def test_a_proxy_that_hides_the_seal_status_is_no_obstacle(server: Script) -> None:
    server.answers["GET /v1/sys/seal-status"] = [(403, {"errors": ["no"]})]
    with Vault.login(server.env) as opened:
        assert opened.read("secret/data/web", "password") == VALUE


def test_the_seal_status_is_asked_with_the_certificates_of_vault(
    server: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user's REQUESTS_CA_BUNDLE does not have the authority that VAULT_CACERT names."""
    seen: list[object] = []
    ask = requests.Session.get

    def get(self: requests.Session, url: str, **options: Any) -> requests.Response:
        seen.append(options.get("verify"))
        return ask(self, url, **options)

    monkeypatch.setattr(requests.Session, "get", get)
    authority = ssl.get_default_verify_paths().openssl_cafile
    Vault.login({**server.env, "VAULT_CACERT": authority}).close()
    assert seen == [authority]


def test_vault_that_is_not_there() -> None:
    error = refused({"VAULT_ADDR": "http://127.0.0.1:1", "VAULT_TOKEN": TOKEN})
    assert error.message == "Vault cannot be reached: Connection refused"
    assert error.where == "http://127.0.0.1:1"
    assert "VAULT_ADDR" in error.hint
    assert error.exit_code == ExitCode.TRY_AGAIN


@pytest.mark.parametrize(
    ("address", "hint"),
    [
        ("vault.example.com:8200", "write https://vault.example.com:8200"),
        ("tcp://vault.example.com:8200", "write https://vault.example.com:8200"),
        ("https://", "write https://HOST:8200"),
        ("https://:8200", "write https://HOST:8200"),
        ("https:// vault.example.com", "write https://vault.example.com"),
        ("https://vault.example.com:8200/a b", "write https://HOST:8200"),
    ],
)
def test_an_address_that_is_no_url(address: str, hint: str) -> None:
    error = refused({"VAULT_ADDR": address, "VAULT_TOKEN": TOKEN})
    assert (error.message, error.hint) == (f"VAULT_ADDR '{address}' is not a URL", hint)
    assert error.exit_code == ExitCode.USAGE


def test_no_address() -> None:
    assert "VAULT_ADDR is not set" in refused({"VAULT_TOKEN": TOKEN}).message


@pytest.mark.parametrize(
    "env", [{}, {"VAULT_TOKEN": ""}, {"VAULT_ROLE_ID": "r"}, {"VAULT_JWT": "j"}, {"VAULT_ROLE": "r"}]
)
def test_no_way_to_log_in_names_all_ways(server: Script, env: dict[str, str]) -> None:
    error = refused({"VAULT_ADDR": server.env["VAULT_ADDR"], **env})
    assert "no login for Vault" in error.message
    assert all(name in error.hint for name in ("VAULT_TOKEN", "VAULT_SECRET_ID", "VAULT_JWT"))


def test_the_token_file_is_never_used(server: Script) -> None:
    (Path.home() / ".vault-token").write_text("from-the-file")
    address = server.env["VAULT_ADDR"]
    refused({"VAULT_ADDR": address})
    Vault.login({"VAULT_ADDR": address, "VAULT_ROLE_ID": "r", "VAULT_SECRET_ID": "s"}).close()
    assert "POST /v1/auth/approle/login" in server.asked
    assert not any(headers.get("X-Vault-Token") == "from-the-file" for headers in server.headers)


def test_an_expired_token(server: Script) -> None:
    server.answers["GET /v1/auth/token/lookup-self"] = [(403, {"errors": ["permission denied", "invalid token"]})]
    error = refused(server.env)
    assert error.message == "VAULT_TOKEN is expired, revoked or wrong"
    assert TOKEN not in repr(vars(error))


def test_a_token_that_may_not_look_at_itself_is_good(server: Script) -> None:
    server.answers["GET /v1/auth/token/lookup-self"] = [(403, {"errors": ["permission denied"]})]
    with Vault.login(server.env) as opened:
        assert opened.read("secret/data/web", "password") == VALUE


@pytest.mark.parametrize(
    ("env", "method"),
    [
        ({"VAULT_ROLE_ID": "role", "VAULT_SECRET_ID": "s3cr3t-id"}, "approle"),
        ({"VAULT_JWT": "s3cr3t-id", "VAULT_ROLE": "role"}, "jwt"),
        ({"VAULT_ID_TOKEN": "s3cr3t-id", "VAULT_ROLE": "role"}, "jwt"),
    ],
)
def test_a_refused_login_says_why_and_nothing_more(server: Script, env: dict[str, str], method: str) -> None:
    server.answers[f"POST /v1/auth/{method}/login"] = [(400, {"errors": ["it ran out"]})]
    error = refused({"VAULT_ADDR": server.env["VAULT_ADDR"], **env})
    assert error.message.lower() == f"vault refused the {method} login"
    assert error.detail == "it ran out"
    assert "s3cr3t-id" not in repr(vars(error))
    assert "s3cr3t-id" in "".join(server.bodies)


def test_the_jwt_method_can_be_mounted_elsewhere(server: Script) -> None:
    server.answers["POST /v1/auth/gitlab/login"] = server.answers["POST /v1/auth/jwt/login"]
    env = {"VAULT_ADDR": server.env["VAULT_ADDR"], "VAULT_JWT": "j", "VAULT_ROLE": "r", "VAULT_JWT_MOUNT": "gitlab"}
    with Vault.login(env) as opened:
        assert opened.token == "s.own"


def test_only_a_token_of_our_own_is_revoked(server: Script) -> None:
    revoke = "POST /v1/auth/token/revoke-self"
    with Vault.login(server.env):
        pass
    assert revoke not in server.asked
    with Vault.login({"VAULT_ADDR": server.env["VAULT_ADDR"], "VAULT_JWT": "j", "VAULT_ROLE": "r"}) as opened:
        pass
    opened.close()
    assert server.asked.count(revoke) == 1


def test_the_token_is_revoked_when_the_work_fails(server: Script) -> None:
    server.answers["POST /v1/auth/token/revoke-self"] = [(403, {"errors": ["gone already"]})]
    env = {"VAULT_ADDR": server.env["VAULT_ADDR"], "VAULT_JWT": "j", "VAULT_ROLE": "r"}
    with pytest.raises(ZeroDivisionError), Vault.login(env):
        raise ZeroDivisionError
    assert server.asked[-1] == "POST /v1/auth/token/revoke-self"


LEASE: Answer = (
    200,
    {
        "lease_id": "aws/sts/bake/one",
        "data": {"access_key": "AKIA", "secret_key": VALUE, "security_token": None, "ttl": 3600},
    },
)


def test_fields_are_text_and_never_null(server: Script) -> None:
    server.answers["GET /v1/aws/sts/bake"] = [LEASE]
    with Vault.login(server.env) as opened:
        assert opened.fields("aws/sts/bake") == {"access_key": "AKIA", "secret_key": VALUE, "ttl": "3600"}
        assert opened.fields("secret/data/web") == {"password": VALUE}


def test_of_the_users_token_the_leases_made_here_are_revoked(server: Script) -> None:
    server.answers["GET /v1/aws/sts/bake"] = [LEASE]
    server.answers["GET /v1/azure/creds/bake"] = [(200, LEASE[1] | {"lease_id": "azure/creds/bake/two"})]
    server.answers["PUT /v1/sys/leases/revoke"] = [(204, {})]
    opened = Vault.login(server.env)
    opened.fields("aws/sts/bake")
    opened.fields("secret/data/web")
    with pytest.raises(BakeryError, match="not text, but int"):
        opened.read("azure/creds/bake", "ttl")  # of no use, but made
    opened.close()
    opened.close()
    asked = [body for request, body in zip(server.asked, server.bodies, strict=True) if "revoke" in request]
    assert [json.loads(body)["lease_id"] for body in asked] == ["aws/sts/bake/one", "azure/creds/bake/two"]


def test_leases_of_our_own_token_go_with_it(server: Script) -> None:
    server.answers["GET /v1/aws/sts/bake"] = [LEASE]
    env = {"VAULT_ADDR": server.env["VAULT_ADDR"], "VAULT_JWT": "j", "VAULT_ROLE": "r"}
    with Vault.login(env) as opened:
        opened.fields("aws/sts/bake")
    assert [request for request in server.asked if "revoke" in request] == ["POST /v1/auth/token/revoke-self"]


def test_a_lease_that_cannot_be_revoked_hides_nothing(server: Script) -> None:
    server.answers["GET /v1/aws/sts/bake"] = [LEASE]
    server.answers["PUT /v1/sys/leases/revoke"] = [(403, {"errors": ["permission denied"]})]
    with pytest.raises(ZeroDivisionError), Vault.login(server.env) as opened:
        opened.fields("aws/sts/bake")
        raise ZeroDivisionError
    assert server.asked[-1] == "PUT /v1/sys/leases/revoke"


def test_a_refusal_is_no_outage(server: Script) -> None:
    server.answers["GET /v1/aws/sts/none"] = [(400, {"errors": ['Role "none" not found']})]
    with Vault.login(server.env) as opened, pytest.raises(BakeryError) as caught:
        opened.fields("aws/sts/none")
    assert caught.value.message == 'Vault refuses aws/sts/none: Role "none" not found'
    assert not isinstance(caught.value, OutageError)
    assert server.asked.count("GET /v1/aws/sts/none") == 1


def test_engines_by_their_place(server: Script) -> None:
    server.answers["GET /v1/sys/internal/ui/mounts"] = [(200, {"data": {"secret": MOUNTS, "auth": {"token/": {}}}})]
    with Vault.login(server.env) as opened:
        assert opened.engines() == {"secret/": "kv-v2", "old/": "kv", "older/": "kv", "aws/": "aws"}


@pytest.mark.parametrize(
    ("capabilities", "may"),
    [(["read"], True), (["list", "read"], True), (["root"], True), (["deny"], False), (["update"], False)],
)
def test_a_right_is_asked_for_without_using_it(server: Script, capabilities: list[str], may: bool) -> None:
    answer = {"data": {"aws/sts/bake": capabilities, "capabilities": capabilities}}
    server.answers["POST /v1/sys/capabilities-self"] = [(200, answer)]
    with Vault.login(server.env) as opened:
        assert opened.may_read("aws/sts/bake") is may
    assert "GET /v1/aws/sts/bake" not in server.asked


def test_a_namespace_goes_along(server: Script) -> None:
    env = server.env | {"VAULT_NAMESPACE": "team"}
    with Vault.login(env) as opened:
        opened.read("secret/data/web", "password")
        assert opened.environment() == {**server.env, "VAULT_NAMESPACE": "team"}
    by_request = dict(zip(server.asked, server.headers, strict=True))
    assert by_request["GET /v1/secret/data/web"]["X-Vault-Namespace"] == "team"
    assert "X-Vault-Namespace" not in by_request["GET /v1/sys/seal-status"]


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        ((404, {"errors": []}), NotFoundError, "there is no secret at secret/data/web"),
        (
            (404, {"data": {"data": None, "metadata": {"deletion_time": "2026-11-23T15:00:00Z", "destroyed": False}}}),
            NotFoundError,
            "the newest version of the secret secret/data/web was deleted",
        ),
        (
            (404, {"warnings": ["Invalid path for a versioned K/V secrets engine. See the API docs"]}),
            BakeryError,
            "secret/data/web is not an API path: this secrets engine keeps versions",
        ),
        ((403, {"errors": ["permission denied"]}), BakeryError, "Vault denies access to secret/data/web"),
        (
            (200, {"data": {"data": {"password": 5}}}),
            BakeryError,
            "the value of 'password' in secret/data/web is not text, but int",
        ),
        (
            (200, {"data": {"data": {"passwort": VALUE}}}),
            NotFoundError,
            "the secret secret/data/web has no key 'password'",
        ),
    ],
)
def test_what_cannot_be_read(server: Script, answer: Answer, kind: type[BakeryError], message: str) -> None:
    server.answers["GET /v1/secret/data/web"] = [answer]
    with Vault.login(server.env) as opened, pytest.raises(kind) as caught:
        opened.read("secret/data/web", "password")
    assert caught.value.message == message
    assert caught.value.hint
    assert VALUE not in repr(vars(caught.value))


def test_all_problems_come_in_one_error_with_their_places(server: Script) -> None:
    secrets = {
        "good": SecretRef(path="secret/data/web", key="password"),
        "typo": SecretRef(path="secret/data/wbe", key="password"),
        "key": SecretRef(path="secret/data/web", key="passwrd"),
    }
    with Vault.login(server.env) as opened, pytest.raises(NotFoundError) as caught:
        read_secrets(opened, secrets, lambda name: f"web.yaml:{name}")
    assert caught.value.where == "web.yaml:typo"
    expected = "web.yaml:key: the secret secret/data/web has no key 'passwrd' (did you mean 'password'?)"
    assert [render_error(other) for other in caught.value.others] == [expected]


def test_values_come_by_name(server: Script) -> None:
    with Vault.login(server.env) as opened:
        values = read_secrets(opened, {"db": SecretRef(path="secret/data/web", key="password")}, lambda name: name)
    assert values == {"db": Secret(VALUE, 1)}


def test_one_version_is_read(server: Script) -> None:
    old = {"data": {"data": {"password": "yesterday"}, "metadata": {"version": 4}}}
    server.answers["GET /v1/secret/data/web?version=4"] = [(200, old)]
    secrets = {"db": SecretRef(path="secret/data/web", key="password")}
    with Vault.login(server.env) as opened:
        assert read_secrets(opened, secrets, str, {"db": 4}) == {"db": Secret("yesterday", 4)}


@pytest.mark.parametrize(
    ("metadata", "message", "hint"),
    [
        ({"deletion_time": "2026-11-23T15:00:00Z", "destroyed": False}, "was deleted", "vault kv undelete -versions=4"),
        ({"deletion_time": "", "destroyed": True}, "was destroyed", "bake the image again"),
        ({}, "was removed", "bake the image again"),
    ],
)
def test_a_version_that_is_gone(server: Script, metadata: dict[str, Any], message: str, hint: str) -> None:
    gone: dict[str, Any] = {"data": {"data": None, "metadata": metadata}} if metadata else {"errors": []}
    server.answers["GET /v1/secret/data/web?version=4"] = [(404, gone)]
    with Vault.login(server.env) as opened, pytest.raises(NotFoundError, match=message) as caught:
        opened.read_version("secret/data/web", "password", 4)
    assert caught.value.message.startswith("version 4 of the secret secret/data/web, which the bake used")
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("aws/creds/admin", "aws/creds/admin is in an engine of the kind aws"),
        ("auth/token/lookup-self", "the token may read no secrets engine at auth/token/lookup-self"),
        ("nothing/here", "the token may read no secrets engine at nothing/here"),
    ],
)
def test_only_engines_that_store_values_are_read(server: Script, path: str, message: str) -> None:
    server.answers[f"GET /v1/{path}"] = [(200, {"data": {"id": TOKEN}})]
    secrets = {"id": SecretRef.model_construct(path=path, key="id")}
    with Vault.login(server.env) as opened, pytest.raises(BakeryError, match=message) as caught:
        read_secrets(opened, secrets, lambda name: f"web.yaml:{name}")
    assert caught.value.where == "web.yaml:id"
    assert server.asked[-1] == "GET /v1/sys/internal/ui/mounts"


@pytest.mark.parametrize(
    "address",
    ["http://vault.example.com:8200", "http://10.0.0.1:8200", "http://[2001:db8::1]:8200", "http://127.evil.com"],
)
def test_an_address_in_clear_is_refused(address: str) -> None:
    error = refused({"VAULT_ADDR": address, "VAULT_TOKEN": TOKEN})
    assert isinstance(error, UsageError)
    assert "is not encrypted" in error.message
    assert f"write https://{address.removeprefix('http://')}" in error.hint


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1:8200", "http://127.8.9.1", "http://localhost:8200", "http://[::1]:8200", "https://10.0.0.1"],
)
def test_an_address_of_this_machine_may_be_in_clear(address: str) -> None:
    assert connection.is_protected(address)


def test_an_outage_is_told_once(server: Script) -> None:
    server.answers["GET /v1/secret/data/web"] = [(503, {"errors": ["Vault is sealed"]})]
    secrets = {name: SecretRef(path="secret/data/web", key="password") for name in ("one", "two")}
    with Vault.login(server.env) as opened, pytest.raises(OutageError):
        read_secrets(opened, secrets, lambda name: name)
    assert server.asked.count("GET /v1/secret/data/web") == 1 + connection.RETRIES
