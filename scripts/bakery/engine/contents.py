"""The contents of a part, as the job that baked it read and signed them."""

from pathlib import Path

from bakery.contents import (
    DATABASE,
    DOCUMENT,
    FILE_LIST,
    SystemContents,
    UnreadableError,
    read_archive,
    read_disk,
    read_raw,
    sbom_path,
    write_disk_contents,
)
from bakery.engine import toolbox
from bakery.engine.evidence import bake_duty
from bakery.engine.session import Session
from bakery.host import files
from bakery.host.errors import BakeryError, OutageError
from bakery.host.events import Event, report_step
from bakery.model import baked, documents
from bakery.model.contents import ROOT_ARCHIVE, SBOM_SUFFIXES, Contents
from bakery.model.documents import Artifact, Part
from bakery.model.version import ImageVersion
from bakery.signing import save_signed, verify_document


class RawReader:
    """Reads the contents of a disk during its bake, which has no part yet; `contents` is None if they are not known.

    It reports no error: `read_contents` reads the disk again then, and says why it cannot.
    """

    def __init__(self, session: Session, of: ImageVersion) -> None:
        self._session = session
        self._of = of
        self.contents: SystemContents | None = None

    def read(self, raw: Path, archives_report: Path) -> None:
        """Read a raw disk; `archives_report` is what apt said of its archives, if the bake asked it."""
        if self._session.definitions.images[self._of.image].windows:
            return
        try:
            self.contents = read_raw(raw, self._of, archives_report, toolbox.find(self._session.project, "syft"))
        except BakeryError:
            return


def read_contents(session: Session, part: Part, system_contents: SystemContents | None = None) -> Contents | None:
    """The contents of a part, read once and signed in its folder; None, with a note, if they cannot be read.

    `system_contents` has them if its bake has read the disk.
    """
    if contents := find_contents(session, part):
        return contents
    folder = baked.part_folder(session.project, part)
    if system_contents and isinstance(part, Artifact):
        contents = write_disk_contents(system_contents, part, folder / "disk.qcow2")
    else:
        contents = read_unsigned_contents(session, part)
    if contents:
        save_signed(contents, part, folder / DOCUMENT, session.keyring, bake_duty(part))
    return contents


def read_unsigned_contents(session: Session, part: Part) -> Contents | None:
    """The contents of a part, which are not signed; None, with a note, if they cannot be read."""
    folder, subject = baked.part_folder(session.project, part), f"{part.image} {part.version}"
    if session.definitions.images[part.image].windows:
        session.report(Event("note", "contents", subject, "unknown: Windows has no package database"))
        return None
    syft, archive = toolbox.find(session.project, "syft"), folder / ROOT_ARCHIVE
    contents = None
    with report_step(session.report, "contents", subject, "read packages and boot files"):
        try:
            if isinstance(part, Artifact):
                return read_disk(part, folder / "disk.qcow2", syft)
            contents = read_archive(part, archive, syft)
        except UnreadableError as error:
            session.report(Event("note", "contents", subject, f"unknown: {error.message}"))
    archive.unlink(missing_ok=True)  # large, and nothing else needs it
    return contents


def find_contents(session: Session, part: Part) -> Contents | None:
    """The contents of a part; None unless they are signed and complete, with a database and documents that fit."""
    folder = baked.part_folder(session.project, part)
    contents = documents.find_valid(Contents, folder / DOCUMENT)
    if contents is None or contents.sha256 != part.identity or not _is_complete(contents, folder):
        return None
    try:
        verify_document(contents, part, folder / DOCUMENT, session.keyring, bake_duty(part))
    except OutageError:
        raise
    except BakeryError:
        return None
    return contents


def _is_complete(contents: Contents, folder: Path) -> bool:
    if contents.sboms.keys() != SBOM_SUFFIXES.keys():  # an older release wrote it
        return False
    digests = {folder / DATABASE: contents.database, folder / FILE_LIST: contents.files}
    digests |= {sbom_path(folder, name): digest for name, digest in contents.sboms.items()}
    return all(path.is_file() and files.sha256(path) == digest for path, digest in digests.items())
