"""What conftest.py keeps from every unit test."""

import os
import pwd
import socket
from pathlib import Path

import pytest

from bakery.host.files import find_free_space


def test_no_host_but_this_one() -> None:
    with socket.socket() as client:
        for reach in (client.connect, client.connect_ex):
            with pytest.raises(pytest.fail.Exception, match=r"wants to reach 192\.0\.2\.1"):
                reach(("192.0.2.1", 443))  # RFC 5737: an address for documentation
    with pytest.raises(pytest.fail.Exception, match=r"wants to reach example\.org"):
        socket.create_connection(("example.org", 443))


def test_this_host() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()


def test_no_configuration_of_the_user() -> None:
    assert not [name for name in os.environ if name.startswith(("VAULT_", "TF_", "AWS_ACCESS", "AWS_PROFILE"))]
    assert Path.home() != Path(pwd.getpwuid(os.getuid()).pw_dir)


def test_no_lack_of_space_on_this_machine(tmp_path: Path) -> None:
    assert find_free_space(tmp_path) == 1 << 40
