"""The stack of one consumer account."""
