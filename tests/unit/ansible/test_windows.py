"""The Windows play logs in over WinRM with the password that its environment holds, and shows it to nobody."""

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from doubles.serving import at_work

ANSIBLE = Path(__file__).parents[3] / "ansible" / "playbooks"
PASSWORD = "canary-5d1f-pass"
# As the templates write it, but without TLS and with a login that a test can read.
INVENTORY = (
    "image ansible_host=127.0.0.1 ansible_port={port} ansible_user=Administrator ansible_connection=winrm"
    " ansible_winrm_scheme=http ansible_winrm_transport=basic\n"
)


class Listener(BaseHTTPRequestHandler):
    """Notes who logs in, and lets nobody in."""

    logins: list[str]

    def do_POST(self) -> None:
        self.logins.append(self.headers["Authorization"])
        self.send_error(401)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    with at_work(HTTPServer(("127.0.0.1", 0), type("Noting", (Listener,), {"logins": []}))) as found:
        yield found


def test_the_play_logs_in_with_the_password_of_its_environment(server: HTTPServer, tmp_path: Path) -> None:
    inventory = tmp_path / "inventory"
    inventory.write_text(INVENTORY.format(port=server.server_port))
    result = subprocess.run(
        [
            Path(sys.executable).parent / "ansible-playbook",
            "-vvv",
            f"--inventory={inventory}",
            '--extra-vars={"software_roles": [], "software_updates": "none"}',
            ANSIBLE / "bake-windows.yml",
        ],
        env=os.environ | {"ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"), "BUILD_PASSWORD": PASSWORD},
        stdin=subprocess.DEVNULL,  # Ansible refuses one that does not block
        capture_output=True,
        text=True,
    )
    assert "TASK [Stop Windows Update]" in result.stdout
    assert "the specified credentials were rejected by the server" in result.stdout
    assert result.returncode == 4, "unreachable"
    expected = base64.b64encode(f"Administrator:{PASSWORD}".encode()).decode()
    assert set(server.RequestHandlerClass.logins) == {f"Basic {expected}"}  # type: ignore[attr-defined]
    assert PASSWORD not in result.stdout + result.stderr
