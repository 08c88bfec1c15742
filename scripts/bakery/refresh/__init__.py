"""See what package archives have for an image, without starting it."""

from bakery.refresh.apt import observe_updates
from bakery.refresh.archives import Archives

__all__ = ["Archives", "observe_updates"]
