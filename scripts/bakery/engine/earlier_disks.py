"""The disks of earlier versions that targets have, so that only the changed blocks of a new one are sent."""

from collections.abc import Iterable, Iterator

from bakery.catalog import Record
from bakery.clouds import CLOUDS
from bakery.clouds.target import EarlierDisk
from bakery.engine.attest import read_provenance, refuse_other_version, verify_provenance
from bakery.engine.session import Session
from bakery.host.errors import BakeryError, describe_error
from bakery.host.events import Event
from bakery.machine.block_list import BlockList
from bakery.model.naming import full_name
from bakery.model.version import ImageVersion, Versioned
from bakery.provenance import find_disk


def find_earlier_disks(session: Session, of: Versioned, targets: Iterable[str]) -> dict[str, EarlierDisk]:
    """The newest disk of another complete version of the image at each target that can send changes."""
    disks = {}
    for target in targets:
        if CLOUDS[target].incremental and (record := next(_list_records(session, of, target), None)):
            try:
                disks[target] = _read_disk(session, record, target)
            except BakeryError as error:
                text = f"the whole disk is sent, as the blocks of {full_name(record)} are unknown"
                session.report(Event("note", "publish", full_name(of), f"{text}: {describe_error(error)}"))
    return disks


def _list_records(session: Session, of: Versioned, target: str) -> Iterator[Record]:
    """The other complete versions at a target whose bytes somebody signed, newest first."""
    for version in reversed(session.catalog.versions(of.image, of.arch)):
        if version != of.version:
            record = session.catalog.record(ImageVersion(of.image, of.arch, version))
            if record.state == "complete" and record.provenance and record.publication(target):
                yield record


def _read_disk(session: Session, record: Record, target: str) -> EarlierDisk:
    """The disk of a version at a target, as its signed statement says; BakeryError if that does not name its blocks."""
    catalog = session.catalog
    statement = verify_provenance(read_provenance(catalog, record), catalog.location, session.keyring)
    refuse_other_version(statement, record)
    publication = record.publication(target)
    assert publication  # `_list_records` gives no other record
    disks = {
        location: disk
        for location in publication.locations
        if location.owned and (disk := find_disk(statement, target, location))
    }
    if len(set(disks.values())) != 1:
        raise BakeryError("its images do not have one disk that its statement names")
    disk = next(iter(disks.values()))
    content = catalog.block_list(record, disk.blocks)
    if content is None:
        raise BakeryError("the catalog has no list of them")
    return EarlierDisk(tuple(disks), disk.sha256, BlockList.parse(content, f"{catalog.location}: {disk.blocks}"))
