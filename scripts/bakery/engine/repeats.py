"""Compares a disk with the one before that was baked from the same inputs and archives: is the input key complete?"""

import gzip

from bakery.catalog import Record
from bakery.contents import FILE_LIST
from bakery.engine.contents import find_contents
from bakery.engine.session import Session
from bakery.host import files
from bakery.host.errors import BakeryError
from bakery.host.events import Event
from bakery.host.text import count_of
from bakery.model import baked, documents
from bakery.model.contents import Contents, FileList
from bakery.model.documents import Artifact

SHOWN = 10  # paths in a message; the file has all
HIDDEN = "files that not everybody may read"


def report_repeat(session: Session, artifact: Artifact, *, must_be_equal: bool) -> None:
    """Report whether a disk has the content of the newest version, if the two can be compared.

    If it `must_be_equal`, other content is a BakeryError, and a note says why two disks cannot be compared.
    """
    definition = session.definitions.images[artifact.image]
    record = session.newest_record(definition)
    contents, earlier = find_contents(session, artifact), session.catalog.contents(record) if record else None
    subject = f"{artifact.image} {artifact.version}"
    if obstacle := _find_obstacle(artifact, contents, record, earlier):
        if must_be_equal:
            session.report(Event("note", "bake", subject, f"not compared with an earlier version: {obstacle}"))
        return
    assert record
    assert contents
    assert earlier
    if contents.content_digest == earlier.content_digest:
        session.report(Event("note", "bake", subject, f"same content as {record.version}, baked from the same inputs"))
        return
    paths = _list_differences(session, artifact, session.catalog.files(record, earlier))
    listing = session.project.logs / f"{artifact.image}-{artifact.version}-differences.txt"
    files.write_atomic(listing, "".join(f"{path}\n" for path in paths).encode())
    shown = ", ".join(paths[:SHOWN]) + (f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else "")
    text = (
        f"OTHER CONTENT than {record.version}, baked from the same inputs and archives: {count_of(len(paths), 'path')}"
    )
    session.report(Event("failed", "bake", subject, f"{text}: {shown} (all in {listing})"))
    if must_be_equal:
        raise BakeryError(
            f"{subject} has other content than {record.version}, and --fail-on difference asks for the same",
            where=str(listing),
            hint="if a role should give another result each time, run without this option",
        )


def _find_obstacle(
    artifact: Artifact, contents: Contents | None, record: Record | None, earlier: Contents | None
) -> str:
    """The reason why a disk need not have the content of the newest version; empty if it must."""
    if record is None or record.version == artifact.version:
        return "there is none"
    if record.input_key != artifact.input_key:
        return f"the inputs changed since {record.version}"
    if not contents or not earlier or not contents.content_digest or not earlier.content_digest:
        return "one of the disks has no content digest"
    if not contents.archives or not earlier.archives:
        return "nobody knows whether the package archives changed"
    return f"the package archives changed since {record.version}" if contents.archives != earlier.archives else ""


def _list_differences(session: Session, artifact: Artifact, earlier: FileList | None) -> list[str]:
    """The sorted paths of the entries that differ."""
    packed = (baked.part_folder(session.project, artifact) / FILE_LIST).read_bytes()
    after = documents.parse(FileList, gzip.decompress(packed), FILE_LIST).entries
    before = earlier.entries if earlier else {}
    paths = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    return paths or [HIDDEN]
