"""The catalog: images, their versions and locations, and the channels that point at them.

Nothing in it ever changes. A version is a row of numbered revisions, a channel a row of numbered entries; the
highest number is the present. The only write creates the next number if it is absent, so of two writers only one
succeeds.
"""

from bakery.catalog.catalog import VERSION, Catalog, owner
from bakery.catalog.record import ChannelEntry, Record, State
from bakery.catalog.store import Store, open_store

__all__ = ["VERSION", "Catalog", "ChannelEntry", "Record", "State", "Store", "open_store", "owner"]
