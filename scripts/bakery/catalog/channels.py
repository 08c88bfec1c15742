"""Channels: a series of entries, the highest number is where the channel points."""

from bakery.catalog.documents import Documents
from bakery.catalog.keys import channel_folder, channels_folder
from bakery.catalog.record import ChannelEntry, Record
from bakery.catalog.store import read_all
from bakery.catalog.writer import actor, now
from bakery.host.errors import BakeryError
from bakery.model.documents import Pointer


class Channels(Documents):
    """The channels of all images."""

    def channel_names(self, image: str, arch: str) -> list[str]:
        """Names of all channels that an image has or had, sorted."""
        return sorted(self._store.list(channels_folder(image, arch)))

    def channels(self, image: str, arch: str) -> list[str]:
        """Names of the channels of an image, sorted."""
        return [head.channel for head in self.heads(image, arch)]

    def channel(self, image: str, arch: str, channel: str) -> ChannelEntry | None:
        """The newest entry of a channel; None if it was never set, or deleted."""
        entry = self.last_entry(image, arch, channel)
        return entry if entry and entry.version else None

    def last_entry(self, image: str, arch: str, channel: str) -> ChannelEntry | None:
        """The newest entry of a channel, which may have deleted it; None if it was never set."""
        folder = channel_folder(image, arch, channel)
        entries = self._numbered_names(folder)
        return self._read_signed(ChannelEntry, f"{folder}/{entries[-1]}") if entries else None

    def heads(self, image: str, arch: str) -> list[ChannelEntry]:
        """The newest entries of all channels of an image, sorted by channel."""
        entries = read_all(self.channel_names(image, arch), lambda name: self.channel(image, arch, name))
        return [entry for entry in entries if entry]

    def channels_at(self, record: Record) -> list[str]:
        """Names of the channels that point at a version, sorted."""
        return [head.channel for head in self.heads(record.image, record.arch) if head.version == record.version]

    def history(self, image: str, arch: str, channel: str) -> list[ChannelEntry]:
        """Every step of a channel, oldest first."""
        folder = channel_folder(image, arch, channel)
        keys = [f"{folder}/{name}" for name in self._numbered_names(folder)]
        return read_all(keys, lambda key: self._read_signed(ChannelEntry, key))

    def require_publisher(self) -> None:
        """BakeryError unless this run can sign a channel entry, for whoever moves pointers before."""
        self._signatures.require_publisher()

    def move(
        self,
        record: Record,
        channel: str,
        reason: str,
        before: ChannelEntry | None,
        pointers: tuple[Pointer, ...] = (),
        *,
        held: bool = False,
    ) -> ChannelEntry:
        """Point `channel` at a complete version; ConflictError if `before` is not its newest entry any more."""
        if record.state != "complete":
            raise BakeryError(
                f"{record.image} {record.version} is {record.state}: only a complete version can be promoted",
                hint=f"run 'bakery run {record.image}', then promote",
            )
        number = before.number + 1 if before else 0
        parts = (record.image, record.arch, channel, number, record.version)
        entry = ChannelEntry(*parts, at=now(), by=actor(), reason=reason, pointers=pointers, held=held)
        self.index.add_channel(entry)
        return self._add_entry(entry)

    def delete_channel(
        self, image: str, arch: str, channel: str, reason: str, before: ChannelEntry | None
    ) -> ChannelEntry:
        """Write that `channel` points at nothing; ConflictError if `before` is not its newest entry any more."""
        number = before.number + 1 if before else 0
        return self._add_entry(ChannelEntry(image, arch, channel, number, "", at=now(), by=actor(), reason=reason))

    def _add_entry(self, entry: ChannelEntry) -> ChannelEntry:
        self._publish_document(entry, f"channel {entry.channel} of {entry.image} was moved by another run")
        return entry
