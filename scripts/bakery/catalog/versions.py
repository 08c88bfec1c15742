"""Versions and their revisions."""

from collections.abc import Sequence
from dataclasses import replace

from bakery.catalog.documents import RESTORE, Documents
from bakery.catalog.keys import VERSION, document_key, version_folder, version_numbers, versions_folder
from bakery.catalog.record import Record
from bakery.catalog.store import read_all
from bakery.catalog.writer import actor, now
from bakery.host.errors import BakeryError, NotFoundError
from bakery.model.version import ImageVersion, Versioned


class Versions(Documents):
    """The records of a catalog: the highest revision of a version is the current one."""

    def image_names(self) -> list[str]:
        """Names of all images that have at least one version, sorted."""
        return sorted(self._store.list("images"))

    def images(self, names: Sequence[str] | None = None) -> list[tuple[str, str]]:
        """All (image, arch) that have at least one version, of all images or of those with some names, sorted."""
        names = sorted(self.image_names() if names is None else names)
        archs = read_all(names, lambda name: self._store.list(f"images/{name}"))
        return [(name, arch) for name, listed in zip(names, archs, strict=True) for arch in sorted(listed)]

    def versions(self, image: str, arch: str) -> list[str]:
        """All versions, reserved ones included, oldest first."""
        return sorted(filter(VERSION.match, self._store.list(versions_folder(image, arch))), key=version_numbers)

    def records(self, image: str, arch: str) -> list[Record]:
        """The newest revision of every version, oldest version first."""
        versions = [ImageVersion(image, arch, version) for version in self.versions(image, arch)]
        return read_all(versions, self.record)

    def record(self, of: Versioned) -> Record:
        """The newest revision of a version; NotFoundError if there is none.

        BakeryError if a revision is missing, or if one reserves a version again that was complete: only bakes reserve,
        and what was published is not theirs to undo.
        """
        folder = version_folder(of)
        revisions = self._numbered_names(folder)
        if not revisions:
            versions = ", ".join(self.versions(of.image, of.arch)[-5:]) or "none"
            raise NotFoundError(
                f"{of.image} {of.version} ({of.arch}) is not in the catalog", hint=f"newest versions: {versions}"
            )
        newest = self._read_signed(Record, f"{folder}/{revisions[-1]}")
        if newest.revision != len(revisions) - 1:
            raise BakeryError(
                f"{len(revisions)} revisions are there, and the newest has the number {newest.revision}",
                where=f"{self.location}/{folder}",
                hint=f"one was added or removed by hand: {RESTORE}",
            )
        if newest.state == "reserved":
            self._refuse_reopened(newest)
        return newest

    def _refuse_reopened(self, reserved: Record) -> None:
        """Raise BakeryError if an older revision was no reservation. There is one for each takeover."""
        for revision in range(reserved.revision):
            older = self._read_signed(Record, document_key(replace(reserved, revision=revision)))
            if older.state != "reserved":
                raise BakeryError(
                    f"{reserved.image} {reserved.version} was {older.state}, and a bake reserved it again",
                    where=f"{self.location}/{document_key(reserved)}",
                    hint="no job of the bakery writes this: find out who holds the key of a bake, and have "
                    "an administrator of the catalog remove the document",
                )

    def first_in_state(self, record: Record) -> Record:
        """The revision that brought a version to the state that it still has."""
        while record.revision:
            older = self._read_signed(Record, document_key(replace(record, revision=record.revision - 1)))
            if older.state != record.state:
                break
            record = older
        return record

    def newest(self, image: str, arch: str, release_line: str = "") -> Record | None:
        """The newest complete version, of the release line MAJOR.MINOR if given."""
        for version in reversed(self.versions(image, arch)):
            if version.startswith(f"{release_line}." if release_line else ""):
                record = self.record(ImageVersion(image, arch, version))
                if record.state == "complete":
                    return record
        return None

    def latest(self, image: str, arch: str, release_line: str) -> Record | None:
        """The version with the highest number in any state, of the release line, or of any if the line has none."""
        versions = self.versions(image, arch)
        of_line = [version for version in versions if version.startswith(f"{release_line}.")]
        newest = (of_line or versions)[-1:]
        return self.record(ImageVersion(image, arch, newest[0])) if newest else None

    def revise(self, record: Record, reason: str = "") -> Record:
        """Write `record` as the next revision of its version; ConflictError if another writer was faster."""
        revised = replace(record, revision=record.revision + 1, at=now(), by=actor(), reason=reason)
        if revised.state == "complete":
            self.index.add_record(revised)
        self._publish_document(revised, f"{record.image} {record.version} was changed by another run")
        return revised
