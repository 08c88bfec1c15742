"""What the stack for what is in Vault is told."""

from bakery.strict import Model


class VaultConfig(Model):
    """For what is in Vault."""
