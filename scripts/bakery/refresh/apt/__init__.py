"""Updates of a Debian or Ubuntu system, as apt finds them."""

from bakery.refresh.apt.root import is_root
from bakery.refresh.apt.upgrade import observe_updates

__all__ = ["is_root", "observe_updates"]
