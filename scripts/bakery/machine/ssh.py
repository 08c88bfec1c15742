"""SSH keys for guests and build machines, and the host key by which a build knows its machine."""

from dataclasses import dataclass
from pathlib import Path

from bakery.host import files, process

# The name of a build's machine in `known_hosts`; its address and port are known too late, and may be a tunnel's.
HOST_ALIAS = "image"


@dataclass(frozen=True)
class HostKey:
    """The private host key that a machine gets before its first start; the public key is beside it (.pub).

    `known_hosts` is a file with the public key.
    """

    path: Path
    known_hosts: Path


def make_key(folder: Path) -> Path:
    """Create an SSH key pair `key` and `key.pub` in a folder; returns the path of the private key."""
    return _make_pair(folder / "key", "bakery")


def make_host_key(folder: Path) -> HostKey:
    """Create the host key of one build's machine in a folder."""
    key = _make_pair(folder / "host_key", "")
    known_hosts = folder / "known_hosts"
    public = key.with_name(f"{key.name}.pub").read_text().strip()
    files.write_atomic(known_hosts, f"{HOST_ALIAS} {public}\n".encode())
    return HostKey(key, known_hosts)


def _make_pair(key: Path, comment: str) -> Path:
    process.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", key])
    return key
