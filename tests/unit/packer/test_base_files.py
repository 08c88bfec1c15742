"""The files that a Debian base gets beside its packages."""

from pathlib import Path

ROOTFS = Path(__file__).parents[3] / "packer" / "base" / "debian" / "rootfs"
# cloud-init writes this one for user data with `ssh_pwauth: true` (cc_set_passwords).
CLOUD_INIT = {"50-cloud-init.conf": "PasswordAuthentication yes\nX11Forwarding yes\n"}


def first_values(files: dict[str, str]) -> dict[str, str]:
    """The settings that sshd uses: it reads drop-ins in the order of their names and keeps the first value."""
    values: dict[str, str] = {}
    for _, text in sorted(files.items()):
        for line in text.splitlines():
            if line and not line.startswith("#"):
                name, value = line.split(maxsplit=1)
                values.setdefault(name, value)
    return values


def test_nothing_allows_passwords_again() -> None:
    ours = {path.name: path.read_text() for path in (ROOTFS / "etc/ssh/sshd_config.d").iterdir()}
    values = first_values(ours | CLOUD_INIT)
    assert (values["PasswordAuthentication"], values["X11Forwarding"]) == ("no", "no")
