"""The stack of the Vault cluster."""
