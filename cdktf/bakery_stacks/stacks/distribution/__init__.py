"""The stack that images are distributed with."""
