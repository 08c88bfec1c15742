"""The local target: a folder of disks with their checksums, and a link per channel."""

import fcntl
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from bakery.clouds.local import leftovers
from bakery.clouds.target import Finding, Listing, Resource, Use, gone_error
from bakery.host import files
from bakery.host.errors import BakeryError, ConflictError
from bakery.host.events import Reporter, report_step
from bakery.model.documents import Artifact, Availability, ImageLocation, Location, Pointer, Publication
from bakery.model.naming import full_name
from bakery.model.tags import Tags
from bakery.model.version import Versioned

FICLONE = 0x40049409  # ioctl of linux/fs.h: share the source's blocks, copy on write
HERE = Location("", "")  # the store is the only location
READ_ONLY = 0o444  # read-only: a guest that is started from the disk by mistake must not change the version


class LocalTarget:
    """Keeps `<name>-<version>-<arch>.qcow2`, `.qcow2.sha256` beside it, and links `<name>-<channel>-<arch>.qcow2`.

    The files of a disabled version have `.disabled` behind their names. A location is the name of a file in the store.
    No path of a record is ever opened: names follow from the version.
    """

    def __init__(self, store: Path) -> None:
        self._store = store

    def publish(self, artifact: Artifact, disk: Path, report: Reporter) -> Publication:
        """Store the disk; a version that is stored already stays, ConflictError if it holds other bytes."""
        began = time.monotonic()
        target, checksum = self._disk_paths(artifact)
        with report_step(report, "publish", full_name(artifact), f"store in {self._store}"):
            if target.exists():
                _refuse_other(target, artifact)
            else:
                self._add_disk(disk, target, artifact)
            _write_checksum(checksum, _checksum_line(artifact.disk.sha256, target))
        return self._new_publication(artifact, time.monotonic() - began)

    def distribute(self, publication: Publication, expected: Tags, report: Reporter) -> Publication:
        """The same publication, with its checksum in the store; NotFoundError if the store has lost the disk."""
        disk, checksum = self._disk_paths(publication)
        if not disk.is_file():
            raise gone_error(f"the store has no disk of {full_name(publication)}", str(disk), publication.image)
        _write_checksum(checksum, _checksum_line(publication.sha256, disk))
        return publication

    def withdraw(self, publication: Publication, locations: Collection[ImageLocation], report: Reporter) -> None:
        """Do nothing: the store is the only location."""

    def inspect(self, publication: Publication, availability: Availability = "available") -> list[Finding]:
        """Read every stored file again and compare; a removed version has none."""
        disk = self._disk_paths(publication)[0]
        return [
            _inspect_disk(disk, publication.sha256, availability)
            if location.id in (disk.name, str(disk))  # records of release 0.1 have the path
            else Finding(location.id, "incorrect", f"a record of this version names {disk.name}")
            for location in publication.locations
        ]

    def find_uses(self, publication: Publication) -> list[Use]:
        """None: no machine names a disk of the store to it, and a bake copies the disk that it starts from."""
        return []

    def set_availability(self, publication: Publication, availability: Availability, report: Reporter) -> None:
        """Move the files of a disabled version aside, and back; delete those of a removed one.

        A deprecated version stays as it is. NotFoundError if the store has lost the disk of a version to be usable.
        """
        disk, checksum = self._disk_paths(publication)
        with (
            report_step(report, "retire", full_name(publication), f"{availability} in {self._store}"),
            files.explain_refusals(self._store),
        ):
            match availability:
                case "available" | "deprecated":
                    _move(_disabled_path(checksum), checksum)
                    _move(_disabled_path(disk), disk)  # last: whoever sees it finds its checksum
                    self.distribute(publication, {}, report)
                case "disabled":
                    _move(disk, _disabled_path(disk))
                    _move(checksum, _disabled_path(checksum))
                case "removed":
                    for path in (disk, checksum):
                        path.unlink(missing_ok=True)
                        _disabled_path(path).unlink(missing_ok=True)
            if self._store.exists():
                files.sync(self._store)  # a revoked version must not come back

    def wanted_locations(self) -> Collection[Location]:
        """The store."""
        return (HERE,)

    def channel_values(self, publication: Publication) -> Mapping[Location, str]:
        """The name of the disk's file."""
        return {HERE: self._disk_paths(publication)[0].name}

    def read_channel(self, of: Versioned, channel: str, locations: Collection[Location]) -> Mapping[Location, Pointer]:
        """The channel's link."""
        link = self._channel_link(of, channel)
        return {HERE: _new_pointer(link, str(link.readlink()))} if link.is_symlink() else {}

    def point(
        self, publication: Publication, channel: str, locations: Collection[Location], report: Reporter
    ) -> Mapping[Location, Pointer]:
        """Replace the channel's link in one step. The link is relative, so the store can be moved."""
        disk = self._disk_paths(publication)[0]
        link = self._channel_link(publication, channel)
        with files.scratch(self._store, "link") as folder:
            (folder / link.name).symlink_to(disk.name)
            (folder / link.name).replace(link)
        files.sync(self._store)
        return {HERE: _new_pointer(link, disk.name)}

    def unpoint(self, of: Versioned, channel: str, values: Mapping[Location, Collection[str]]) -> None:
        """Remove the channel's link if it leads to one of these files."""
        pointer = self.read_channel(of, channel, (HERE,)).get(HERE)
        if pointer and pointer.value in values.get(HERE, ()):
            self._channel_link(of, channel).unlink(missing_ok=True)
            files.sync(self._store)

    def list_resources(self, image: str, arch: str) -> Listing:
        """The files of an image, and unfinished ones."""
        return Listing({str(self._store): leftovers.list_files(self._store, image, arch)}, {})

    def remove_resources(self, resources: Sequence[Resource]) -> Mapping[Resource, BakeryError]:
        """Remove files that were listed."""
        return leftovers.remove_files(self._store, resources)

    def _add_disk(self, disk: Path, target: Path, artifact: Artifact) -> None:
        """Store a copy that has the artifact's bytes, whatever has become of `disk` since it was tested."""
        with files.scratch(self._store, leftovers.DRAFT) as folder:
            draft = folder / target.name
            _refuse_changed(disk, _copy_disk(disk, draft), artifact)
            draft.chmod(READ_ONLY)
            files.move_into_place(draft, target)

    def _disk_paths(self, of: Versioned) -> tuple[Path, Path]:
        disk = self._stored_path(full_name(of))
        return disk, leftovers.checksum_path(disk)

    def _channel_link(self, of: Versioned, channel: str) -> Path:
        return self._stored_path(f"{of.image}-{channel}-{of.arch}")

    def _stored_path(self, stem: str) -> Path:
        """A file of the store; BakeryError for a name that leads out of it."""
        name = f"{stem}.qcow2"
        if Path(name).name != name:
            raise BakeryError(f"'{name}' is not a name in the local store", where=str(self._store))
        return self._store / name

    def _new_publication(self, artifact: Artifact, seconds: float) -> Publication:
        return Publication(
            artifact.image,
            artifact.arch,
            artifact.version,
            artifact.disk.sha256,
            target="local",
            locations=(ImageLocation(*HERE, id=self._disk_paths(artifact)[0].name),),
            seconds={"store": round(seconds, 3)},
        )


