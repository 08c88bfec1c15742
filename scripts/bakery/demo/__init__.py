"""The demo: the whole line on one machine, with a real Vault and an AWS stand-in on loopback."""

from bakery.demo.story import Result, end, folder_of, play

__all__ = ["Result", "end", "folder_of", "play"]
