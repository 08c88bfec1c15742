"""A private root for dnf: the package database of an image, and a configuration of its own."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bakery.host import process
from bakery.host.errors import BakeryError
from bakery.host.process import Finished, ProcessError
from bakery.refresh.archives import ANSWER_SECONDS, ARCHIVE_SECONDS
from bakery.refresh.dnf.repositories import Repository, is_enabled, parse_file, read_configuration, render_section
from bakery.refresh.root import UnknownPackagesError

DATABASES = ("usr/lib/sysimage/rpm", "var/lib/rpm")  # the first since Fedora 36; the second is a link to it there
SYSTEM = "etc/dnf"
LOCKS = "etc/dnf/plugins/versionlock.conf"
# Packages whose version is $releasever, in dnf's own order: DISTROVERPKG in its const.py.
RELEASES = (
    *("system-release(releasever)", "system-release", "distribution-release(releasever)", "distribution-release"),
    "redhat-release",
)
PLATFORMS = ("etc/os-release", "usr/lib/os-release")
NO_FOLDER = "/dev/null/parts"  # in place of folders of the machine
CACHE = "cache"
# Neither the image's nor the machine's configuration is read: it may name commands and files.
OPTIONS = {
    "reposdir": NO_FOLDER,
    "varsdir": NO_FOLDER,
    "protected_packages": "",
    "protect_running_kernel": "0",  # it is the machine's
    "skip_if_unavailable": "0",
    "metadata_expire": "0",
    "timeout": str(ANSWER_SECONDS),
    "retries": "2",
    "color": "never",
}


@dataclass(frozen=True)
class Root:
    """The unpacked package database of an image, its repositories and settings of dnf, and whether it locks versions.

    `database` is the folder of rpm's own files, `release` the value of $releasever.
    """

    folder: Path
    database: Path
    architecture: str = ""
    release: str = ""
    repositories: tuple[Repository, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    has_locks: bool = False

    def run_dnf(
        self,
        *arguments: str,
        stanzas: Iterable[str],
        cache: str = CACHE,
        locked: bool = False,
        on_output: Callable[[str], None] | None = None,
    ) -> Finished:
        """Run dnf over this root with these repositories.

        `cache` is the folder below the root that has their lists, `locked` applies the version locks of the image.
        """
        if process.which("dnf") is None:  # fakeroot would fail in its place
            raise ProcessError("dnf is not installed", 127, "", hint="run 'bakery doctor' to see what is missing")
        configuration = self.folder / "dnf.conf"
        main = {**OPTIONS, "cachedir": f"/{cache}", "pluginconfpath": str(self.folder / "plugins"), **self.settings}
        configuration.write_text("".join((render_section("main", main), *stanzas)))
        use_locks = locked and self.has_locks
        plugins = ("--disableplugin=*", "--enableplugin=versionlock") if use_locks else ("--noplugins",)
        command = (
            # `upgrade` refuses to run without root, even if it only looks.
            *("fakeroot", "dnf", f"--config={configuration}", f"--installroot={self.folder}", *plugins),
            *(f"--releasever={self.release}", f"--forcearch={self.architecture}", *arguments),
        )
        # Its messages are parsed, so they must be English. rpm's own macros are in the home of a user.
        environment = {"HOME": str(self.folder), "LC_ALL": "C.UTF-8", "DNF_DISABLE_ALIASES": "1"}
        return process.run(command, env=environment, timeout=ARCHIVE_SECONDS, on_output=on_output)

    def query_rpm(self, form: str, *selection: str, check: bool = True) -> list[str]:
        """The lines of an answer in this form. Without `check`, there are none if no package is selected."""
        command = ["rpm", "--dbpath", str(self.database.absolute()), "--query", "--queryformat", form, *selection]
        answer = process.run(command, env={"LC_ALL": "C.UTF-8"}, check=check)
        return answer.stdout.splitlines() if answer.returncode == 0 else []

    def path_of(self, name: str) -> Path | None:
        """The file here that is `name` in the image; None if it was not kept."""
        path = (self.folder / name.lstrip("/")).resolve()
        return path if path.is_file() and path.is_relative_to(self.folder.resolve()) else None


def is_root(folder: Path) -> bool:
    """Whether an unpacked package database is rpm's, of a system with dnf."""
    return _find_database(folder) is not None and (folder / SYSTEM).is_dir()


def prepare_root(folder: Path) -> Root:
    """Read what dnf has to know of an unpacked package database."""
    database = _find_database(folder)
    assert database
    if not any((folder / name).is_file() for name in PLATFORMS):
        raise UnknownPackagesError("its os-release, which names the platform of its modules, was not kept")
    # Debian's rpm would look for the database in the home of the user.
    (folder / ".rpmmacros").write_text(f"%_dbpath /{database.relative_to(folder)}\n")
    root = Root(folder, database)
    architecture, release = _read_architecture(root), _read_release(root)
    variables = {"releasever": release, "basearch": architecture, "arch": architecture}
    settings, repositories = read_configuration(folder, variables)
    return Root(folder, database, architecture, release, repositories, settings, _prepare_locks(root))


def _prepare_locks(root: Root) -> bool:
    """Give dnf the version locks of an image; False if it has none."""
    section = parse_file(root.folder / LOCKS).get("main")
    if section is None or not is_enabled(section):
        return False
    name = section.get("locklist", "/etc/dnf/plugins/versionlock.list")
    locks = root.path_of(name)
    if locks is None:
        raise BakeryError(
            "the list of version locks is not in the package database",
            where=name,
            hint="keep it below /etc/dnf in the image",
        )
    (root.folder / "plugins").mkdir()
    (root.folder / "plugins/versionlock.conf").write_text(
        render_section("main", {"enabled": "1", "locklist": str(locks)})
    )
    return True


def _find_database(folder: Path) -> Path | None:
    paths = (folder / name for name in DATABASES)
    return next((path for path in paths if path.is_dir() and not path.is_symlink()), None)


def _read_architecture(root: Root) -> str:
    """The architecture of rpm itself."""
    lines = root.query_rpm("%{ARCH}\\n", "rpm", check=False)
    if not lines:
        raise BakeryError("the package database does not list rpm")
    return lines[0]


def _read_release(root: Root) -> str:
    """The value of $releasever, as dnf finds it: the version that the package of the release provides, or has."""
    form = "%{NAME}\\t%{VERSION}\\n[\\t%{PROVIDENAME}\\t%{PROVIDEVERSION}\\n]"
    for name in RELEASES:
        if lines := root.query_rpm(form, "--whatprovides", name, check=False):
            package, version = lines[0].split("\t")
            provides = dict(line.split("\t")[1:] for line in reversed(lines) if line.startswith("\t"))
            return (provides.get(name) if package != name else "") or version
    raise BakeryError(
        "no package of the image says which release it is", hint="install the distribution's release package"
    )
