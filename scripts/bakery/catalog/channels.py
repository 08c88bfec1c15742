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

    def channels(self, image: str, arch: str) -> list[str]:
        """Names of the channels of an image, sorted."""
        return sorted(self._store.list(channels_folder(image, arch)))

    def channel(self, image: str, arch: str, channel: str) -> ChannelEntry | None:
        """The newest entry of a channel; None if it was never set."""
        folder = channel_folder(image, arch, channel)
        entries = self._numbered_names(folder)
        return self._read_signed(ChannelEntry, f"{folder}/{entries[-1]}") if entries else None

    def heads(self, image: str, arch: str) -> list[ChannelEntry]:
        """The newest entries of all channels of an image, sorted by channel."""
        entries = read_all(self.channels(image, arch), lambda name: self.channel(image, arch, name))
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
    ) -> ChannelEntry:
        """Point `channel` at a complete version; ConflictError if it does not point at `before` any more."""
        if record.state != "complete":
            raise BakeryError(
                f"{record.image} {record.version} is {record.state}: only a complete version can be promoted",
                hint=f"run 'bakery run {record.image}', then promote",
            )
        number = before.number + 1 if before else 0
        entry = ChannelEntry(
            record.image,
            record.arch,
            channel,
            number,
            record.version,
            at=now(),
            by=actor(),
            reason=reason,
            pointers=pointers,
        )
        self.index.add_channel(entry)
        self._publish_document(entry, f"channel {channel} of {record.image} was moved by another run")
        return entry
