"""Find the updates that package archives have for an image, without starting it."""

from bakery.refresh.apt import date_archives
from bakery.refresh.archives import Archives
from bakery.refresh.root import UnknownPackagesError
from bakery.refresh.updates import find_missing, observe_dated, observe_updates

__all__ = ["Archives", "UnknownPackagesError", "date_archives", "find_missing", "observe_dated", "observe_updates"]
