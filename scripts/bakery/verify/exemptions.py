"""The rules that an image has to pass, and its exemptions from them."""

from collections.abc import Callable, Mapping

from bakery.host.errors import UsageError, raise_all, suggest
from bakery.model.definition import ImageDefinition
from bakery.verify import hygiene, windows
from bakery.verify.rule import Rule


def select_rules(definition: ImageDefinition) -> Mapping[str, Rule]:
    """The rules of the definition's system, by name."""
    return windows.RULES if definition.windows else hygiene.RULES


def check_exemptions(definition: ImageDefinition, where: Callable[..., str]) -> None:
    """Raise UsageError, with `where` of the keys, for each exemption from a rule that does not exist."""
    rules = select_rules(definition)
    raise_all(
        [
            UsageError(
                f"no rule named '{exemption.rule}'",
                where=where("exemptions", number, "rule"),
                hint=suggest(exemption.rule, rules) or f"the rules are: {', '.join(rules)}",
            )
            for number, exemption in enumerate(definition.exemptions)
            if exemption.rule not in rules
        ]
    )
