"""A private root for a package manager: the package database of an image, as the catalog keeps it."""

import io
import tarfile
from pathlib import Path

from bakery.host import files
from bakery.host.errors import BakeryError


class UnknownPackagesError(BakeryError):
    """The packages of an image are unknown, or of a family that cannot be refreshed."""


def unpack_database(database: bytes, folder: Path) -> None:
    """Unpack the archive of a package database into an empty folder."""
    try:
        with files.explain_refusals(folder), tarfile.open(fileobj=io.BytesIO(database)) as archive:
            archive.extractall(folder, filter=_keep_inside)  # noqa: S202 - the filter keeps all of it below
    except (tarfile.TarError, OSError) as error:
        raise BakeryError("the package database cannot be unpacked", detail=str(error)) from error


def _keep_inside(entry: tarfile.TarInfo, folder: str) -> tarfile.TarInfo | None:
    """A link to an absolute path means one below the root."""
    if entry.issym() and entry.linkname.startswith("/"):
        entry = entry.replace(linkname="../" * entry.name.count("/") + entry.linkname.lstrip("/"))
    return tarfile.data_filter(entry, folder)
