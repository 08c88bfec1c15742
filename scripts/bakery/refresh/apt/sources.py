"""The package archives that a Debian or Ubuntu system names: sources.list(5) in both of its formats."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bakery.host.errors import BakeryError

LINE = re.compile(r"deb\s+(?:\[(?P<options>[^]]*)]\s*)?(?P<uri>\S+)\s+(?P<suite>\S+)(?P<components>[^#]*)")
OPTION = re.compile(r"(?P<name>[\w-]+?)(?P<sign>[+-]?)=(?P<value>\S+)")
FIELDS = {"arch": "Architectures", "lang": "Languages", "target": "Targets"}  # other options are called as their field
ENDINGS = {"": "", "+": "-Add", "-": "-Remove"}
SPREAD = ("Types", "URIs", "Suites", "Components", "Enabled")  # fields that `Source` has by itself
MIRRORS = "mirror+file:"
SCHEMES = ("http://", "https://", "ftp://", "mirror://", "mirror+http://", "mirror+https://")


@dataclass(frozen=True)
class Source:
    """One suite of one archive; `options` are the other fields of its stanza."""

    uri: str
    suite: str
    components: tuple[str, ...]
    options: tuple[tuple[str, str], ...]

    @property
    def stanza(self) -> str:
        """The source in the format of *.sources."""
        fields = {"Types": "deb", "URIs": self.uri, "Suites": self.suite, "Components": " ".join(self.components)}
        return "".join(f"{name}: {value}\n" for name, value in {**fields, **dict(self.options)}.items() if value)


def read_sources(root: Path) -> tuple[Source, ...]:
    """The sources of a system. Stanzas that differ in their components alone become one.

    BakeryError for a source that no other machine can ask.
    """
    components: dict[Source, list[str]] = {}
    for source in _list_sources(root / "etc/apt"):
        if source.uri.startswith(MIRRORS):
            source = replace(source, uri=_first_mirror(root, source.uri.removeprefix(MIRRORS)))
        if not source.uri.startswith(SCHEMES):
            raise BakeryError(
                f"the package archive {source.uri} {source.suite} of the image is not at a network address",
                hint="only the image can read it: remove it before the image is sealed",
            )
        components.setdefault(replace(source, components=()), []).extend(source.components)
    return tuple(replace(source, components=tuple(sorted(set(names)))) for source, names in components.items())


def parse_lines(lines: Iterable[str]) -> Iterator[Source]:
    """The sources of a *.list file."""
    for line in lines:
        if match := LINE.match(line.strip()):
            options = (_option_field(option) for option in OPTION.finditer(match["options"] or ""))
            yield Source(match["uri"], match["suite"], tuple(match["components"].split()), tuple(sorted(options)))


def parse_stanzas(lines: Iterable[str]) -> Iterator[Source]:
    """The sources of a *.sources file."""
    from debian.deb822 import Deb822

    for stanza in Deb822.iter_paragraphs(lines, use_apt_pkg=False):
        if "deb" not in stanza["Types"].split() or stanza.get("Enabled", "yes").lower() in ("no", "false", "0"):
            continue
        spread = [name.lower() for name in SPREAD]
        options = sorted((name, value) for name, value in stanza.items() if name.lower() not in spread)
        components = tuple(stanza.get("Components", "").split())
        for uri in stanza["URIs"].split():
            for suite in stanza["Suites"].split():
                yield Source(uri, suite, components, tuple(options))


def _list_sources(folder: Path) -> Iterator[Source]:
    for path in (folder / "sources.list", *sorted((folder / "sources.list.d").glob("*.list"))):
        if path.is_file():
            yield from parse_lines(path.read_text().splitlines())
    for path in sorted((folder / "sources.list.d").glob("*.sources")):
        yield from parse_stanzas(path.read_text().splitlines())


def _option_field(option: re.Match[str]) -> tuple[str, str]:
    name = FIELDS.get(option["name"], option["name"].title())
    return name + ENDINGS[option["sign"]], option["value"].replace(",", " ")


def _first_mirror(root: Path, path: str) -> str:
    """The first address in a list of mirrors, as Debian's cloud images have one."""
    file = root / path.lstrip("/")
    if not file.is_file():
        raise BakeryError(
            "the list of mirrors is not in the package database",
            where=path,
            hint="keep it below /etc/apt in the image",
        )
    lines = [line.split()[0] for line in file.read_text().splitlines() if line.strip() and not line.startswith("#")]
    if not lines:
        raise BakeryError("the list of mirrors is empty", where=path)
    return lines[0]
