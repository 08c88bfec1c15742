"""The documents that stages hand to each other: frozen values here, schema-versioned JSON on disk and in CI."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, get_args

from pydantic import AfterValidator, ConfigDict, TypeAdapter, ValidationError, model_validator

from bakery.host import files
from bakery.host.errors import BakeryError, NotFoundError, OutageError, PartialError, UsageError, render_rest

Mode = Literal["vm", "chroot"]
Updates = Literal["all", "security", "none"]
# What a target lets people do with images: everything; start them, without an offer to; nothing; they do not exist.
Availability = Literal["available", "deprecated", "disabled", "removed"]
PackageVersions = Literal["track", "pinned", "offline"]
# Grype's words, least first.
Severity = Literal["unknown", "negligible", "low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)


def _check_time(text: str) -> str:
    if text and datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("it has no time zone")
    return text


Time = Annotated[str, AfterValidator(_check_time)]  # ISO 8601 with a time zone; empty before it is known


class Strict:
    """Unknown keys are errors when a document is read: a new revision must not lose data of a newer release."""

    __pydantic_config__ = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Disk(Strict):
    """A disk image file. `sha256` is of the file, `raw_sha256` of the disk's content in any format; sizes in bytes.

    `blocks` is the SHA-256 of the list of its blocks.
    """

    path: str
    format: Literal["qcow2"]
    virtual_size: int
    sha256: str
    raw_sha256: str
    blocks: str


@dataclass(frozen=True)
class Base(Strict):
    """The base of an image: another image of this project (`version` is set), a download or a distribution."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True)
class VendorBase(Strict):
    """The newest base that a vendor had under one name when it was asked: at the time `at`, in ISO 8601.

    `identity` is an AMI ID, a marketplace version or a digest: it changes when the base does. `name` is for people.
    `date` is the day of the base, in ISO 8601, and empty where the vendor gives none.
    """

    identity: str
    name: str
    date: str = ""
    at: Time = ""


@dataclass(frozen=True)
class SecretUse(Strict):
    """A secret that a bake used: where it is in Vault, and its version there.

    An engine without versions has version 0, and `digest` is a salted hash of the value; otherwise it is empty.
    """

    path: str
    key: str
    version: int
    digest: str = ""


@dataclass(frozen=True)
class Artifact(Strict):
    """The result of a bake. `inputs` has the parts of the input key, `seconds` the wall time per phase.

    `vendor_base` is set if the base is the newest one of a vendor.
    """

    image: str
    arch: str
    version: str
    os: str
    mode: Mode
    input_key: str
    inputs: dict[str, str]
    base: Base
    disk: Disk
    commit: str
    tools: dict[str, str]
    seconds: dict[str, float]
    created: Time
    log: str
    vendor_base: VendorBase | None = None
    secrets: dict[str, SecretUse] = field(default_factory=dict)
    schema: Literal["bakery/artifact/1"] = "bakery/artifact/1"

    @property
    def identity(self) -> str:
        """The digest of the disk file."""
        return self.disk.sha256


@dataclass(frozen=True)
class Check(Strict):
    """The result of one check; `detail` describes a failure."""

    name: str
    passed: bool
    detail: str = ""


@dataclass(frozen=True)
class RemoteBuild(Strict):
    """The result of a build at a target, tested there while it was built.

    `ids` are the images by location (AWS region, vSphere library, Azure region). The disk is never on this machine, so
    `identity` replaces its digest: SHA-256 over builder and image ID, as in Packer's provenance. `vendor_base` is set
    if it was built from the newest base of a vendor, `parent` if it was built from another image of this project.
    """

    image: str
    arch: str
    version: str
    os: str
    target: str
    builder: str
    input_key: str
    inputs: dict[str, str]
    base: str
    identity: str
    ids: dict[str, str]
    checks: tuple[Check, ...]
    commit: str
    tools: dict[str, str]
    seconds: dict[str, float]
    created: Time
    log: str
    vendor_base: VendorBase | None = None
    secrets: dict[str, SecretUse] = field(default_factory=dict)
    parent: Base | None = None
    schema: Literal["bakery/remote-build/1"] = "bakery/remote-build/1"


Part = Artifact | RemoteBuild  # a version has a disk, images that Packer built at targets, or both


@dataclass(frozen=True)
class DatabaseState(Strict):
    """A vulnerability database: where it is from, without any login; when it was built, in ISO 8601; its digest."""

    source: str
    built: Time
    digest: str


@dataclass(frozen=True)
class VulnerabilitySummary(Strict):
    """The answer of a database for the bill of materials with the digest `sbom`, and the SHA-256 of the report.

    `counts` are identifiers by severity, without those that do not occur; `fixed` counts those that have a fix.
    """

    database: DatabaseState
    sbom: str
    report: str
    counts: Mapping[Severity, int] = field(default_factory=dict)
    fixed: Mapping[Severity, int] = field(default_factory=dict)

    def count(self, severity: Severity) -> int:
        """The number of identifiers of one severity."""
        return self.counts.get(severity, 0)


@dataclass(frozen=True)
class Verdict(Strict):
    """The result of all checks of a part, valid only for the one whose identity is `sha256`.

    `vulnerabilities` is None if no database was asked; `vex` is the SHA-256 of the OpenVEX document, empty without one.
    """

    image: str
    arch: str
    version: str
    sha256: str
    passed: bool
    checks: tuple[Check, ...]
    accelerator: str
    seconds: dict[str, float]
    created: Time
    vulnerabilities: VulnerabilitySummary | None = None
    vex: str = ""
    schema: Literal["bakery/verdict/1"] = "bakery/verdict/1"

    @classmethod
    def of_build(cls, build: RemoteBuild) -> "Verdict":
        """The verdict on an image that passed its tests at a target, since Packer leaves no other."""
        parts = (build.image, build.arch, build.version, build.identity)
        return cls(*parts, passed=True, checks=build.checks, accelerator="", seconds={}, created=build.created)


