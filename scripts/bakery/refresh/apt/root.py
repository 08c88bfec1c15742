"""A private root for apt: the package database of an image, and a configuration that no one else has a hand in."""

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

from debian.deb822 import Deb822

from bakery.host import files, process
from bakery.host.errors import BakeryError
from bakery.host.process import Finished

STATUS = "var/lib/dpkg/status"
FAILED = 100  # apt-get(8): the exit code for an error that apt explains
# Neither the image's nor the host's configuration is read: it may name commands that apt would run.
CONFIGURATION = """\
Dir "{root}/";
Dir::Etc::Parts "/dev/null/parts";
Dir::Etc::Main "/dev/null";
Dir::State::status "{root}/{status}";
Dir::State::lists "{lists}/";
Dir::Etc::sourcelist "{sources}";
Dir::Etc::sourceparts "/dev/null/parts";
APT::Architecture "{architecture}";
APT::Architectures {{ {architectures} }};
APT::Update::Error-Mode "any";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "1";
Acquire::http::Timeout "{timeout}";
Acquire::https::Timeout "{timeout}";
Debug::NoLocking "true";
"""
ANSWER_SECONDS = 20  # of silence, after which an archive is out of reach; apt tries twice
APT_SECONDS = 1800.0  # a whole apt call: the first lists of a distribution from a slow mirror


class UnknownPackagesError(BakeryError):
    """The packages of an image are unknown, or of a family that cannot be refreshed."""


@dataclass(frozen=True)
class Root:
    """The unpacked package database of an image; the first of its architectures is its own."""

    folder: Path
    architectures: tuple[str, ...]

    def run_apt(self, *command: str, sources: Path, lists: Path) -> Finished:
        """Run a program of apt over this root, with these sources and package lists."""
        configuration = self.folder / "apt.conf"
        configuration.write_text(
            CONFIGURATION.format(
                root=self.folder,
                status=STATUS,
                lists=lists,
                sources=sources,
                architecture=self.architectures[0],
                architectures=" ".join(f'"{name}";' for name in self.architectures),
                timeout=ANSWER_SECONDS,
            )
        )
        # Its messages are parsed, so they must be English.
        environment = {"APT_CONFIG": str(configuration), "LC_ALL": "C.UTF-8"}
        return process.run(command, env=environment, timeout=APT_SECONDS)

    def path_of(self, name: str) -> Path:
        """The file here that is `name` in the image."""
        return self.folder / name.lstrip("/")


def unpack_database(database: bytes, folder: Path) -> Root:
    """Unpack the archive of a package database, as the catalog keeps it, into an empty folder."""
    try:
        with files.explain_refusals(folder), tarfile.open(fileobj=io.BytesIO(database)) as archive:
            archive.extractall(folder, filter=_keep_inside)  # noqa: S202 - the filter keeps all of it below
    except (tarfile.TarError, OSError) as error:
        raise BakeryError("the package database cannot be unpacked", detail=str(error)) from error
    if not (folder / STATUS).is_file():
        raise UnknownPackagesError("only dpkg's package database can be refreshed")
    for name in ("etc/apt", "var/lib/apt", "var/cache/apt/archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return Root(folder, _read_architectures(folder))


def _keep_inside(entry: tarfile.TarInfo, folder: str) -> tarfile.TarInfo | None:
    """A link to an absolute path means one below the root."""
    if entry.issym() and entry.linkname.startswith("/"):
        entry = entry.replace(linkname="../" * entry.name.count("/") + entry.linkname.lstrip("/"))
    return tarfile.data_filter(entry, folder)


def _read_architectures(folder: Path) -> tuple[str, ...]:
    """The architecture of dpkg itself, then those that were added."""
    with (folder / STATUS).open("rb") as stream:
        packages = Deb822.iter_paragraphs(stream, use_apt_pkg=False)
        native = next((fields["Architecture"] for fields in packages if fields["Package"] == "dpkg"), "")
    if not native:
        raise BakeryError("the package database does not have dpkg itself")
    more = folder / "var/lib/dpkg/arch"
    return tuple(dict.fromkeys([native, *(more.read_text().split() if more.is_file() else ())]))
