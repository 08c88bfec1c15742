"""Rules for every stack: a violation fails `cdktf synth`, unless the code exempts the construct and says why."""

from bakery_stacks.rules.allowed import allow
from bakery_stacks.rules.check import Check

__all__ = ["Check", "allow"]
