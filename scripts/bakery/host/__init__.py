"""The machine that the bakery runs on: processes, files, YAML, Vault, errors and events."""
