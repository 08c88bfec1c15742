"""SSH keys for guests and build machines."""

from pathlib import Path

from bakery.host import process


def make_key(folder: Path) -> Path:
    """Create an SSH key pair `key` and `key.pub` in a folder; returns the path of the private key."""
    key = folder / "key"
    process.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bakery", "-f", key])
    return key
