"""A private root for apt: the package database of an image, and a configuration of its own."""

from dataclasses import dataclass
from pathlib import Path

from bakery.host import process
from bakery.host.errors import BakeryError
from bakery.host.process import Finished
from bakery.refresh.archives import ANSWER_SECONDS, ARCHIVE_SECONDS

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
        return process.run(command, env=environment, timeout=ARCHIVE_SECONDS)

    def path_of(self, name: str) -> Path:
        """The file here that is `name` in the image."""
        return self.folder / name.lstrip("/")


def is_root(folder: Path) -> bool:
    """Whether an unpacked package database is dpkg's."""
    return (folder / STATUS).is_file()


def prepare_root(folder: Path) -> Root:
    """Add what apt wants to find to an unpacked package database."""
    for name in ("etc/apt", "var/lib/apt", "var/cache/apt/archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return Root(folder, _read_architectures(folder))


def _read_architectures(folder: Path) -> tuple[str, ...]:
    """The architecture of dpkg itself, then those that were added."""
    from debian.deb822 import Deb822

    with (folder / STATUS).open("rb") as stream:
        packages = Deb822.iter_paragraphs(stream, use_apt_pkg=False)
        native = next((fields["Architecture"] for fields in packages if fields["Package"] == "dpkg"), "")
    if not native:
        raise BakeryError("the package database does not list dpkg")
    more = folder / "var/lib/dpkg/arch"
    return tuple(dict.fromkeys([native, *(more.read_text().split() if more.is_file() else ())]))
