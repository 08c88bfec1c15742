"""The stack for what is in Vault."""
