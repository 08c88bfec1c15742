"""Failures: a series of documents per image."""

from itertools import takewhile

from bakery.catalog.documents import TRY_AGAIN, WRITE_TRIES, Documents
from bakery.catalog.keys import failures_folder
from bakery.catalog.record import Failure, Record
from bakery.catalog.writer import actor, now
from bakery.host.errors import ConflictError


class FailureLog(Documents):
    """The failures of all images."""

    def keep_failure(self, image: str, arch: str, step: str, input_key: str, message: str) -> Failure:
        """Keep a failure of an image under its next number."""
        folder = failures_folder(image, arch)
        for _ in range(WRITE_TRIES):
            names = self._numbered_names(folder)
            number = int(names[-1].removesuffix(".json")) + 1 if names else 0
            failure = Failure(image, arch, number, step, input_key, message, at=now(), by=actor())
            if self._create_unsigned(failure):
                return failure
        raise ConflictError(
            "cannot keep a failure: other writers take every number", where=self.location, hint=TRY_AGAIN
        )

    def failures_since(self, image: str, arch: str, record: Record | None) -> tuple[Failure, ...]:
        """The failures of an image after a record was written, or all, oldest first."""
        folder = failures_folder(image, arch)
        newest_first = (
            self._read_unsigned(Failure, f"{folder}/{name}") for name in reversed(self._numbered_names(folder))
        )
        since = record.at if record else ""
        return tuple(takewhile(lambda failure: failure.at > since, newest_first))[::-1]
