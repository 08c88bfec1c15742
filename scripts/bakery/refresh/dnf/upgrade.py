"""Updates of a system of the Red Hat family, by dnf as the solver: it respects excludes, version locks and modules."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bakery.host.errors import BakeryError
from bakery.host.process import ProcessError
from bakery.model.observations import Archive, Update, Upgrade
from bakery.refresh.archives import Archives
from bakery.refresh.dnf.metadata import FAILED, fetch_lists, has_advisories, read_list
from bakery.refresh.dnf.root import CACHE, Root, prepare_root
from bakery.refresh.dnf.versions import version_key

SUMMARY = "Transaction Summary"
NO_PLUGIN = "enable plugin patterns: versionlock"
SECTION = re.compile(r"(\w[\w ]*):")
REPLACED = re.compile(r"     replacing  (\S+)\.\S+ \S+")
# Sections of dnf's table of a transaction. A new kernel is installed beside the old one.
TAKEN = ("Installing", "Upgrading", "Installing dependencies", "Installing weak dependencies")
REMOVED = ("Removing", "Removing dependent packages", "Removing unused dependencies")
NOTICE = re.compile(r"\S+ +\S+/Sec\. +(\S+)")
NEVRA = re.compile(r"(?P<name>\S+)-(?P<evr>[^-\s]+-[^-\s]+)\.(?P<arch>[^.\s]+)")
INSTALLED = "%{NAME}\\t%{ARCH}\\t%{EVR}\\n"
NEWEST = "%{name}\\t%{arch}\\t%{evr}\\t%{repoid}\\n"


class Package(NamedTuple):
    """A package of a repository, or of the image."""

    name: str
    arch: str
    evr: str
    repository: str


Versions = Mapping[tuple[str, str], str]  # by name and architecture


@dataclass(frozen=True)
class Transaction:
    """Packages that dnf would install or upgrade, and names of those that it would remove."""

    packages: tuple[Package, ...] = ()
    removals: tuple[str, ...] = ()


@dataclass(frozen=True)
class Knowledge:
    """The architecture of an image, its installed versions, and the versions that are for security.

    `classified` are the repositories that say what their updates are for.
    """

    architecture: str
    installed: Versions
    notices: Mapping[tuple[str, str], Sequence[str]]
    classified: frozenset[str]

    def describe_update(self, package: Package) -> Update:
        """An update to this package, or its installation."""
        native = package.arch in (self.architecture, "noarch")
        # A package may change between having an architecture and having none.
        architectures = (package.arch, self.architecture, "noarch") if native else (package.arch,)
        versions = (self.installed.get((package.name, architecture), "") for architecture in architectures)
        installed = next(filter(None, versions), "")
        name = package.name if native else f"{package.name}.{package.arch}"
        security = self._is_security(package, installed)
        return Update(name, installed, package.evr, suite=package.repository, security=security)

    def _is_security(self, package: Package, installed: str) -> bool | None:
        fixes = self.notices.get((package.name, package.arch), ()) if installed else ()
        if any(version_key(installed) < version_key(fix) <= version_key(package.evr) for fix in fixes):
            return True
        return False if package.repository in self.classified else None


def observe_updates(folder: Path, archives: Archives) -> tuple[tuple[Archive, ...], Upgrade]:
    """The archives of an image whose package database is unpacked, and the upgrade that they have for it."""
    root = prepare_root(folder)
    states = fetch_lists(root, archives)
    transaction = _solve_upgrade(root)
    classified = frozenset(one.name for one in root.repositories if has_advisories(read_list(root.folder / CACHE, one)))
    knowledge = Knowledge(root.architecture, _list_installed(root), _list_notices(root), classified)
    return states, describe_upgrade(transaction, _list_newest(root), knowledge)


def parse_transaction(text: str) -> Transaction:
    """The answer of `dnf upgrade --assumeno`."""
    packages, removals, section = [], [], ""
    for line in text.partition(SUMMARY)[0].splitlines():
        if match := SECTION.fullmatch(line):
            section = match[1]
        elif match := REPLACED.fullmatch(line):
            removals.append(match[1])
        elif line.startswith(" ") and section in TAKEN:
            packages.append(Package(*line.split()[:4]))
        elif line.startswith(" ") and section in REMOVED:
            removals.append(line.split()[0])
    taken = {package.name for package in packages}
    # Of a package with several versions side by side, an old one may go while a new one comes.
    return Transaction(tuple(packages), tuple(sorted(set(removals) - taken)))


def parse_advisories(text: str) -> dict[tuple[str, str], list[str]]:
    """The answer of `dnf updateinfo list --security`: versions by name and architecture."""
    notices = defaultdict(list)
    for line in text.splitlines():
        if (row := NOTICE.fullmatch(line)) and (match := NEVRA.fullmatch(row[1])):
            notices[match["name"], match["arch"]].append(match["evr"])
    return dict(notices)


def describe_upgrade(transaction: Transaction, newest: Iterable[Package], knowledge: Knowledge) -> Upgrade:
    """The upgrade that a transaction makes. Held are the `newest` packages of which it takes no version."""
    taken = {(package.name, package.arch) for package in transaction.packages}
    changes = sorted(map(knowledge.describe_update, transaction.packages))
    held = (
        package
        for package in newest
        if (package.name, package.arch) not in taken and package.name not in transaction.removals
    )
    return Upgrade(
        updates=tuple(update for update in changes if update.installed),
        added=tuple(update for update in changes if not update.installed),
        removed=transaction.removals,
        held=tuple(sorted(map(knowledge.describe_update, held))),
    )


def _solve_upgrade(root: Root) -> Transaction:
    lines: list[str] = []
    try:
        root.run_dnf(
            "--cacheonly",
            "--assumeno",
            "upgrade",
            stanzas=[repository.stanza for repository in root.repositories],
            locked=True,
            on_output=lines.append,
        )
    except ProcessError as error:
        if error.returncode != FAILED:
            raise
        if SUMMARY not in lines:
            raise BakeryError("dnf finds no way to upgrade the packages of the image", detail=error.tail) from error
    if any(NO_PLUGIN in line for line in lines):
        raise BakeryError(
            "dnf has no plugin versionlock, so the version locks of the image do not count",
            hint="run 'bakery doctor refresh' to see what is missing",
        )
    return parse_transaction("\n".join(lines))


def _list_installed(root: Root) -> Versions:
    """The newest installed version of each package: kernels are installed side by side."""
    rows = [line.split("\t") for line in root.query_rpm(INSTALLED, "--all")]
    return {(name, arch): evr for name, arch, evr in sorted(rows, key=lambda row: version_key(row[2]))}


def _list_newest(root: Root) -> list[Package]:
    """The newest version of each package that has an update, whether excluded and locked or not."""
    text = _ask_dnf(root, "repoquery", "--upgrades", "--latest-limit=1", "--queryformat", NEWEST)
    return [Package(*line.split("\t")) for line in text.splitlines() if line]


def _list_notices(root: Root) -> dict[tuple[str, str], list[str]]:
    return parse_advisories(_ask_dnf(root, "updateinfo", "list", "--updates", "--security"))


def _ask_dnf(root: Root, *command: str) -> str:
    stanzas = [repository.stanza for repository in root.repositories]
    return root.run_dnf("--cacheonly", "--quiet", "--disableexcludes=all", *command, stanzas=stanzas).stdout
