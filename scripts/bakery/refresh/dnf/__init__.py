"""Updates of a system of the Red Hat family, as dnf finds them."""

from bakery.refresh.dnf.root import is_root
from bakery.refresh.dnf.upgrade import observe_updates

__all__ = ["is_root", "observe_updates"]
