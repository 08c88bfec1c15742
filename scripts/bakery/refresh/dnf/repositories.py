"""The package archives and settings that a system of the Red Hat family names: dnf.conf and *.repo files."""

import re
from collections.abc import Iterable, Iterator, Mapping
from configparser import ConfigParser, SectionProxy
from configparser import Error as SyntaxProblem
from dataclasses import dataclass
from pathlib import Path

from bakery.host.errors import BakeryError

CONFIGURATION = "etc/dnf/dnf.conf"
FOLDERS = ("etc/yum.repos.d", "etc/yum/repos.d", "etc/distro.repos.d")  # where dnf looks for *.repo
VARIABLES = ("etc/dnf/vars", "etc/yum/vars")  # folders, the first goes before
MAIN = "main"
LINKS = ("metalink", "mirrorlist")  # options with one address; those of the others are lists
ADDRESSES = (*LINKS, "baseurl")  # dnf asks the first of these that a repository has
SCHEMES = ("http://", "https://", "ftp://")
# The options of dnf.conf(5) that are taken from an image. Those that are left out name files or commands of the machine
# that dnf runs on, or say how an archive is asked.
FETCHING = (*ADDRESSES, "gpgkey", "repo_gpgcheck", "sslverify")
SOLVING = ("exclude", "excludepkgs", "includepkgs", "priority", "cost", "module_hotfixes")
SETTINGS = (
    *("exclude", "excludepkgs", "includepkgs", "best", "strict", "obsoletes", "multilib_policy", "install_weak_deps"),
    *("installonlypkgs", "installonly_limit", "module_platform_id", "module_stream_switch"),
)
INHERITED = ("repo_gpgcheck", "sslverify")  # a repository that does not have them has those of [main]
NEGATIVE = ("0", "no", "false", "off", "disabled")
IDENTIFIER = re.compile(r"[\w.:-]+", re.ASCII)  # any other is no name of a repository for dnf
VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


@dataclass(frozen=True)
class Repository:
    """An enabled package archive; `options` are in the order of their names, with the values of variables."""

    name: str
    options: tuple[tuple[str, str], ...]

    @property
    def address(self) -> str:
        """The address that dnf asks first."""
        options = dict(self.options)
        return next((options[name].split()[0] for name in ADDRESSES if options.get(name)), "")

    @property
    def fetching(self) -> dict[str, str]:
        """The options that decide which lists it has."""
        return {name: value for name, value in self.options if name in FETCHING}

    @property
    def stanza(self) -> str:
        """The repository in the format of *.repo, as it is when its lists are there."""
        solving = {name: value for name, value in self.options if name in SOLVING}
        addresses = {name: value for name, value in self.options if name in ADDRESSES}
        return render_section(self.name, {"name": self.name, "gpgcheck": "0", **addresses, **solving})


def read_configuration(folder: Path, variables: Mapping[str, str]) -> tuple[dict[str, str], tuple[Repository, ...]]:
    """The settings of dnf in an image and its repositories. `variables` are dnf's own, by name.

    BakeryError for a file that dnf cannot read, and for a repository that no other machine can ask.
    """
    known = {**variables, **_read_variables(folder)}  # an image may set $releasever
    paths = [path for name in FOLDERS for path in (folder / name).glob("*.repo")]
    sections: dict[str, SectionProxy] = {}
    for path in (folder / CONFIGURATION, *sorted(paths, key=lambda path: (path.parent, path.stem))):
        for name, section in parse_file(path).items():
            sections.setdefault(name, section)  # of two with one name, dnf takes the first
    defaults = dict(sections.pop(MAIN, {}))
    if "reposdir" in defaults:
        raise BakeryError(
            "dnf.conf of the image sets reposdir",
            where=f"/{CONFIGURATION}",
            hint="keep the repositories in /etc/yum.repos.d, and remove this setting",
        )
    settings = {name: _expand_value(name, value, known) for name, value in defaults.items() if name in SETTINGS}
    inherited = {name: value for name, value in defaults.items() if name in INHERITED}
    return settings, tuple(_read_repositories(sections.values(), inherited, known))


def parse_file(path: Path) -> dict[str, SectionProxy]:
    """The sections of a file of dnf by name; none if it is not there. BakeryError if dnf cannot read it."""
    parser = ConfigParser(delimiters=("=",), strict=False, interpolation=None, default_section="")
    try:
        if path.is_file():
            parser.read_string(path.read_text(encoding="utf-8"))
    except (SyntaxProblem, UnicodeDecodeError) as error:
        where = f"/{path.parent.name}/{path.name}"
        raise BakeryError("a configuration file of dnf cannot be parsed", where=where, detail=str(error)) from error
    return {name: parser[name] for name in parser.sections()}


def is_enabled(section: SectionProxy) -> bool:
    """Whether a repository or a plugin is enabled: if nothing is said, it is."""
    return section.get("enabled", "1").strip().lower() not in NEGATIVE


def render_section(name: str, options: Mapping[str, str]) -> str:
    """A section of dnf.conf."""
    return "".join((f"[{name}]\n", *(f"{option}={value}\n" for option, value in options.items())))


def _read_repositories(
    sections: Iterable[SectionProxy], inherited: Mapping[str, str], variables: Mapping[str, str]
) -> Iterator[Repository]:
    for section in sections:
        if not is_enabled(section):
            continue
        options = {**inherited, **section}
        name = _expand_value("", section.name, variables)
        texts = {
            option: _expand_value(option, value, variables)
            for option, value in options.items()
            if option in (*FETCHING, *SOLVING)
        }
        repository = Repository(name, tuple(sorted(texts.items())))
        _require_usable(repository)
        yield repository


def _require_usable(repository: Repository) -> None:
    name = f"the package archive '{repository.name}' of the image"
    if not IDENTIFIER.fullmatch(repository.name):
        raise BakeryError(f"{name} has a name that dnf does not accept", hint="use letters, digits and '-_.:'")
    if not repository.address:
        raise BakeryError(f"{name} has no address", hint="give it a baseurl, a mirrorlist or a metalink, or disable it")
    for option in ADDRESSES:
        for address in dict(repository.options).get(option, "").split():
            if not address.startswith(SCHEMES):
                raise BakeryError(
                    f"{name} is not at a network address: {address}",
                    hint="only the image can read it: disable it before the image is sealed",
                )


def _read_variables(folder: Path) -> dict[str, str]:
    """The values of variables in an image: each is a file with one line."""
    values: dict[str, str] = {}
    for name in VARIABLES:
        for path in sorted((folder / name).glob("*")):
            if path.is_file():
                values.setdefault(path.name, path.read_text(encoding="utf-8", errors="replace").strip())
    return values


def _expand_value(option: str, value: str, variables: Mapping[str, str]) -> str:
    """The value of an option in one line, with the values of variables; unknown ones stay as they are, as in dnf."""
    line = value.strip() if option in LINKS else " ".join(value.replace(",", " ").split())
    return VARIABLE.sub(lambda match: variables.get(match[1] or match[2], match[0]), line)
