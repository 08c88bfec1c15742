"""The catalog: what exists, in which version, where, and which channel points at it.

Nothing in it ever changes. A version's life is a row of numbered revisions, a channel's history a row of numbered
entries; the highest number is the present. Creating the next number if it is absent is the only write there is, so two
writers can never both win.
"""

from bakery.catalog.catalog import VERSION, Catalog, owner
from bakery.catalog.record import ChannelEntry, Record, State
from bakery.catalog.store import Store, open_store

__all__ = ["VERSION", "Catalog", "ChannelEntry", "Record", "State", "Store", "open_store", "owner"]
