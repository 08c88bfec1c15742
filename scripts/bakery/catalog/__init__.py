"""The catalog: images, their versions and locations, and the channels that point at them.

Nothing in it ever changes. A version is a series of numbered revisions, a channel a series of numbered entries; the
highest number is the current one. The only write creates the next number if it is absent, so only one of two writers
succeeds. Both kinds are signed by the duty that writes them, and verified when they are read.
"""

from bakery.catalog.catalog import Catalog
from bakery.catalog.keys import VERSION
from bakery.catalog.record import ChannelEntry, Failure, ListedVersion, Move, PointerChange, Record, State
from bakery.catalog.reservations import is_expired
from bakery.catalog.store import Store, open_store, read_all
from bakery.catalog.writer import actor, now, owner

__all__ = [
    "VERSION",
    "Catalog",
    "ChannelEntry",
    "Failure",
    "ListedVersion",
    "Move",
    "PointerChange",
    "Record",
    "State",
    "Store",
    "actor",
    "is_expired",
    "now",
    "open_store",
    "owner",
    "read_all",
]
