"""The rules of a Vault node, in the kernel: which users reach the metadata service, and which do not."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.integration,
    pytest.mark.root,
    pytest.mark.skipif(shutil.which("nft") is None, reason="nft is not installed: apt-get install nftables"),
]

RULES = Path(__file__).parents[2] / "ansible" / "roles" / "vault" / "files" / "metadata.nft"
VAULT, SOMEBODY, NOBODY, DYNAMIC = 990, 1000, 65534, 61184
METADATA, ELSEWHERE = "169.254.169.254", "169.254.169.123"
# A server on each address, in a network of its own; each line of its input is a user and an address to ask.
SCRIPT = """\
import os, socket, sys
for address in ("{METADATA}", "{ELSEWHERE}"):
    server = socket.create_server((address, 80))
    if os.fork() == 0:
        while True:
            server.accept()
print("ready", flush=True)
for line in sys.stdin:
    user, address = line.split()
    child = os.fork()
    if child == 0:
        os.setuid(int(user))
        try:
            socket.create_connection((address, 80), timeout=5)
        except OSError:
            os._exit(1)
        os._exit(0)
    print(os.waitpid(child, 0)[1], flush=True)
"""


class Node:
    """A network with the addresses that AWS answers at, and the rules."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def reaches(self, user: int, address: str) -> bool:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{user} {address}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline() == "0\n"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """This machine has no user `vault`, so its number takes the place of the name."""
    folder = tmp_path_factory.mktemp("node")
    rules, program = folder / "rules.nft", folder / "program.py"
    rules.write_text(RULES.read_text().replace("vault,", f"{VAULT},"))
    program.write_text(SCRIPT.format(METADATA=METADATA, ELSEWHERE=ELSEWHERE))
    addresses = "; ".join(f"ip addr add {address}/32 dev lo" for address in (METADATA, ELSEWHERE))
    loaded = f"nft --file {rules} && nft --file {rules}"  # again, as on a restart of the unit
    command = f"ip link set lo up; {addresses}; {loaded} && exec /usr/bin/python3 {program}"
    with subprocess.Popen(
        ["unshare", "--net", "--pid", "--fork", "--kill-child", "sh", "-ec", command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PATH": os.defpath + ":/usr/sbin:/sbin"},
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield Node(process)
        process.kill()


@pytest.mark.parametrize("user", [0, VAULT, DYNAMIC])
def test_who_needs_the_role_has_it(node: Node, user: int) -> None:
    assert node.reaches(user, METADATA)


@pytest.mark.parametrize("user", [SOMEBODY, NOBODY])
def test_every_other_user_has_no_role(node: Node, user: int) -> None:
    assert not node.reaches(user, METADATA)
    assert node.reaches(user, ELSEWHERE), "time and names are for all"
