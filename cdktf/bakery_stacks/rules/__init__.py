"""Rules that every stack keeps: a violation fails `cdktf synth`, unless the code beside it says why it may stay."""

from bakery_stacks.rules.check import Check
from bakery_stacks.rules.rule import allow

__all__ = ["Check", "allow"]
