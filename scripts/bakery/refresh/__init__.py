"""See what package archives have for an image, without starting it."""

from bakery.refresh.apt import observe_updates
from bakery.refresh.archives import Archives
from bakery.refresh.root import UnknownPackagesError

__all__ = ["Archives", "UnknownPackagesError", "observe_updates"]
