"""Versions and their revisions."""

from dataclasses import replace

from bakery.catalog.documents import Documents
from bakery.catalog.keys import VERSION, version_folder, version_numbers, versions_folder
from bakery.catalog.record import Record
from bakery.catalog.writer import actor, now
from bakery.host.errors import NotFoundError
from bakery.model.version import ImageVersion, Versioned


class Versions(Documents):
    """The records of a catalog: the highest revision of a version is the current one."""

    def image_names(self) -> list[str]:
        """Names of all images that have at least one version, sorted."""
        return sorted(self._store.list("images"))

    def images(self) -> list[tuple[str, str]]:
        """All (image, arch) that have at least one version, sorted."""
        return [(name, arch) for name in self.image_names() for arch in sorted(self._store.list(f"images/{name}"))]

    def versions(self, image: str, arch: str) -> list[str]:
        """All versions, reserved ones included, oldest first."""
        return sorted(filter(VERSION.match, self._store.list(versions_folder(image, arch))), key=version_numbers)

    def records(self, image: str, arch: str) -> list[Record]:
        """The newest revision of every version, oldest version first."""
        return [self.record(ImageVersion(image, arch, version)) for version in self.versions(image, arch)]

    def record(self, of: Versioned) -> Record:
        """The newest revision of a version; NotFoundError if there is none."""
        folder = version_folder(of)
        revisions = self._numbered_names(folder)
        if not revisions:
            versions = ", ".join(self.versions(of.image, of.arch)[-5:]) or "none"
            raise NotFoundError(
                f"{of.image} {of.version} ({of.arch}) is not in the catalog", hint=f"newest versions: {versions}"
            )
        return self._read_signed(Record, f"{folder}/{revisions[-1]}")

    def newest(self, image: str, arch: str, release_line: str = "") -> Record | None:
        """The newest complete version, of the release line MAJOR.MINOR if given."""
        for version in reversed(self.versions(image, arch)):
            if version.startswith(f"{release_line}." if release_line else ""):
                record = self.record(ImageVersion(image, arch, version))
                if record.state == "complete":
                    return record
        return None

    def revise(self, record: Record, reason: str = "") -> Record:
        """Write `record` as the next revision of its version; ConflictError if another writer was faster."""
        revised = replace(record, revision=record.revision + 1, at=now(), by=actor(), reason=reason)
        if revised.state == "complete":
            self.index.add_record(revised)
        self._publish_document(revised, f"{record.image} {record.version} was changed by another run")
        return revised
