"""Settings with which no request can be made are named before one is tried."""

import os
import ssl
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import botocore.utils
import pytest
from requests.utils import get_environ_proxies

from bakery.catalog import open_store
from bakery.clouds.aws.session import connect
from bakery.clouds.aws.topics import SnsTopic
from bakery.host.connection_settings import find_fault, keep_loopback_direct, require_authorities, require_proxies
from bakery.host.errors import ExitCode, UsageError
from bakery.host.vault import Vault

USES: dict[str, Callable[[], object]] = {
    "catalog": lambda: open_store("s3://bakery-catalog/x"),
    "session": lambda: connect("eu-central-1"),
    "topic": lambda: SnsTopic("arn:aws:sns:eu-central-1:123456789012:images"),
}


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("https://images.example.net/größe.qcow2", "'ö' cannot stand in an address"),
        ("https://images.example.net/a b", "' ' cannot stand in an address"),
        ("https://images.example.net/a\n", "'\\n' cannot stand in an address"),
        ("http://a..b/x.qcow2", "the address has no valid host"),
        (f"http://{'a' * 64}.example.net/", "the address has no valid host"),
        ("http://[::1/x", "the address has no valid host"),
        ("https://", "it is not an HTTP address with a host"),
        ("https://:8200/", "it is not an HTTP address with a host"),
        ("127.0.0.1:5000", "it is not an HTTP address with a host"),
        ("ftp://images.example.net/x", "it is not an HTTP address with a host"),
        ("http://127.0.0.1:abc/x", "the port is not a number from 1 to 65535"),
        ("http://127.0.0.1:65536/x", "the port is not a number from 1 to 65535"),
        ("http://127.0.0.1:0/x", "the port is not a number from 1 to 65535"),
        ("https://user:canary@images.example.net/x", "the address has a login, which every log and record would show"),
        ("https://token@images.example.net/x", "the address has a login, which every log and record would show"),
    ],
)
def test_an_address_that_nothing_can_connect_to(address: str, reason: str) -> None:
    found, hint = find_fault(address)
    assert found == reason
    assert hint
    assert "canary" not in found + hint


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1:5000", "https://[::1]:8200/v1", "HTTPS://images.example.net/a%20b?x=1#y", "http://a_b.example."],
)
def test_an_address_of_http(address: str) -> None:
    assert find_fault(address) == ("", "")


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("AWS_ENDPOINT_URL", "127.0.0.1:5000", "AWS_ENDPOINT_URL cannot be used: it is not an HTTP address"),
        ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:abc", "AWS_ENDPOINT_URL_S3 cannot be used: the port is not a number"),
        ("AWS_ACCESS_KEY_ID", "canary\n", "AWS_ACCESS_KEY_ID has a space, a line break or another character"),
        ("AWS_SECRET_ACCESS_KEY", "cana ry", "AWS_SECRET_ACCESS_KEY has a space, a line break or another character"),
        ("AWS_SESSION_TOKEN", "canärys", "AWS_SESSION_TOKEN has a space, a line break or another character"),
        ("AWS_CA_BUNDLE", "/nope.pem", "AWS_CA_BUNDLE names a file that cannot be read: No such file or directory"),
        ("REQUESTS_CA_BUNDLE", __file__, "REQUESTS_CA_BUNDLE names a file without a certificate in PEM format"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/nope", "AWS_WEB_IDENTITY_TOKEN_FILE names a file that cannot be read"),
        ("https_proxy", "http://user:canary@127.0.0.1:abc", "https_proxy cannot be used: the port is not a number"),
        ("HTTP_PROXY", "http://a..b:3128", "HTTP_PROXY cannot be used: the address has no valid host"),
        ("all_proxy", "a b", "all_proxy cannot be used: ' ' cannot stand in an address"),
    ],
)
def test_a_setting_of_aws_is_named(
    monkeypatch: pytest.MonkeyPatch, use: Callable[[], object], name: str, value: str, message: str
) -> None:
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/bakery")
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError) as caught:
        use()
    assert caught.value.message.startswith(message)
    assert caught.value.exit_code == ExitCode.USAGE
    assert "canary" not in caught.value.message + caught.value.detail


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("VAULT_TOKEN", "canary\n", "VAULT_TOKEN has a space, a line break or another character"),
        ("VAULT_NAMESPACE", "team\n", "VAULT_NAMESPACE has a space, a line break or another character"),
        ("VAULT_ADDR", "http://127.0.0.1:abc", "VAULT_ADDR 'http://127.0.0.1:abc' is not a URL"),
        ("VAULT_ADDR", "http://127.0.0.1:65536", "VAULT_ADDR 'http://127.0.0.1:65536' cannot be used: the port"),
        ("VAULT_ADDR", "https://a..b", "VAULT_ADDR 'https://a..b' cannot be used: the address has no valid host"),
        ("VAULT_CACERT", "/nope.pem", "VAULT_CACERT names a file that cannot be read: No such file or directory"),
        ("VAULT_CACERT", __file__, "VAULT_CACERT names a file without a certificate in PEM format"),
        ("REQUESTS_CA_BUNDLE", "/nope.pem", "REQUESTS_CA_BUNDLE names a file that cannot be read"),
        ("VAULT_ADDR", "https://user:canary@127.0.0.1:1", "VAULT_ADDR has a login"),
        ("VAULT_ADDR", "user:canary@127.0.0.1", "VAULT_ADDR has a login"),
        ("HTTPS_PROXY", "http://user:canary@a..b", "HTTPS_PROXY cannot be used: the address has no valid host"),
    ],
)
def test_a_setting_of_vault_is_named(name: str, value: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        Vault.login({"VAULT_ADDR": "https://127.0.0.1:1", "VAULT_TOKEN": "token", name: value})
    assert caught.value.message.startswith(message)
    assert "canary" not in caught.value.message + caught.value.detail


def test_a_proxy_that_is_no_address_is_no_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:abc")
    with pytest.raises(UsageError, match="Vault cannot be asked") as caught:
        Vault.login({"VAULT_ADDR": "https://vault.example.net", "VAULT_TOKEN": "token"})
    assert "https_proxy" in caught.value.hint


@pytest.mark.parametrize(
    "address",
    ["", "http://127.0.0.1:3128", "proxy.example.net:3128", "http://user:p@ss@proxy/", "socks5h://[::1]:1080"],
)
def test_an_address_of_a_proxy(address: str) -> None:
    require_proxies({"https_proxy": address, "ALL_PROXY": address})


@pytest.mark.parametrize("use", [USES["session"], USES["topic"]], ids=["session", "topic"])
@pytest.mark.parametrize(
    ("profile", "detail"),
    [
        ("endpoint_url = 127.0.0.1:5000", "Invalid endpoint: 127.0.0.1:5000"),
        ("credential_process = /nope/program", "No such file or directory"),
        ("metadata_service_timeout = soon", "invalid literal for int()"),
    ],
)
def test_a_setting_in_the_file_of_aws(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, use: Callable[[], object], profile: str, detail: str
) -> None:
    (tmp_path / "config").write_text(f"[default]\nregion = eu-central-1\n{profile}\n")
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    if "endpoint_url" in profile:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with pytest.raises(UsageError, match="a setting of AWS cannot be used") as caught:
        use()
    assert detail in caught.value.detail


def test_authorities_that_can_be_read(tmp_path: Path) -> None:
    system = ssl.get_default_verify_paths().cafile or ssl.get_default_verify_paths().openssl_cafile
    require_authorities({"FILE": system, "FOLDER": str(tmp_path), "EMPTY": ""}, "FILE", "FOLDER", "EMPTY", "ABSENT")


def test_a_web_identity_is_not_needed_beside_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.setenv(name, "testing")
    open_store("s3://bakery-catalog/x")


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, None),
        ({"no_proxy": "example.net"}, "example.net"),
        ({"http_proxy": "http://127.0.0.1:1"}, "localhost,127.0.0.1,::1,[::1]"),
        ({"ALL_PROXY": "socks5://127.0.0.1:1", "NO_PROXY": "example.net"}, "example.net,localhost,127.0.0.1,::1,[::1]"),
        (
            {"HTTPS_PROXY": "http://127.0.0.1:1", "NO_PROXY": "::1, a.example", "no_proxy": "b.example"},
            "b.example,::1,a.example,localhost,127.0.0.1,[::1]",
        ),
    ],
)
def test_this_machine_is_never_asked_through_a_proxy(env: dict[str, str], expected: str | None) -> None:
    before = dict(env)
    keep_loopback_direct(env)
    assert env.get("no_proxy") == expected
    assert env == before or env["NO_PROXY"] == expected


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_clients_then_connect_directly(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "http://192.0.2.1:1")
    keep_loopback_direct(os.environ)
    for address in ("http://127.0.0.1:5000", "http://localhost:5000", "http://[::1]:5000"):
        assert get_environ_proxies(address) == {}
        assert botocore.utils.get_environ_proxies(address) == {}
        assert urllib.request.proxy_bypass(urlsplit(address).hostname or "")
    assert get_environ_proxies("http://example.net") != {}
