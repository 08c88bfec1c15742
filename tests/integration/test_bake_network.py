"""The network of a bake, as code in an image sees it: there is no guest, but namespaces and pasta are real.

The tests run in a network namespace of their own ("the machine"), with a metadata service and servers on loopback.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bakery.bake import separation
from bakery.host.waiting import wait_until
from bakery.machine import network

pytestmark = [pytest.mark.integration, pytest.mark.root]

SECRET = "canary-2b64e9d0-token"
# The machine: a card with a way out, a metadata service, and two servers on loopback. The last argument is what to run.
MACHINE = """
set -e
ip link set lo up
ip tuntap add uplink mode tap
ip addr add 198.51.100.2/24 dev uplink
ip link set uplink up
ip route add default via 198.51.100.1
ip addr add 169.254.169.254/32 dev lo
python3 -m http.server 80 --bind 169.254.169.254 >/dev/null 2>&1 &
for port in 18080 18081; do python3 -m http.server $port --bind 127.0.0.1 >/dev/null 2>&1 & done
python3 - 169.254.169.254:80 127.0.0.1:18080 127.0.0.1:18081 <<'P'
import socket, sys, time
for place in sys.argv[1:]:
    host, port = place.split(":")
    for _ in range(200):
        try:
            socket.create_connection((host, int(port)), 1).close()
            break
        except OSError:
            time.sleep(0.05)
P
"$@"
"""
# The attacker: tries addresses, and looks for a token in the environment of every process that it sees.
ATTACKER = """
import glob, json, socket, sys
reached = []
for place in sys.argv[1:]:
    host, _, port = place.rpartition(":")
    try:
        socket.create_connection((host, int(port)), 3).close()
        reached.append(place)
    except OSError:
        pass
environments = []
for file in glob.glob("/proc/[0-9]*/environ"):
    try:
        environments.append(open(file, "rb").read().decode(errors="replace"))
    except OSError:
        pass
names = open("/proc/net/route").read()
print(json.dumps({"reached": reached, "token": any("canary-" in text for text in environments), "routes": names}))
"""
PLACES = ("169.254.169.254:80", "127.0.0.1:18080", "127.0.0.1:18081", "198.51.100.2:18081", "198.51.100.1:18081")
# Each user may open /dev/net/tun on a usual machine, and not on every test machine.
USER = """
mkdir -p "$1/dev"
mknod -m 666 "$1/dev/tun" c 10 200
mount --bind "$1/dev/tun" /dev/net/tun
shift
exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
"""


def run_attacker(*prefix: str | Path, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What the attacker reaches behind a prefix, on such a machine."""
    attacker = [*prefix, "/usr/bin/python3", "-I", "-c", ATTACKER, *PLACES]
    machine = ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", MACHINE, "sh"]
    given = {**os.environ, "VAULT_TOKEN": SECRET, **(environment or {})}
    answer = subprocess.run([*machine, *map(str, attacker)], env=given, capture_output=True, text=True, timeout=60)
    assert answer.returncode == 0, answer.stderr
    return dict(json.loads(answer.stdout.splitlines()[-1]))


def separate(*ports: int) -> list[str | Path]:
    """The prefix of a bake; Packer's own environment has no token."""
    return ["env", "-u", "VAULT_TOKEN", *network.isolate(ports)]


def test_the_attacker_works() -> None:
    """Without the separation all of it is open, or this file would show nothing."""
    found = run_attacker("env", "-u", "VAULT_TOKEN")
    assert {"169.254.169.254:80", "127.0.0.1:18080", "127.0.0.1:18081"} <= set(found["reached"])
    assert found["token"] is True


def test_neither_loopback_nor_metadata_is_reached() -> None:
    found = run_attacker(*separate())
    assert found["reached"] == []
    assert "\t00000000\t" in found["routes"], "it has a way to the internet"


def test_nothing_stays_in_the_temporary_folder(tmp_path: Path) -> None:
    """All processes are killed when the command has ended."""
    assert network.find_failure([*network.isolate(()), "true"], {"TMPDIR": str(tmp_path)}) == ""
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_the_user_names_is_reached() -> None:
    assert run_attacker(*separate(18080))["reached"] == ["127.0.0.1:18080"]


def test_no_token_of_another_process_is_seen() -> None:
    assert run_attacker(*separate())["token"] is False


def test_a_user_without_rights_gets_the_same(tmp_path: Path) -> None:
    # pytest's folders are for root alone.
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "isolate.sh")
        script.write_text(network.SCRIPT.read_text())
        Path(folder).chmod(0o777)
        user: list[str | Path] = ["sh", "-c", USER, "sh", tmp_path, "env", "-u", "VAULT_TOKEN", f"TMPDIR={folder}"]
        found = run_attacker(*user, "sh", script, "18080")
    assert (found["reached"], found["token"]) == (["127.0.0.1:18080"], False)


class TestAnsibleAtATarget:
    """Packer holds the login to the cloud, and roles run beside it."""

    @pytest.mark.parametrize("user", [[], ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]])
    def test_no_login_of_another_process_is_seen(self, user: list[str]) -> None:
        # pytest's folders are for root alone.
        with tempfile.TemporaryDirectory() as folder:
            script = Path(folder, "enclose.sh")
            script.write_text(separation.ENCLOSE.read_text())
            Path(folder).chmod(0o755)
            packer = [*user, "sh", "-c", 'env -u VAULT_TOKEN "$@"; exit "$?"', "sh"]
            assert run_attacker(*packer)["token"] is True, "or this test would show nothing"
            assert run_attacker(*packer, "sh", script)["token"] is False

    def test_it_gets_its_arguments_and_gives_its_exit_code(self) -> None:
        command: list[str | Path] = ["sh", separation.ENCLOSE, "sh", "-c", 'test "$1" = "a b" && exit 7', "sh", "a b"]
        assert subprocess.run(command, check=False, timeout=30).returncode == 7

    def test_it_ends_with_packer(self) -> None:
        """Packer kills Ansible when somebody interrupts it."""
        marker = f"44{os.getpid()}"
        command: list[str | Path] = ["sh", separation.ENCLOSE, "sh", "-c", f"sleep {marker} & sleep {marker}"]
        with subprocess.Popen(command) as running:
            assert wait_until(lambda: is_running(marker) or None, 10)
            running.kill()
        assert wait_until(lambda: not is_running(marker) or None, 10)


def is_running(marker: str) -> bool:
    """Whether a process sleeps for as long as the marker says."""
    return bool(subprocess.run(["pgrep", "-f", f"^sleep {marker}"], capture_output=True, check=False).stdout)


def test_nothing_outlives_the_command(tmp_path: Path) -> None:
    """A program that the command left behind ends with it, and so does pasta."""
    marker = f"43{os.getpid()}"
    subprocess.run([*network.isolate(()), "sh", "-c", f"setsid sleep {marker} & true"], check=True, timeout=30)
    assert not is_running(marker)


def test_the_exit_code_is_the_commands() -> None:
    assert subprocess.run([*network.isolate(()), "sh", "-c", "exit 7"], check=False, timeout=30).returncode == 7


def test_no_folder_of_it_stays(tmp_path: Path) -> None:
    """Each run of the bakery would leave one in /tmp."""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    subprocess.run([*network.isolate(()), "true"], env=environment, check=True, timeout=30)
    assert wait_until(lambda: not list(tmp_path.iterdir()) or None, 10)
