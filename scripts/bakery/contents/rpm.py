"""Packages of a Red Hat, Fedora or SUSE system, from the database of rpm."""

from collections.abc import Iterator
from pathlib import Path

from bakery.host import process
from bakery.model.contents import Package

STATUS = ("/usr/lib/sysimage/rpm", "/var/lib/rpm")  # the first since Fedora 36; the second is a link to it there
# All that dnf needs to solve updates over these packages. Modules are of a platform, which os-release names.
DATABASE = (
    *(*STATUS, "/etc/yum.repos.d", "/etc/distro.repos.d", "/etc/dnf", "/etc/yum", "/etc/pki/rpm-gpg"),
    *("/usr/lib/os-release", "/etc/os-release"),
)
OMITTED = ("*/.rpm.lock",)
FIELDS = ("%{NAME}", "%{EVR}", "%{ARCH}", "%{SOURCERPM}", "%{VENDOR}")
KEYS = "gpg-pubkey"  # rpm lists keys that it trusts as packages of this name
NOTHING = "(none)"  # rpm's word for a field that a package does not have


def read_packages(tree: Path) -> Iterator[Package]:
    """The packages in the database, without keys."""
    for line in _query_database(tree, "\\t".join(FIELDS) + "\\n"):
        name, version, architecture, source, origin = (_plain_field(field) for field in line.split("\t"))
        if name != KEYS:
            # bash-5.1.8-9.el9.src.rpm
            yield Package(name, version, architecture, source.rsplit("-", 2)[0] or name, origin)


def _plain_field(field: str) -> str:
    return "" if field == NOTHING else field


def read_owners(tree: Path) -> dict[str, str]:
    """The package of each file that a package brought, by path."""
    lines = _query_database(tree, "[%{FILENAMES}\\t%{=NAME}\\n]")
    return dict(line.split("\t") for line in lines if line)


def _query_database(tree: Path, layout: str) -> list[str]:
    """rpm's answer for all packages of a system, in a layout of `rpm --queryformat`."""
    folders = (tree / path.lstrip("/") for path in STATUS)
    database = next(folder for folder in folders if folder.is_dir() and not folder.is_symlink())
    query = ("--query", "--all", "--queryformat", layout)
    return process.run(["rpm", "--dbpath", database.absolute(), *query]).stdout.splitlines()