def _new_pointer(link: Path, value: str) -> Pointer:
    return Pointer(*HERE, name=link.name, number=0, value=value)


def _copy_disk(source: Path, target: Path) -> str:
    """Share the blocks if the file system supports it, else copy them; returns the SHA-256 of the copy.

    A link would share later changes as well.
    """
    try:
        with source.open("rb") as reading, target.open("wb") as writing:
            fcntl.ioctl(writing.fileno(), FICLONE, reading.fileno())
    except OSError:  # another file system, or one without shared blocks
        files.require_space(target.parent, source.stat().st_size, f"a copy of {source.name}")
        return files.copy(source, target)
    return files.sha256(target)


def _refuse_changed(disk: Path, digest: str, artifact: Artifact) -> None:
    if digest != artifact.disk.sha256:
        raise BakeryError(
            f"the disk of {full_name(artifact)} changed while it was published",
            where=str(disk),
            detail=f"tested {artifact.disk.sha256}\ncopied {digest}",
            hint=f"remove {disk.parent} and run 'bakery run {artifact.image}' again",
        )


def _refuse_other(target: Path, artifact: Artifact) -> None:
    if files.sha256(target) != artifact.disk.sha256:
        raise ConflictError(
            f"{full_name(artifact)} is stored already, but its content differs",
            where=str(target),
            hint="a version never changes: bake a new one, or remove this file if it is damaged",
        )


def _inspect_disk(disk: Path, sha256: str, availability: Availability) -> Finding:
    if availability == "removed":
        return _inspect_removed(disk)
    place = _disabled_path if availability == "disabled" else Path
    beside, hidden = leftovers.checksum_path(disk), _disabled_path(disk)
    try:
        if availability == "disabled" and disk.exists():
            return Finding(str(disk), "incorrect", f"it is not disabled: expected {hidden.name}")
        if availability != "disabled" and hidden.exists() and not disk.exists():
            return Finding(str(disk), "incorrect", f"it is disabled: the store has {hidden.name}")
        digest = files.sha256(place(disk))
        line = place(beside).read_bytes() if place(beside).exists() else b""
    except FileNotFoundError as error:
        return Finding(str(disk), "missing", f"no {error.filename}")
    except OSError as error:
        return Finding(str(disk), "unreachable", str(error))
    if digest != sha256:
        return Finding(str(disk), "incorrect", f"sha256 is {digest}, expected {sha256}")
    if line != _checksum_line(sha256, disk):
        fault = "names another checksum" if line else "is missing"
        return Finding(str(disk), "incorrect", f"{place(beside).name} {fault}")
    return Finding(str(disk), "correct")


def _inspect_removed(disk: Path) -> Finding:
    names = [
        path.name
        for visible in (disk, leftovers.checksum_path(disk))
        for path in (visible, _disabled_path(visible))
        if path.exists()
    ]
    detail = f"the version is removed, but the store has {', '.join(names)}"
    return Finding(str(disk), "unexpected", detail) if names else Finding(str(disk), "correct")


def _write_checksum(checksum: Path, line: bytes) -> None:
    if not checksum.exists() or checksum.read_bytes() != line:
        files.write_atomic(checksum, line)


def _move(source: Path, target: Path) -> None:
    """Rename a file of the store; nothing if it is not there, as after a run that was killed."""
    with suppress(FileNotFoundError):
        source.replace(target)


def _disabled_path(path: Path) -> Path:
    return path.with_name(f"{path.name}{leftovers.DISABLED}")


def _checksum_line(sha256: str, disk: Path) -> bytes:
    """The format of sha256sum, so that `sha256sum --check` works in the store."""
    return f"{sha256}  {disk.name}\n".encode()
