"""The stack of one account that starts our images."""
