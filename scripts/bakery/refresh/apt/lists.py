"""The package lists of an archive, verified by the keys of the image."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path

from bakery.host import files
from bakery.host.errors import BakeryError, OutageError
from bakery.host.process import ProcessError
from bakery.model.observations import Archive
from bakery.refresh import archives
from bakery.refresh.apt.root import FAILED, Root
from bakery.refresh.apt.sources import Source
from bakery.refresh.archives import Failure, Request

SIGNED_BY = "Signed-By"
LISTS = "lists"  # the folder of apt's lists in that of an archive

# The first that matches: a text of apt's often has the general message beside the special one.
FAILURES = (
    Failure(
        "NO_PUBKEY|error message is: Missing key",  # by gpgv, and by sqv since apt 3.0
        "is signed with a key that the image does not trust",
        "if the archive has a new key, bake the image with the new keyring; otherwise do not use the archive",
    ),
    Failure(
        "EXPKEYSIG|REVKEYSIG|KEYEXPIRED",
        "is signed with a key that has expired or is revoked",
        "bake the image with a newer keyring of the archive",
    ),
    Failure(
        "BADSIG|Message has been manipulated",
        "has a bad signature",
        "it was changed in transit: use another mirror",
    ),
    Failure(
        r"is expired \(invalid since|E: Release file for .* is expired",
        "has expired: its mirror is no longer updated",
        "use another mirror, or ask the owner of this one",
    ),
    Failure(
        "is not valid yet",
        "has a date in the future",
        "check the clock of this machine",
    ),
    Failure(
        "Hash Sum mismatch|unexpected size|Mirror sync in progress",
        "does not match its signed list: its mirror is in the middle of a sync, or damaged",
        "try again in some minutes, or use another mirror",
        OutageError,
    ),
    Failure(
        "does not have a Release file|no longer has a Release file",
        "has no signed list of this suite",
        "check the address and the suite in the image's sources of apt",
    ),
    Failure("is not signed", "is not signed", "use an archive with a signature"),
    Failure(
        "401  ?Unauthorized|403  ?Forbidden",
        "refuses this machine",
        "the catalog keeps no passwords of archives: let this machine read the archive without one",
    ),
    Failure(
        "Failed to fetch|Could not resolve|Could not connect",
        "cannot be reached",
        "check the network and the archive's address, and try again",
        OutageError,
    ),
    Failure("", "cannot be read", "see apt's message"),
)


def describe_request(source: Source, root: Root) -> Request:
    """The question to the archive of a source."""
    identity = identify(source, root)

    def ask(folder: Path) -> Archive:
        lists = folder / LISTS
        (lists / "partial").mkdir(parents=True, exist_ok=True)
        sources = root.folder / f"{identity}.sources"
        sources.write_text(map_keys(source, root).stanza)
        try:
            root.run_apt("apt-get", "update", sources=sources, lists=lists)
        except ProcessError as error:
            if error.returncode != FAILED:
                raise
            raise explain_failure(source, error.tail) from error
        return _read_state(lists, source, identity)

    return Request(identity, f"{source.uri} {source.suite}", ask)


def identify(source: Source, root: Root) -> str:
    """A digest over all that decides what a machine takes from an archive, the bytes of its keys included."""
    paths = [root.path_of(name) for name in _key_files(source)]
    if not paths:
        trusted = root.path_of("etc/apt/trusted.gpg.d")
        paths = [root.path_of("etc/apt/trusted.gpg"), *sorted(trusted.glob("*"))]
    keys = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths if path.is_file()]
    return hashlib.sha256(repr((source, root.architectures, keys)).encode()).hexdigest()


def map_keys(source: Source, root: Root) -> Source:
    """The source with its keyrings in the private root; BakeryError if one was not kept."""
    names = _key_files(source)
    for name in names:
        if not root.path_of(name).is_file():
            raise BakeryError(
                f"the keyring of {source.uri} {source.suite} is not in the package database",
                where=name,
                hint="keep it below /etc/apt/keyrings or /usr/share/keyrings in the image",
            )
    if not names:
        return source
    words = dict(source.options)[SIGNED_BY].replace(",", " ").split()
    paths = " ".join(str(root.path_of(word)) if word in names else word for word in words)
    return replace(source, options=tuple((dict(source.options) | {SIGNED_BY: paths}).items()))


def explain_failure(source: Source, output: str) -> BakeryError:
    """The error for what apt said about an archive."""
    lines = [line for line in output.splitlines() if line.startswith(("E:", "W:", "Err:"))]
    return archives.explain_failure(FAILURES, f"{source.uri} {source.suite}", output, "\n".join(lines))


def is_security(suite: str, release: Mapping[str, str]) -> bool:
    """Whether an archive is for security, by the name of its suite or by what its signed list says."""
    names = (suite, *(release.get(name, "") for name in ("Suite", "Codename", "Label", "Origin")))
    return any("security" in name.lower() for name in names)


def _key_files(source: Source) -> list[str]:
    """Paths of the keyrings that a source names; instead it may name fingerprints or hold the key itself."""
    value = dict(source.options).get(SIGNED_BY, "")
    if "BEGIN PGP" in value:
        return []
    return [word for word in value.replace(",", " ").split() if word.startswith("/")]


def _read_state(lists: Path, source: Source, identity: str) -> Archive:
    from debian.deb822 import Deb822

    release = next(path for path in sorted(lists.iterdir()) if path.name.endswith("Release"))
    with release.open("rb") as stream:
        fields = Deb822(stream)
    date = parsedate_to_datetime(fields["Date"]).astimezone(UTC).isoformat(timespec="seconds")
    return Archive(source.uri, source.suite, date, files.sha256(release), is_security(source.suite, fields), identity)
