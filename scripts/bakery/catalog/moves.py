"""The journal of each channel: a line before its pointers change, and one when the move has ended."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from bakery.catalog.documents import Documents
from bakery.catalog.keys import moves_folder
from bakery.catalog.record import Move
from bakery.catalog.writer import actor, now
from bakery.host.errors import BusyError

# Parameters take two minutes at most, and two more to get their old values back; a copy of a library item takes
# minutes. A run that is killed keeps others from its channel as long.
LEASE = timedelta(minutes=20)


class Moves(Documents):
    """The moves of all channels."""

    def last_move(self, image: str, arch: str, channel: str) -> Move | None:
        """The newest line of a channel's journal; None if it has none."""
        folder = moves_folder(image, arch, channel)
        lines = self._numbered_names(folder)
        return self._read_signed(Move, f"{folder}/{lines[-1]}") if lines else None

    def begin_move(self, move: Move) -> Move:
        """Write that a move begins; its time, writer and end of the lease are set here."""
        return self._add_line(replace(move, at=now(), by=actor(), expires=_lease_end()))

    def take_move(self, move: Move, owner: str) -> Move:
        """Write that `owner` continues a move; BusyError if it has another owner that may still be at work."""
        if move.owner != owner and datetime.fromisoformat(move.expires) > datetime.now(UTC):
            raise BusyError(
                f"{move.by} moves channel {move.channel} of {move.image} to {move.version or 'nothing'}",
                where=self.location,
                detail=f"it began at {move.at}, and has until {move.expires}",
                hint="run again after it has ended; after that time, the next run finishes a move that was interrupted",
            )
        line = replace(move, number=move.number + 1, at=now(), by=actor(), owner=owner, expires=_lease_end())
        return self._add_line(line)

    def end_move(self, move: Move, state: Literal["done", "undone"]) -> Move:
        """Write how a move ended."""
        return self._add_line(replace(move, number=move.number + 1, state=state, at=now(), by=actor()))

    def _add_line(self, line: Move) -> Move:
        """Write the next line of a journal; BusyError if another run wrote one."""
        if not self._create_signed(line, "publish"):
            raise BusyError(
                f"another run moves channel {line.channel} of {line.image}",
                where=self.location,
                hint="run again after it has ended",
            )
        return line


def _lease_end() -> str:
    return (datetime.now(UTC) + LEASE).isoformat(timespec="seconds")
