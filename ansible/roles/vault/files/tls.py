"""Fetches the certificate, its key and its authority's certificate, and lets Vault take them over when they changed.

The new files replace the old ones only after a handshake with each other, so clients never get files that they refuse.
"""

import contextlib
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path

from node import TLS, FailedError, Node, run

CHAIN, KEY, AUTHORITY = "chain.pem", "key.pem", "authority.pem"
STEPS = 10  # a handshake in memory takes 4


def main(node: Node) -> None:
    TLS.mkdir(mode=0o755, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=TLS) as folder:
        new = Path(folder)
        for name, parameter in node.tls.items():
            fetch(parameter, new / name)
        changed = [name for name in node.tls if not same(new / name, TLS / name)]
        if not changed:
            return
        test_handshake(new, node.server_name)
        for name in changed:
            (new / name).replace(TLS / name)
    reload()


def fetch(parameter: str, path: Path) -> None:
    """Into a file that Vault's group may read, and everybody if there is no secret in it."""
    mode = 0o640 if path.name == KEY else 0o644
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - with a mode
        done = subprocess.run(["bakery-fetch-parameter", parameter], stdout=file, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise FailedError(done.stderr.strip())
    shutil.chown(path, "root", "vault")
    path.chmod(mode)


def same(new: Path, old: Path) -> bool:
    return old.exists() and new.read_bytes() == old.read_bytes()


def test_handshake(folder: Path, name: str) -> None:
    """Whether a client that trusts the authority believes this server to be `name`, today."""
    try:
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(folder / CHAIN, folder / KEY)
        client = ssl.create_default_context(cafile=str(folder / AUTHORITY))
        # The default since Python 3.13 refuses certificates that Vault's own clients accept.
        client.verify_flags &= ~ssl.VERIFY_X509_STRICT
        there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
        ends = [
            client.wrap_bio(back, there, server_hostname=name),
            server.wrap_bio(there, back, server_side=True),
        ]
        for step in range(STEPS):
            forward(ends[step % 2])
        ends[0].do_handshake()  # would still want to read where it is not over
    except (ssl.SSLError, ValueError) as error:
        raise FailedError(f"the certificate for {name} is not taken: {error}") from None


def forward(end: ssl.SSLObject) -> None:
    """As far as it goes before the other end has to answer."""
    with contextlib.suppress(ssl.SSLWantReadError):
        end.do_handshake()


def reload() -> None:
    """Vault reads its certificate again; where it is about to start, and waits for this unit, it will read this one."""
    if subprocess.run(["systemctl", "--quiet", "is-active", "vault.service"]).returncode == 0:
        subprocess.run(["systemctl", "--no-block", "reload", "vault.service"], check=True)


if __name__ == "__main__":
    sys.exit(run("certificate", main))
