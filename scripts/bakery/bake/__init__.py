"""The bake: a definition and a base disk become a disk with a version."""

from bakery.bake.bake import bake
from bakery.bake.roles import check_mode, check_roles
from bakery.clouds.job import Toolchain

__all__ = ["Toolchain", "bake", "check_mode", "check_roles"]
