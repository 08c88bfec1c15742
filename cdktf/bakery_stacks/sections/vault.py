"""What the stack for a Vault cluster is told."""

from bakery.strict import Model


class Vault(Model):
    """For a Vault cluster."""
