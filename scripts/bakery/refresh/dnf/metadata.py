"""The package lists of an archive, verified by the keys of the image where the image asks for that."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

from bakery.host import files, process
from bakery.host.errors import BakeryError, OutageError
from bakery.host.process import ProcessError
from bakery.model.observations import Archive
from bakery.refresh.archives import Archives, Failure, Request, explain_failure
from bakery.refresh.dnf.repositories import NEGATIVE, Repository, render_section
from bakery.refresh.dnf.root import CACHE, Root

LIST = "{name}-" + 16 * "[0-9a-f]" + "/repodata/repomd.xml"  # the list of an archive's lists
NOTICES = "updateinfo"
NAMESPACE = "{http://linux.duke.edu/metadata/repo}"
FAILED = 1  # the exit code for all that dnf explains
FILE = "file://"
# The first that matches: dnf says what happened to each mirror, and then that all were tried.
FAILURES = (
    Failure(
        "GPG signature is not available",
        "is not signed",
        "the image asks for a signature (repo_gpgcheck): use an archive that has one",
    ),
    Failure(
        "GPG signature verification error",
        "has no valid signature by a key that the image trusts",
        "if the archive has a new key, bake the image with it; otherwise it was changed in transit: use another mirror",
    ),
    Failure(
        "Status code: 40[13] ",
        "refuses this machine",
        "the catalog keeps no passwords of archives: let this machine read the archive without one",
    ),
    Failure(
        r"checksum doesn't match|Status code: 404 for \S+/repodata/(?!repomd\.xml)",
        "does not match its own list: its mirror is in the middle of a sync, or damaged",
        "try again in some minutes, or use another mirror",
        OutageError,
    ),
    Failure(
        "repomd.xml parser error|Parse error",
        "has a broken list",
        "try again in some minutes, or use another mirror",
    ),
    Failure(
        "Status code: 404 ",
        "has no list at its address",
        "check its address in the image's *.repo files",
    ),
    Failure(
        r"Curl error|Status code: 5\d\d|Cannot download",
        "cannot be reached",
        "check the network and the archive's address, and try again",
        OutageError,
    ),
    Failure("", "cannot be read", "see dnf's message"),
)


def fetch_lists(root: Root, archives: Archives) -> tuple[Archive, ...]:
    """Bring the lists of all archives of an image into its root, for dnf to use; the state of each archive."""
    if not root.repositories:
        raise BakeryError("the image names no package archive", hint="add a repository to /etc/yum.repos.d")
    states = archives.fetch_all([describe_request(repository, root) for repository in root.repositories])
    for state in states:
        archives.link_lists(state, root.folder / CACHE)
    return states


def describe_request(repository: Repository, root: Root) -> Request:
    """The question to an archive."""
    identity = identify(repository, root)
    name = f"{repository.address} {repository.name}"

    def ask(folder: Path) -> Archive:
        (root.folder / identity).symlink_to(folder.absolute())
        options = {"name": repository.name, **repository.fetching, "gpgkey": map_keys(repository, root)}
        stanza = render_section(repository.name, options)
        try:
            root.run_dnf("--assumeyes", "makecache", stanzas=[stanza], cache=identity)
        except ProcessError as error:
            if error.returncode != FAILED:
                raise
            lines = [line for line in error.tail.splitlines() if line.startswith(("Error", "  - "))]
            raise explain_failure(FAILURES, name, error.tail, "\n".join(lines)) from error
        finally:
            _stop_agents(root.folder / identity)
        (folder / "expired_repos.json").unlink(missing_ok=True)  # dnf writes to it in place
        return _read_state(folder, repository, identity)

    return Request(identity, name, ask)


def identify(repository: Repository, root: Root) -> str:
    """A digest over all that decides which lists a machine takes from an archive, the bytes of its keys included."""
    paths = [root.path_of(name) for name in _list_key_files(repository)]
    keys = [files.sha256(path) for path in paths if path]
    return hashlib.sha256(repr((repository.name, repository.fetching, keys)).encode()).hexdigest()


def map_keys(repository: Repository, root: Root) -> str:
    """The addresses of the keys of an archive, files in the private root; BakeryError if one was not kept."""
    return " ".join(_map_key(address, repository, root) for address in _list_keys(repository))


def has_advisories(repomd: bytes) -> bool:
    """Whether the list of an archive has advisories, which name the security updates."""
    return any(data.get("type") == NOTICES for data in _parse_list(repomd).iter(f"{NAMESPACE}data"))


def read_list(folder: Path, repository: Repository) -> bytes:
    """The list of an archive's lists in the cache of dnf."""
    (path,) = folder.glob(LIST.format(name=repository.name))
    return path.read_bytes()


def _stop_agents(cache: Path) -> None:
    """Stop the agent that gpg starts for a new key, and that would outlive dnf. Its sockets are in /run."""
    for home in cache.glob("*/pubring"):
        process.run(["gpgconf", "--homedir", home, "--kill", "gpg-agent"])
        process.run(["gpgconf", "--homedir", home, "--remove-socketdir"])


def _list_keys(repository: Repository) -> list[str]:
    """Addresses of the keys by which the lists of an archive are verified."""
    options = repository.fetching
    return [] if options.get("repo_gpgcheck", "0").lower() in NEGATIVE else options.get("gpgkey", "").split()


def _map_key(address: str, repository: Repository, root: Root) -> str:
    if not address.startswith(FILE):
        return address
    name = address.removeprefix(FILE)
    path = root.path_of(name)
    if path is None:
        raise BakeryError(
            f"the key of {repository.address} {repository.name} is not in the package database",
            where=name,
            hint="keep it below /etc/pki/rpm-gpg in the image",
        )
    return f"{FILE}{path}"


def _list_key_files(repository: Repository) -> list[str]:
    return [address.removeprefix(FILE) for address in _list_keys(repository) if address.startswith(FILE)]


def _read_state(folder: Path, repository: Repository, identity: str) -> Archive:
    repomd = read_list(folder, repository)
    times = [int(float(time.text or 0)) for time in _parse_list(repomd).iter(f"{NAMESPACE}timestamp")]
    date = datetime.fromtimestamp(max(times, default=0), UTC).isoformat(timespec="seconds")
    digest = hashlib.sha256(repomd).hexdigest()
    return Archive(repository.address, repository.name, date, digest, security=False, identity=identity)


def _parse_list(repomd: bytes) -> ElementTree.Element:
    return ElementTree.fromstring(repomd)  # noqa: S314 - dnf has read it, and expat limits how far entities grow
