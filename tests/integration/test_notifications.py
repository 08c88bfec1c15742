"""A webhook whose address is in a real Vault, behind TLS."""

import json
from pathlib import Path

import pytest

from bakery.demo.stand_ins.vault import VaultServer
from bakery.engine.notifications import VARIABLE, Notifier, make_notice, open_recipient
from bakery.host.events import Event
from doubles.chat import chat
from doubles.vault import vault_server

pytestmark = pytest.mark.integration

PATH = "secret/data/bakery/notifications/chat"
NOTICE = make_notice("failed", "web", "x86_64", "1.0.0", "web: bake failed", ("by a job",))


def send(recipients: str) -> list[str]:
    """The texts of the notes of two notices."""
    events: list[Event] = []
    notifier = Notifier(recipients)
    for _ in range(2):
        notifier.send(NOTICE, events.append)
    return [event.text for event in events]


def log_in(server: VaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in server.env.items():
        monkeypatch.setenv(name, value)


def test_a_webhook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with vault_server(tmp_path) as server, chat(tmp_path) as tool:
        log_in(server, monkeypatch)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        server.put(PATH, {"url": tool.address})
        assert send(PATH) == []
        assert open_recipient(PATH).require() == "localhost can be reached"
        monkeypatch.setenv(VARIABLE, PATH)
        server.put(PATH, {"url": "http://hooks.example.com/services/hidden"})
        [note] = send(PATH)
        assert "the address of the webhook is plain HTTP" in note
        assert "hidden" not in note
        server.put(PATH, {"address": "x"})
        assert "has no key 'url'" in send(PATH)[0]
    assert tool.texts == ["web: bake failed\nby a job"] * 2
    assert json.loads(tool.bodies[0])["kind"] == "failed"
    [note] = send(PATH)
    assert "Vault cannot be reached" in note
