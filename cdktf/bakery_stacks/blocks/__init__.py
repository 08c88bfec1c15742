"""Pieces that stacks are put together from."""
