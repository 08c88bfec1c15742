"""Compare the images of a version with the signed statement about it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from bakery.catalog import Catalog, Record
from bakery.clouds.read_back import OtherDiskError
from bakery.engine.read_back import ImageReader
from bakery.host.errors import BakeryError, NotFoundError, PartialError
from bakery.host.text import count_of
from bakery.machine.block_list import BlockList
from bakery.machine.block_stream import digest_disk
from bakery.model.documents import ImageLocation, Strict
from bakery.model.naming import full_name
from bakery.provenance import PREDICATE_TYPE, AttestedDisk, compare_disks, find_disk
from bakery.signing import Keyring

Status = Literal["ok", "different", "unreachable"]


@dataclass(frozen=True)
class LocationResult(Strict):
    """The result of one image: `detail` names the difference, or why it could not be read."""

    target: str
    account: str
    region: str
    id: str
    status: Status
    detail: str = ""

    @property
    def name(self) -> str:
        """The location and the image, for people."""
        return "/".join(filter(None, (self.target, self.account, self.region, self.id)))


@dataclass(frozen=True)
class Attestation(Strict):
    """The comparison of a version's images with the statement whose envelope has the digest `provenance`."""

    image: str
    arch: str
    version: str
    provenance: str
    locations: tuple[LocationResult, ...]
    schema: Literal["bakery/attestation/1"] = "bakery/attestation/1"


def read_provenance(catalog: Catalog, record: Record) -> bytes:
    """The envelope of the statement about a version; NotFoundError if it has none."""
    envelope = catalog.provenance(record)
    if envelope is None:
        if record.state == "reserved":
            hint = f"it is not complete: run 'bakery run {record.image}' first"
        else:
            hint = "an older release published it: 'bakery run --rebuild' makes a version with one"
        raise NotFoundError(f"{full_name(record)} has no provenance", hint=hint)
    return envelope


def verify_provenance(envelope: bytes, where: str, keyring: Keyring) -> dict[str, Any]:
    """The statement of an envelope; BakeryError unless a trusted key of the duty that publishes signed it."""
    signed = keyring.verify(envelope, "publish", where)
    if signed.predicate_type != PREDICATE_TYPE:  # a key of one's own signs documents of other kinds as well
        raise BakeryError("the statement is not about provenance", where=where, detail=signed.predicate_type)
    statement: dict[str, Any] = json.loads(signed.dump())
    return statement


def refuse_other_version(statement: Mapping[str, Any], record: Record) -> None:
    """BakeryError unless a statement is about the version of a record."""
    try:
        parameters = statement["predicate"]["buildDefinition"]["externalParameters"]
    except (KeyError, TypeError) as error:
        raise BakeryError("the statement names no version", hint="no release of the bakery wrote it") from error
    if tuple(parameters.get(key) for key in ("image", "arch", "version")) != (
        record.image,
        record.arch,
        record.version,
    ):
        raise BakeryError(
            f"the statement is not about {full_name(record)}",
            detail=f"it is about {parameters.get('image')} {parameters.get('version')} ({parameters.get('arch')})",
            hint="somebody moved it in the catalog: restore the catalog from a backup",
        )


def select_images(record: Record, name: str) -> list[tuple[str, ImageLocation]]:
    """The owned images of a version with their target; only the one whose ID is `name`, if there is one."""
    images = [
        (publication.target, location)
        for publication in record.publications
        for location in publication.locations
        if location.owned
    ]
    return [(target, location) for target, location in images if name == location.id] or images


def check_images(
    catalog: Catalog, record: Record, statement: Mapping[str, Any], reader: ImageReader, name: str = ""
) -> Attestation:
    """Read each image back and compare it with a statement whose signature was checked."""
    results = [
        _check_image(catalog, record, statement, reader, target, location)
        for target, location in select_images(record, name)
    ]
    return Attestation(record.image, record.arch, record.version, record.provenance, tuple(results))


def require_equal(attestation: Attestation) -> None:
    """BakeryError if an image differs from the statement, PartialError if one could not be read."""
    by_status = {status: list(_list_images(attestation, status)) for status in ("different", "unreachable")}
    images = f"{count_of(len(attestation.locations), 'image')} of {attestation.image} {attestation.version}"
    if different := by_status["different"]:
        raise BakeryError(
            f"{len(different)} of {images} {'differs' if len(different) == 1 else 'differ'} from what was published",
            detail="\n".join([*different, *by_status["unreachable"]]),
            hint="do not start machines from these images; find out who changed or registered them",
        )
    if unreachable := by_status["unreachable"]:
        raise PartialError(
            f"{len(unreachable)} of {images} could not be read",
            detail="\n".join(unreachable),
            hint="remove the cause that each image names, and run again",
        )


def _check_image(
    catalog: Catalog,
    record: Record,
    statement: Mapping[str, Any],
    reader: ImageReader,
    target: str,
    location: ImageLocation,
) -> LocationResult:
    result = partial(LocationResult, target, location.account, location.region, location.id)
    attested = find_disk(statement, target, location)
    if attested is None:
        return result("different", "the statement does not name it")
    try:
        disk_there = reader.read(target, location, lambda disk, _: digest_disk(disk, attested.size))
    except BakeryError as error:
        status: Status = "different" if isinstance(error, OtherDiskError) else "unreachable"
        return result(status, "; ".join(filter(None, (error.message, error.detail))))
    difference = compare_disks(disk_there, attested, _find_list(catalog, record, attested))
    return result("different" if difference else "ok", difference)


def _find_list(catalog: Catalog, record: Record, attested: AttestedDisk) -> BlockList | None:
    content = catalog.block_list(record, attested.blocks)
    return BlockList.parse(content, f"{catalog.location}: {attested.blocks}") if content is not None else None


def _list_images(attestation: Attestation, status: str) -> Iterator[str]:
    for result in attestation.locations:
        if result.status == status:
            yield f"{result.name}: {result.detail}"
