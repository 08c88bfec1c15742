"""See what package archives have for an image, without starting it."""

from bakery.refresh.archives import Archives
from bakery.refresh.root import UnknownPackagesError
from bakery.refresh.updates import observe_updates

__all__ = ["Archives", "UnknownPackagesError", "observe_updates"]
