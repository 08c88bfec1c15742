"""The names of a version at every target. They contain the version, so images are found by name."""

from bakery.model.version import Versioned


def full_name(of: Versioned) -> str:
    """`web-1.0.3-x86_64`: the name of the image in a cloud, the stem of its file."""
    return f"{of.image}-{of.version}-{of.arch}"
