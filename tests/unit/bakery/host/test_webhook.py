"""Posts to a webhook, against real servers."""

import socket
from pathlib import Path

import pytest

from bakery.host import webhook
from bakery.host.errors import BakeryError, OutageError, UsageError
from bakery.host.webhook import Webhook
from doubles.chat import chat


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "PAUSE", 0.01)


def test_posts_json(tmp_path: Path) -> None:
    with chat() as tool:
        Webhook(tool.address).post(b'{"text": "hello"}')
        assert Webhook(tool.address).connect() == "127.0.0.1"
    assert (tool.texts, tool.paths) == (["hello"], ["/services/T0/hidden"])


def test_over_tls_by_an_authority_that_the_machine_trusts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with chat(tmp_path) as tool:
        with pytest.raises(OutageError, match="its certificate is refused: unable to get local issuer"):
            Webhook(tool.address).post(b"{}")
        with pytest.raises(OutageError, match="its certificate is refused"):
            Webhook(tool.address).connect()
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        Webhook(tool.address).post(b'{"text": "hello"}')
        assert Webhook(tool.address).connect() == "localhost"
    assert tool.texts == ["hello"]


@pytest.mark.parametrize(
    ("answers", "posts", "message"),
    [
        ([503], 2, ""),
        ([503, 503], 2, "the webhook answers HTTP 503"),
        ([404], 1, "the webhook answers HTTP 404"),
        ([307], 1, "the webhook answers HTTP 307"),
    ],
)
def test_tries_once_more_where_that_may_help_and_follows_nobody(answers: list[int], posts: int, message: str) -> None:
    with chat() as tool:
        tool.answers = answers
        if message:
            with pytest.raises(BakeryError, match=message):
                Webhook(tool.address).post(b"{}")
        else:
            Webhook(tool.address).post(b"{}")
    assert tool.paths == ["/services/T0/hidden"] * posts


def test_a_server_that_says_nothing_holds_up_for_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/hidden"
        with pytest.raises(OutageError, match="no answer within 0 s"):
            Webhook(address).post(b"{}")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_nobody_is_there(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(OutageError, match="cannot be reached: Connection refused") as caught:
        Webhook(f"{scheme}://127.0.0.1:{port}/hidden").post(b"{}")
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://hooks.example.com/hidden", "plain HTTP"),
        ("HTTP://hooks.example.com/hidden", "plain HTTP"),
        ("http://localhost.example.com/hidden", "plain HTTP"),
        ("https://hooks.example.com:port/hidden", "not a URL"),
        ("https:///hidden", "not a URL"),
        ("https://hooks.example.com/hid den", "not a URL"),
        ("https://hooks..example.com/hidden", "not a URL"),
        (f"https://{'a' * 64}.example.com/hidden", "not a URL"),
        ("ftp://hooks.example.com/hidden", "not a URL"),
        ("hidden", "not a URL"),
    ],
)
def test_addresses_that_are_refused(address: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        Webhook(address)
    assert "hid" not in str(caught.value)
    assert "hidden" not in repr(caught.value.__cause__)
