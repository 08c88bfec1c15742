"""Updates of a Debian or Ubuntu system, as apt finds them."""

from bakery.refresh.apt.dated import date_archives
from bakery.refresh.apt.root import is_root
from bakery.refresh.apt.upgrade import find_missing, observe_dated, observe_updates

__all__ = ["date_archives", "find_missing", "is_root", "observe_dated", "observe_updates"]
