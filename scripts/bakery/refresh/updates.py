"""Updates of an image, found by the package manager of its family."""

from collections.abc import Sequence
from datetime import datetime

from bakery.host import files
from bakery.model.observations import Archive, Upgrade
from bakery.refresh import apt, dnf
from bakery.refresh.archives import Archives
from bakery.refresh.root import UnknownPackagesError, unpack_database


def observe_updates(database: bytes, archives: Archives) -> tuple[tuple[Archive, ...], Upgrade]:
    """The archives of an image and the upgrade that they have for it; `database` is the one that the catalog keeps.

    BakeryError for each archive that does not answer as it should.
    """
    with files.scratch(archives.scratch, "root") as folder:
        unpack_database(database, folder)
        if apt.is_root(folder):
            return apt.observe_updates(folder, archives)
        if dnf.is_root(folder):
            return dnf.observe_updates(folder, archives)
        raise UnknownPackagesError("updates are known for apt and dnf only")


def observe_dated(database: bytes, archives: Archives, date: datetime) -> tuple[dict[str, str], Upgrade]:
    """The dated address of each archive of a Debian or Ubuntu image, and the upgrade that they have for it.

    The address is the archive's own if it has no dated one. BakeryError as for `observe_updates`.
    """
    with files.scratch(archives.scratch, "root") as folder:
        unpack_database(database, folder)
        if not apt.is_root(folder):
            raise UnknownPackagesError("only images with apt can have a lock")
        return apt.observe_dated(folder, archives, date)


def find_missing(database: bytes, archives: Archives, entries: Sequence[str]) -> dict[str, str]:
    """Entries of a definition's list of packages that no archive of an image has, each with a hint, which may be empty.

    Entries that only the bake can resolve are passed over, as are all of other families. BakeryError as above.
    """
    with files.scratch(archives.scratch, "root") as folder:
        unpack_database(database, folder)
        if apt.is_root(folder):
            return apt.find_missing(folder, archives, entries)
        return dnf.find_missing(folder, archives, entries) if dnf.is_root(folder) else {}
