"""Reservations: the number of a version belongs to one owner while it is baked."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile

from bakery.catalog.documents import TRY_AGAIN, WRITE_TRIES
from bakery.catalog.keys import document_key
from bakery.catalog.record import Record
from bakery.catalog.versions import Versions
from bakery.catalog.writer import actor, now
from bakery.host.errors import ConflictError
from bakery.model.version import ImageVersion
from bakery.signing import Duty

# Packer's time limit, and a boot and an upload on top: a bake that is still at work keeps its number.
RESERVATION = timedelta(hours=6)


class Reservations(Versions):
    """Versions that an owner may bake."""

    def reserve(
        self,
        image: str,
        arch: str,
        release_line: str,
        input_key: str,
        inputs: Mapping[str, str],
        owner: str,
        duty: Duty,
        due_since: str = "",
    ) -> Record:
        """Reserve the version that `owner` may bake from these inputs; no other owner gets its number.

        An owner gets its open reservation back, and takes over one of the same inputs that has expired, unless a later
        version is past its reservation, or its number was reserved before `due_since` (ISO 8601): the disk with that
        number may be as old. Otherwise it gets the next PATCH of the release line. `duty` is the bake's; it signs.
        """
        for _ in range(WRITE_TRIES):
            versions = [name for name in self.versions(image, arch) if name.startswith(f"{release_line}.")]
            if not versions:
                self._require_readable()
            newest_first = (self.record(ImageVersion(image, arch, version)) for version in reversed(versions))
            reserved = takewhile(lambda record: record.state == "reserved", newest_first)
            candidates = [
                record for record in reserved if record.input_key == input_key and self._is_as_new(record, due_since)
            ]
            if own := next((one for one in candidates if one.owner == owner and not is_expired(one)), None):
                return own
            if expired := next(filter(is_expired, candidates), None):
                reservation = _reserve_revision(expired, expired.revision + 1, owner)
                if self._create_signed(reservation, duty):
                    return reservation
                continue  # another writer was faster: look again
            patch = int(versions[-1].rsplit(".", 1)[1]) + 1 if versions else 0
            blank = Record(image, arch, f"{release_line}.{patch}", 0, "reserved", input_key, dict(inputs), at="", by="")
            reservation = _reserve_revision(blank, 0, owner)
            if self._create_signed(reservation, duty):
                return reservation
        raise ConflictError(
            f"cannot reserve a version of {image}: other writers take every number", where=self.location, hint=TRY_AGAIN
        )

    def _require_readable(self) -> None:
        """Raise BakeryError if the catalog has records and this run cannot verify them.

        Its other readers could not verify what this run signs either. Nobody has read one yet for a first version.
        """
        for image, arch in self.images():
            for version in self.versions(image, arch)[-1:]:
                self.record(ImageVersion(image, arch, version))
                return

    def _is_as_new(self, record: Record, since: str) -> bool:
        """Whether the number of a version was reserved at a time or later; an empty time is older than all.

        The first revision says it: another owner may have taken the number over, with the disk of the first.
        """
        if not since:
            return True
        first = self._read_signed(Record, document_key(replace(record, revision=0)))
        return datetime.fromisoformat(first.at) >= datetime.fromisoformat(since)


def _reserve_revision(record: Record, revision: int, owner: str) -> Record:
    """A revision of the record that reserves its version for an owner, starting now."""
    expires = (datetime.now(UTC) + RESERVATION).isoformat(timespec="seconds")
    return replace(record, revision=revision, at=now(), by=actor(), owner=owner, expires=expires)


def is_expired(record: Record) -> bool:
    """Whether the reservation has expired. Releases that knew no owners wrote reservations without an end."""
    return not record.expires or datetime.fromisoformat(record.expires) <= datetime.now(UTC)
