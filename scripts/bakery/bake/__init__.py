"""The bake: a definition and a base disk become a disk with a version."""

from bakery.bake.bake import bake
from bakery.bake.roles import check_mode, check_roles

__all__ = ["bake", "check_mode", "check_roles"]
