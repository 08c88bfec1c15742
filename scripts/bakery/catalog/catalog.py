"""The catalog on top of a store."""

from dataclasses import replace

from bakery.catalog.attachments import Attachments
from bakery.catalog.failure_log import FailureLog
from bakery.catalog.heads import Heads
from bakery.catalog.observation_log import ObservationLog
from bakery.catalog.record import Record
from bakery.catalog.reservations import Reservations
from bakery.host.errors import BakeryError, ConflictError


class Catalog(Reservations, Heads, Attachments, ObservationLog, FailureLog):
    """The catalog of one store. Every method reads the current state; nothing is cached."""

    def revoke(self, record: Record, reason: str) -> Record:
        """Revoke a complete version for good; refused while a channel points at it.

        A revoked version keeps its first reason.
        """
        if record.state not in ("complete", "revoked"):
            raise BakeryError(
                f"{record.image} {record.version} is {record.state}: only a complete version can be revoked",
                hint="do nothing: no verb promotes a version that is not complete",
            )
        if record.state == "complete":
            self._refuse_channels(record, "cannot be revoked")
            self._refuse_moves(record)
            record = self.revise(replace(record, state="revoked"), reason)
        self._refuse_channels(record, "is revoked, but was promoted meanwhile")
        return record

    def _refuse_moves(self, record: Record) -> None:
        """Raise ConflictError if an interrupted move left pointers that may point at a version."""
        for name in self.channel_names(record.image, record.arch):
            move = self.last_move(record.image, record.arch, name)
            if move and move.state == "begun" and record.version in (move.before, move.version):
                raise ConflictError(
                    f"{record.image} {record.version} cannot be revoked: a move of {name} was interrupted at {move.at}",
                    where=self.location,
                    hint=f"finish it: 'bakery promote {record.image} VERSION {name}', with another version",
                )

    def _refuse_channels(self, record: Record, what: str) -> None:
        """Raise ConflictError if a channel points at a version."""
        if names := self.channels_at(record):
            point = "points" if len(names) == 1 else "point"
            raise ConflictError(
                f"{record.image} {record.version} {what}: {', '.join(names)} {point} at it",
                where=self.location,
                hint=f"move the channel: 'bakery rollback {record.image} {names[0]}', or promote another version",
            )
