"""Exemptions from rules: the code has them beside the construct, with a reason."""

from dataclasses import asdict, dataclass

from cdktf import TerraformStack
from constructs import Construct

from bakery.host.errors import BakeryError
from bakery_stacks.rules.pack import RULES

METADATA = "bakery:allowed"  # metadata of the stack, which is not written to the output
WORDS = 4  # words of a reason, at least: "Ours." or "not needed here" do not help a reviewer


@dataclass(frozen=True)
class Exemption:
    """The construct at `path`, and all in it, need not keep a rule."""

    path: str
    rule: str
    because: str

    def covers(self, path: str) -> bool:
        """Whether this is about the construct at `path`."""
        return f"{path}/".startswith(f"{self.path}/")


def allow(construct: Construct, rule: str, *, because: str) -> None:
    """Exempt a construct, and all in it, from a rule. `because` is a sentence for the reviewer.

    The synth fails if nothing there violates the rule: the exemption would hide the next violation.
    """
    path = construct.node.path
    if all(rule != known_rule.id for known_rule in RULES):
        raise BakeryError(f"there is no rule {rule}", where=path, hint="docs/reference/rules.md lists all rules")
    if len(because.split()) < WORDS:
        raise BakeryError(f"'{because}' does not say why {rule} may be violated", where=path, hint="write a sentence")
    stack = TerraformStack.of(construct)
    stack.node.add_metadata(METADATA, asdict(Exemption(path, rule, because)))


def read_exemptions(stack: TerraformStack) -> list[Exemption]:
    """All exemptions of a stack."""
    return [Exemption(**entry.data) for entry in stack.node.metadata if entry.type == METADATA]