class Location(NamedTuple):
    """The location of an image or a pointer; both fields are empty at the local target."""

    account: str
    region: str


@dataclass(frozen=True)
class Pointer(Strict):
    """A named pointer to an image at a target, which a channel moves. `number` is the pointer's own version."""

    account: str
    region: str
    name: str
    number: int
    value: str

    @property
    def location(self) -> Location:
        return Location(self.account, self.region)


@dataclass(frozen=True)
class ImageLocation(Strict):
    """An image at a location: `id` is an AMI ID, or a path at the local target (no account, no region).

    `key_alias` is the KMS key that encrypts it; empty for none, None if an older release made it or a target has none.
    """

    account: str
    region: str
    id: str
    snapshot: str = ""
    owned: bool = True
    key_alias: str | None = None

    @property
    def location(self) -> Location:
        return Location(self.account, self.region)


_SCHEMA_1_KEYS = {"places": "locations", "parameters": "pointers"}


@dataclass(frozen=True)
class Publication(Strict):
    """One version at one target, with its image in every location and the pointers of this version.

    `withdrawn` are images in locations that the definition does not name any more: they may exist, but consumers there
    may not use them.
    """

    image: str
    arch: str
    version: str
    sha256: str
    target: str
    locations: tuple[ImageLocation, ...]
    pointers: tuple[Pointer, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    withdrawn: tuple[ImageLocation, ...] = ()
    schema: Literal["bakery/publication/2"] = "bakery/publication/2"

    @model_validator(mode="before")
    @classmethod
    def _from_schema_1(cls, document: Any) -> Any:
        """Release 0.1 wrote `places` and `parameters`. Its images still exist, so its records stay readable."""
        if not isinstance(document, dict) or document.get("schema") != "bakery/publication/1":
            return document
        renamed = {_SCHEMA_1_KEYS.get(key, key): value for key, value in document.items()}
        return {**renamed, "schema": "bakery/publication/2"}


@dataclass(frozen=True)
class ErrorDocument(Strict):
    """The error that ended another program of the bakery, which the parent process reads."""

    message: str
    where: str
    detail: str
    hint: str
    exit_code: int
    log: str
    schema: Literal["bakery/error/1"] = "bakery/error/1"

    @classmethod
    def of(cls, error: BakeryError) -> "ErrorDocument":
        """The document of an error."""
        log = str(error.log or "")
        return cls(error.message, error.where, render_rest(error), error.hint, int(error.exit_code), log)

    def error(self) -> BakeryError:
        """The exception for the document. Its class is the general one of the exit code, which is enough for users."""
        kind = _ERRORS.get(self.exit_code, BakeryError)
        log = Path(self.log) if self.log else None
        return kind(self.message, where=self.where, detail=self.detail, hint=self.hint, log=log)


_ERRORS = {int(kind.exit_code): kind for kind in (BakeryError, UsageError, PartialError, OutageError)}

Document = TypeVar("Document")

UNKNOWN_KEY = "unexpected_keyword_argument"  # as pydantic calls it
OTHER_VERSION = "another version of bakery wrote it: use that version"

_adapters: dict[type[Any], TypeAdapter[Any]] = {}  # creating one takes about a millisecond, using it microseconds


def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def dump(document: object) -> bytes:
    """A document as JSON, indented, keys in the order of the class."""
    return _adapter(type(document)).dump_json(document, indent=2) + b"\n"


def dump_all(documents: Iterable[object]) -> bytes:
    """Several documents as one JSON list."""
    return b"[\n" + b",\n".join(dump(document).rstrip() for document in documents) + b"\n]\n"


def parse(kind: type[Document], data: bytes, where: str, repair: str = "make it again") -> Document:
    """JSON bytes as a document of `kind`; `where` names the source in the error, `repair` the way out of damage."""
    try:
        document: Document = _adapter(kind).validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        is_other = any(one["loc"] == ("schema",) or one["type"] == UNKNOWN_KEY for one in error.errors())
        raise BakeryError(
            f"not a valid {_title(kind)}: {first['msg']}",
            where=": ".join(filter(None, (where, ".".join(map(str, first["loc"]))))),
            hint=OTHER_VERSION if is_other else f"it is damaged: {repair}",
        ) from error
    return document


def save(document: object, path: Path) -> None:
    """Write a document atomically."""
    files.write_atomic(path, dump(document))


def load(kind: type[Document], path: Path, repair: str = "make it again") -> Document:
    """Read a document; NotFoundError if the stage before has not run."""
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(f"no {_title(kind)}", where=str(path)) from error
    except OSError as error:
        raise BakeryError(f"cannot be read: {error.strerror}", where=str(path)) from error
    return parse(kind, data, str(path), repair)


def _title(kind: type[object]) -> str:
    """The name of a document class in words: "channel entry document"."""
    return f"{re.sub('(?<=[a-z])(?=[A-Z])', ' ', kind.__name__).lower()} document"


def find(kind: type[Document], path: Path, repair: str = "make it again") -> Document | None:
    """Read a document; None if it does not exist."""
    try:
        return load(kind, path, repair)
    except NotFoundError:
        return None


def find_valid(kind: type[Document], path: Path) -> Document | None:
    """Read a document that costs little to make again; None if it is missing, damaged or of another version."""
    try:
        return load(kind, path)
    except BakeryError:
        return None


def json_schema(kind: type[Any]) -> dict[str, Any]:
    """The JSON Schema of a document class."""
    return _adapter(kind).json_schema()
