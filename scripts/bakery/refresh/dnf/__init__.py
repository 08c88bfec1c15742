"""Updates of a system of the Red Hat family, as dnf finds them."""

from bakery.refresh.dnf.missing import find_missing
from bakery.refresh.dnf.root import is_root
from bakery.refresh.dnf.upgrade import observe_updates

__all__ = ["find_missing", "is_root", "observe_updates"]
