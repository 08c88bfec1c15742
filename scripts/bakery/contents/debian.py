"""Packages of a Debian or Ubuntu system, from the status file of dpkg."""

from collections.abc import Iterator
from pathlib import Path

from bakery.contents.apt import LISTS
from bakery.model.contents import Package

INFO = "var/lib/dpkg/info"
STATUS = ("/var/lib/dpkg/status",)  # any of these says that the system belongs to the family
# All that apt needs to solve updates over these packages.
DATABASE = (*STATUS, LISTS, "/var/lib/dpkg/arch", "/var/lib/apt/extended_states", "/etc/apt", "/usr/share/keyrings")
# Passwords of archives: apt_auth.conf(5). Package lists are large, and a seal removes them.
OMITTED = ("etc/apt/auth.conf", "etc/apt/auth.conf.d*", "var/lib/apt/lists*")
ABSENT = ("config-files", "not-installed")  # states of dpkg(1) in which no file of a package is there


def read_packages(tree: Path) -> Iterator[Package]:
    """The packages whose files are on the disk."""
    from debian.deb822 import Deb822

    with (tree / "var/lib/dpkg/status").open("rb") as stream:
        for fields in Deb822.iter_paragraphs(stream, use_apt_pkg=False):
            if fields["Status"].split()[-1] not in ABSENT:
                # "Source: linux (6.1.140-1)" where its version differs.
                source = fields.get("Source", fields["Package"]).partition(" ")[0]
                origin = fields.get("Origin", "")
                yield Package(fields["Package"], fields["Version"], fields["Architecture"], source, origin)


def read_owners(tree: Path) -> dict[str, str]:
    """The package of each file that a package brought, by path."""
    # libc6:amd64.list names a package that may be installed for several architectures.
    return {
        path: listed.name.removesuffix(".list").partition(":")[0]
        for listed in sorted((tree / INFO).glob("*.list"))
        for path in listed.read_text().splitlines()
    }
