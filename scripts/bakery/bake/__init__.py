"""The bake: a definition and a base disk become a disk with a version."""

from bakery.bake.bake import bake
from bakery.bake.job import Toolchain
from bakery.bake.roles import check_mode, check_roles

__all__ = ["Toolchain", "bake", "check_mode", "check_roles"]
