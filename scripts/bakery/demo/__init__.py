"""The demo: all stages on one machine, with a real Vault and an AWS stand-in on loopback."""
