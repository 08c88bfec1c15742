"""The SSM parameters that point at AMIs."""

from bakery.model.version import Versioned


def version_parameter(of: Versioned) -> str:
    """The SSM parameter that always holds this version."""
    return f"/bakery/{of.image}/{of.arch}/{of.version}"


def channel_parameter(of: Versioned, channel: str) -> str:
    """The SSM parameter that follows a channel."""
    return f"/bakery/{of.image}/{of.arch}/channels/{channel}"
