"""Channels in a library: an item `name-channel-arch` that is a copy of one version's item, and replaced as a whole.

A copy inside of vCenter sends no byte over the network, gets its final name only when it is complete, and does not
touch the item that it replaces until then. Writing new files into one permanent item would keep that item's ID, but mix
two versions during an upload, and a failed upload could not be undone.
"""

from collections.abc import Collection
from contextlib import suppress

from bakery.clouds.vsphere import notes
from bakery.clouds.vsphere.library import Item, Library
from bakery.host.errors import BakeryError, ConflictError
from bakery.model.version import Versioned

CHANNEL = "bakery:channel"
VERSION = "Name"  # the note with the name of the item that the channel's item is a copy of
NEXT, PREVIOUS = "-next", "-previous"  # temporary names; a run that is killed between two steps leaves them


def item_name(of: Versioned, channel: str) -> str:
    """`web-stable-x86_64`, like the local target's links."""
    return f"{of.image}-{channel}-{of.arch}"


def move(library: Library, name: str, version: Item, text: str) -> None:
    """Make the item `name` a copy of a version's item. If that fails, the item does not change."""
    recover(library, name)
    current = _find_channel_item(library, name)
    if current and current.description == text and library.same_content(current, version):
        return
    fresh = library.copy(version, name + NEXT, text)
    if current is None:
        library.rename(fresh, name, text)
        return
    _swap_items(library, name, current, fresh)
    with suppress(BakeryError):  # the channel points at the new version; the next move removes the old item
        library.delete(current)


def remove(library: Library, name: str, sources: Collection[str]) -> None:
    """Remove the channel's item if it is a copy of an item with one of these IDs."""
    recover(library, name)
    current = _find_channel_item(library, name)
    if current and _find_source(library, current).id in sources:
        library.delete(current)


def find_source(library: Library, name: str) -> Item | None:
    """The version's item that the channel's item is a copy of, or that itself if the version's is gone.

    A run that was killed between two steps may have left the channel's item under its temporary name.
    """
    current = _find_channel_item(library, name) or _find_channel_item(library, name + PREVIOUS)
    return _find_source(library, current) if current else None


def recover(library: Library, name: str) -> None:
    """Finish or undo the move of a run that was killed in the middle."""
    if fresh := _find_channel_item(library, name + NEXT):
        library.delete(fresh)
    if previous := _find_channel_item(library, name + PREVIOUS):
        if library.item(name):
            library.delete(previous)
        else:
            library.rename(previous, name, previous.description)


def _find_channel_item(library: Library, name: str) -> Item | None:
    """The item of this name; ConflictError if no channel made it."""
    item = library.item(name)
    if item and CHANNEL not in notes.read(item.description):
        raise ConflictError(
            f"{name} was not made by the bakery",
            where=library.where,
            hint="rename the item, or choose another channel",
        )
    return item


def _find_source(library: Library, current: Item) -> Item:
    return library.item(notes.read(current.description).get(VERSION, current.name)) or current


def _swap_items(library: Library, name: str, current: Item, fresh: Item) -> None:
    """Swap two items by two renames. Names are unique, so the channel is missing for the length of one call."""
    library.rename(current, name + PREVIOUS, current.description)
    try:
        library.rename(fresh, name, fresh.description)
    except BaseException as error:
        _put_back(library, name, current, fresh, error)
        raise


def _put_back(library: Library, name: str, current: Item, fresh: Item, error: BaseException) -> None:
    """Give the old item its name again, and add the result to `error`."""
    try:
        library.delete(fresh)  # first, since the rename may have succeeded and only its answer been lost
        library.rename(current, name, current.description)
        outcome = f"{name} was restored"
    except BakeryError as failure:
        outcome = f"{name} was NOT restored, it is {name}{PREVIOUS}: {failure.message}: {failure.detail}"
    if isinstance(error, BakeryError):
        error.detail = "\n".join(filter(None, (error.detail, outcome)))
