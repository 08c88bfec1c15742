"""The package archives of a Debian or Ubuntu system, as apt saw them last: from the bake, or from the disk."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bakery.host import files, process
from bakery.model.contents import ArchiveState, Package

if TYPE_CHECKING:  # the import takes 50 ms, and every verb would wait for it
    from debian.deb822 import Deb822

LISTS = "/var/lib/apt/lists"
RELEASES = ("InRelease", "Release")  # signed lists; the second has its signature in a file of its own
# Neither the image's nor the host's configuration is read: it may name commands that apt would run.
CONFIGURATION = """\
Dir "{root}/";
Dir::Etc::Parts "/dev/null/parts";
Dir::Etc::Main "/dev/null";
Dir::State::status "{root}/var/lib/dpkg/status";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Sandbox::User "root";
"""
# "libc6:i386 | 2.36-9 | http://deb.debian.org/debian bookworm/main amd64 Packages"
OFFER = re.compile(r"(?P<name>[^\s:]+)\S* *\| *(?P<version>\S+) *\| *(?P<archive>\S+ \S+).* Packages")
TARGETS = ("apt-get", "indextargets", "Created-By: Packages")


@dataclass(frozen=True)
class Listing:
    """The archives of a system, and the first one that has a version, by name and version of the package."""

    archives: tuple[ArchiveState, ...] = ()
    offers: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def archive_of(self, package: Package) -> str:
        """The archive of an installed package; empty if none has this version."""
        return self.offers.get((package.name, package.version), "")


def parse_listing(text: str) -> Listing:
    """Parse the output of ansible/roles/seal/files/seal.sh: stanzas of indexes, of signed lists, and of versions."""
    from debian.deb822 import Deb822

    indexes, releases, versions = [], {}, ""
    for stanza in Deb822.iter_paragraphs(text.splitlines(), use_apt_pkg=False):
        if "MetaKey" in stanza:
            indexes.append(stanza)
        elif "Filename" in stanza:
            releases[stanza["Filename"]] = stanza
        versions += stanza.get("Versions", "")
    return Listing(tuple(_list_archives(indexes, releases)), _parse_versions(versions))


def list_at_rest(tree: Path, packages: Sequence[Package]) -> Listing:
    """The same from the package lists in a root, by the apt of this machine; nothing where the root has none."""
    lists = [path for name in RELEASES for path in sorted((tree / LISTS.lstrip("/")).glob(f"*_{name}"))]
    native = next((package.architecture for package in packages if package.name == "dpkg"), "")
    if not lists or not native:
        return Listing()
    with files.scratch(tree, "apt") as scratch:
        configuration = scratch.absolute() / "apt.conf"
        configuration.write_text(CONFIGURATION.format(root=tree.absolute(), architecture=native))
        environment = {"APT_CONFIG": str(configuration), "LC_ALL": "C.UTF-8"}
        targets = process.run(TARGETS, env=environment).stdout
        names = sorted({package.name for package in packages})
        versions = process.run(["apt-cache", "madison", *names], env=environment).stdout
    signed = "\n".join(map(_describe_list, lists))
    return parse_listing(f"{targets}\n{signed}\nVersions:\n" + "".join(f" {line}\n" for line in versions.splitlines()))


def _describe_list(path: Path) -> str:
    """A stanza on a signed list."""
    fields = [line for line in path.read_text().splitlines() if line.startswith(("Date: ", "Valid-Until: "))]
    return "\n".join([f"Filename: {path.absolute()}", f"SHA256: {files.sha256(path)}", *fields, ""])


def _list_archives(indexes: "Iterable[Deb822]", releases: "Mapping[str, Deb822]") -> Iterator[ArchiveState]:
    """The archives whose signed list is there, each once with all its components, sorted."""
    components: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for index in indexes:
        folder = index["Filename"].removesuffix(index["MetaKey"].replace("/", "_"))
        release = next((folder + name for name in RELEASES if folder + name in releases), "")
        if release:
            components[index["Site"].rstrip("/"), index["Release"], release].add(index.get("Component", ""))
    for (uri, suite, release), names in sorted(components.items()):
        fields = releases[release]
        yield ArchiveState(
            uri,
            suite,
            components=tuple(sorted(names - {""})),
            date=_parse_date(fields.get("Date", "")),
            valid_until=_parse_date(fields.get("Valid-Until", "")),
            sha256=fields["SHA256"],
        )


def _parse_date(text: str) -> str:
    return parsedate_to_datetime(text).astimezone(UTC).isoformat(timespec="seconds") if text else ""


def _parse_versions(lines: str) -> dict[tuple[str, str], str]:
    """The answer of `apt-cache madison`, which names archives in the order of the system's sources."""
    offers: dict[tuple[str, str], str] = {}
    for line in lines.splitlines():
        if match := OFFER.fullmatch(line.strip()):
            offers.setdefault((match["name"], match["version"]), match["archive"])
    return offers
