"""The stack for the content of Vault."""
