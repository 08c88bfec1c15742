"""Updates of a Debian or Ubuntu system, as apt finds them."""

from bakery.refresh.apt.archives import Archives
from bakery.refresh.apt.root import UnknownPackagesError
from bakery.refresh.apt.upgrade import observe_updates

__all__ = ["Archives", "UnknownPackagesError", "observe_updates"]
