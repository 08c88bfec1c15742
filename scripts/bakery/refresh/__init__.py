"""See what package archives have for an image, without starting it."""

from bakery.refresh.apt import Archives, UnknownPackagesError, observe_updates

__all__ = ["Archives", "UnknownPackagesError", "observe_updates"]
