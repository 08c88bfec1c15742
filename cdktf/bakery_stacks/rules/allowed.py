"""What is let off a rule, and why: said in the code, beside what it is about."""

from dataclasses import asdict, dataclass

from cdktf import TerraformStack
from constructs import Construct

from bakery.errors import BakeryError
from bakery_stacks.rules.pack import RULES

METADATA = "bakery:allowed"  # on the stack; it is no part of the output
WORDS = 4  # the fewest that say why: "Ours." or "not needed here" tell a reviewer nothing


@dataclass(frozen=True)
class Exemption:
    """The construct at `path`, with all in it, is let off a rule."""

    path: str
    rule: str
    because: str

    def covers(self, path: str) -> bool:
        """Whether a construct is this one or in it."""
        return f"{path}/".startswith(f"{self.path}/")


def allow(construct: Construct, rule: str, *, because: str) -> None:
    """Let a construct, with all in it, off a rule. `because` is for the reviewer: a whole sentence.

    The synth fails if nothing there violates the rule: the exemption would hide the next thing that does.
    """
    path = construct.node.path
    if all(rule != known_rule.id for known_rule in RULES):
        raise BakeryError(f"there is no rule {rule}", where=path, hint="docs/reference/rules.md has them all")
    if len(because.split()) < WORDS:
        raise BakeryError(f"'{because}' does not say why {rule} need not hold", where=path, hint="write a sentence")
    stack = TerraformStack.of(construct)
    stack.node.add_metadata(METADATA, asdict(Exemption(path, rule, because)))


def read_exemptions(stack: TerraformStack) -> list[Exemption]:
    """All that a stack's code lets off."""
    return [Exemption(**entry.data) for entry in stack.node.metadata if entry.type == METADATA]
