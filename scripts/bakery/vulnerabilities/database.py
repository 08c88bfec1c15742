"""Grype's vulnerability database, from the source that the user names; without one, nothing is fetched."""

import hashlib
import json
import os
import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from bakery.host import files, process
from bakery.host.errors import BakeryError, UsageError
from bakery.host.process import ProcessError
from bakery.model.documents import DatabaseState

VARIABLE = "BAKERY_VULNERABILITY_DATABASE"
# Grype's own limit, five days by default, above which it refuses a database.
AGE_VARIABLE = "GRYPE_DB_MAX_ALLOWED_BUILT_AGE"
SCHEMA_FOLDER = "6"  # of the database of grype 0.88 and later, inside of the folder that `grype db update` fills
FETCH_SECONDS = 900.0  # 200 MB from a mirror, and its indexes
ANSWER_SECONDS = 120.0
URL = re.compile(r"^https?://")
CHECKSUM = re.compile(r"[?&]checksum=(sha256:[0-9a-f]{64})")  # in the address that grype notes after a download
# Tables of grype's database, version 6: `rocky` has the data of `rhel`.
REPLACEMENTS = "SELECT replacement FROM operating_system_specifier_overrides WHERE alias = ? AND replacement != ''"
RELEASES = "SELECT coalesce(major_version, '') FROM operating_systems WHERE name = ? OR release_id = ?"
STAMP = "imported"  # the file that tells which state of a user's file was imported


class UnknownVulnerabilitiesError(BakeryError):
    """The vulnerabilities of a version are unknown: there is no database, or no bill of materials."""


@dataclass(frozen=True)
class Database:
    """A database that grype can read, in its folder, and its state."""

    grype: Path
    folder: Path
    state: DatabaseState

    @property
    def variables(self) -> dict[str, str]:
        """The environment of a grype that answers from this database and fetches nothing."""
        return _variables(self.folder)

    def knows(self, distribution: str, version: str) -> bool:
        """Whether it has data of a distribution in this version; where it has none, grype finds nothing."""
        path = self.folder.absolute() / SCHEMA_FOLDER / "vulnerability.db"
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            names = [distribution, *(row[0] for row in connection.execute(REPLACEMENTS, (distribution,)))]
            releases = {row[0] for name in names for row in connection.execute(RELEASES, (name, name))}
        major = version.partition(".")[0]
        # A rolling distribution has no number in the database, a development release none in the image.
        return bool(releases) and (releases == {""} or not major.isdigit() or major in releases)


def open_database(source: str, grype: Path, cache: Path) -> Database:
    """The database that `source` names: a mirror's URL, an archive, a *.db file, or the folder of `grype db update`.

    A mirror is asked whether it has a newer one. UnknownVulnerabilitiesError if there is none that grype accepts.
    """
    try:
        folder = _provide_folder(source, grype, cache / hashlib.sha256(source.encode()).hexdigest()[:12])
        return Database(grype, folder, _read_state(source, grype, folder))
    except ProcessError as error:
        raise UnknownVulnerabilitiesError(
            "the vulnerability database cannot be used",
            where=_hide_login(source),
            detail=error.tail,
            hint=f"{VARIABLE} names it; grype's {AGE_VARIABLE} sets how old it may be",
        ) from error


def _provide_folder(source: str, grype: Path, folder: Path) -> Path:
    """The folder with the database of a source; `folder` takes what is fetched or imported."""
    path = Path(source).absolute()
    if not URL.match(source) and path.is_dir():
        return path
    if not URL.match(source) and not path.is_file():
        raise UsageError(
            f"{VARIABLE} names no file, folder or http(s) address",
            where=_hide_login(source),
            hint="docs/how-to/see-vulnerabilities.md lists the values",
        )
    with files.exclusive(folder.with_suffix(".lock"), "another run is fetching the database", timeout=FETCH_SECONDS):
        if URL.match(source):
            update: list[str | Path] = [grype, "db", "update", "--quiet"]
            variables = _variables(folder) | {"GRYPE_DB_UPDATE_URL": source}
            process.run(update, env=variables, secrets=_list_secrets(source), timeout=FETCH_SECONDS)
            _forget_login(folder / SCHEMA_FOLDER / "import.json")
        else:
            _import_file(path, grype, folder)
    return folder


def _forget_login(note: Path) -> None:
    """Remove user and password from the address that grype notes beside a database after a download."""
    content = json.loads(note.read_bytes())
    address = _hide_login(content["source"])
    if address != content["source"]:
        files.write_atomic(note, json.dumps({**content, "source": address}).encode())


def _import_file(path: Path, grype: Path, folder: Path) -> None:
    """Import a file unless it is the one that was imported last, and write its digest down."""
    stat = path.stat()
    stamp = f"{stat.st_size} {stat.st_mtime_ns}"
    if _read_stamp(folder)[:-1] == stamp.split():
        return
    process.run([grype, "db", "import", path, "--quiet"], env=_variables(folder), timeout=FETCH_SECONDS)
    files.write_atomic(folder / STAMP, f"{stamp} sha256:{files.sha256(path)}".encode())


def _read_stamp(folder: Path) -> list[str]:
    """Size, time and digest of the file that was imported last; empty if there is none."""
    path = folder / STAMP
    return path.read_text().split() if path.is_file() else []


def _read_state(source: str, grype: Path, folder: Path) -> DatabaseState:
    """The state of a database; ProcessError if it is damaged, too old or missing.

    The digest is that of the archive that was published, so it is the same on all machines: grype's own digest of an
    imported database is another one after each import. Only a folder into which a file was imported has no other.
    """
    answer = process.run([grype, "db", "status", "-o", "json"], env=_variables(folder), timeout=ANSWER_SECONDS).stdout
    status = json.loads(answer)
    published = CHECKSUM.search(unquote(status.get("from", "")))
    if published:
        digest = published[1]
    elif stamp := _read_stamp(folder):
        digest = stamp[-1]
    else:
        digest = json.loads((folder / SCHEMA_FOLDER / "import.json").read_bytes())["digest"]
    return DatabaseState(_hide_login(source), status["built"], digest)


def _variables(folder: Path) -> dict[str, str]:
    age = {AGE_VARIABLE: os.environ[AGE_VARIABLE]} if AGE_VARIABLE in os.environ else {}
    return {
        "GRYPE_DB_CACHE_DIR": str(folder),
        "GRYPE_DB_AUTO_UPDATE": "false",
        "GRYPE_CHECK_FOR_APP_UPDATE": "false",
        **age,
    }


def _hide_login(source: str) -> str:
    """A source without user and password."""
    parts = urlsplit(source) if URL.match(source) else None
    return parts._replace(netloc=_host_of(parts)).geturl() if parts else source


def _host_of(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


def _list_secrets(source: str) -> list[str]:
    """The parts of an address that no message may have."""
    password = urlsplit(source).password
    return [password, unquote(password)] if password else []
