"""The contents of a part, as the job that baked it read and signed them."""

from pathlib import Path

from bakery.contents import DATABASE, DOCUMENT, FILE_LIST, sbom_path
from bakery.engine.evidence import bake_duty
from bakery.engine.session import Session
from bakery.host import files
from bakery.host.errors import BakeryError, OutageError
from bakery.model import baked, documents
from bakery.model.contents import SBOM_SUFFIXES, Contents
from bakery.model.documents import Part
from bakery.signing import verify_document


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
