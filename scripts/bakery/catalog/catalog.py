"""The catalog on top of a store."""

from collections.abc import Mapping
from dataclasses import replace

from bakery.catalog.attachments import Attachments
from bakery.catalog.failure_log import FailureLog
from bakery.catalog.heads import Heads
from bakery.catalog.observation_log import ObservationLog
from bakery.catalog.record import Record, State
from bakery.catalog.reservations import Reservations
from bakery.host.errors import BakeryError, ConflictError

# The states to which a version can go from each. Nothing leads away from removed images.
NEXT_STATES: Mapping[State, tuple[State, ...]] = {
    "reserved": (),
    "complete": ("deprecated", "disabled", "revoked"),
    "deprecated": ("complete", "disabled", "revoked"),
    "disabled": ("complete", "revoked", "removed"),
    "revoked": ("complete", "removed"),
    "removed": (),
}


class Catalog(Reservations, Heads, Attachments, ObservationLog, FailureLog):
    """The catalog of one store. Every method reads the current state; nothing is cached."""

    def change_state(self, record: Record, state: State, reason: str, owner: str = "") -> Record:
        """Bring a version to another state, pending until `settle_state`; the same record if it is in that state.

        `owner` says which policy passes over a version that gets complete again, as the record's field says it.
        ConflictError while a channel points at a version that would not be complete any more.
        """
        if record.state == state:
            if state != "complete":
                self._refuse_channels(record, f"is {state}, but was promoted meanwhile")
            return record
        require_change(record, state)
        if state == "complete":
            return self.revise(replace(record, state=state, pending=True, owner=owner), reason)
        self._refuse_channels(record, f"cannot be {state}")
        self._refuse_moves(record, state)
        record = self.revise(replace(record, state=state, pending=True, owner=""), reason)
        # Moves first: one that has ended meanwhile has left its entry.
        self._refuse_moves(record, state)
        self._refuse_channels(record, f"is {state}, but was promoted meanwhile")
        return record

    def settle_state(self, record: Record) -> Record:
        """Write that a version's images are as its state says."""
        return self.revise(replace(record, pending=False), record.reason) if record.pending else record

    def _refuse_moves(self, record: Record, state: State) -> None:
        """Raise ConflictError if an interrupted move left pointers that may point at a version."""
        for name in self.channel_names(record.image, record.arch):
            move = self.unfinished_move(record.image, record.arch, name)
            if move and record.version in (move.before, move.version):
                raise ConflictError(
                    f"{record.image} {record.version} cannot be {state}: a move of {name} was interrupted at {move.at}",
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


def require_change(record: Record, state: State) -> None:
    """Raise BakeryError unless a version can go to a state, or is still on its way there."""
    if state in NEXT_STATES[record.state] or (state == record.state and record.pending):
        return
    name = f"{record.image} {record.version}"
    if record.state == "reserved":
        hint = "do nothing: no verb promotes a version that is not complete"
    elif record.state == state:
        hint = f"do nothing: 'bakery audit {record.image}' says whether its images are so, too"
    elif record.state == "removed":
        hint = f"its images are gone: run 'bakery run --rebuild {record.image}' to bake a new version"
    elif state == "removed":
        hint = f"disable it first: 'bakery retire {record.image}@{record.version} --to disabled'"
    else:
        hint = f"first run 'bakery restore {record.image} {record.version} --reason TEXT'"
    raise BakeryError(f"{name} is {record.state} and cannot be {state}", detail=record.reason, hint=hint)
