"""Rules that every stack keeps: a violation fails `cdktf synth`, unless the code beside it says why it may stay."""

from bakery_stacks.rules.allowed import allow
from bakery_stacks.rules.check import Check

__all__ = ["Check", "allow"]
