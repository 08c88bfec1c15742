"""Applies the rules for the content of an image to a raw disk. RULES are those of Linux."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bakery.machine.root import NoRootError
from bakery.model.documents import Check
from bakery.model.exemption import Exemption
from bakery.verify.inspection import inspect
from bakery.verify.rule import Rule, apply_rule, index_rules
from bakery.verify.rules import blocks, identities, keys, logins, programs, traces

UNREADABLE = "root file system can be read"

RULES = index_rules(*logins.RULES, *keys.RULES, *identities.RULES, *traces.RULES, *programs.RULES, *blocks.RULES)


def check(raw: Path, rules: Mapping[str, Rule], exemptions: Sequence[Exemption] = ()) -> list[Check]:
    """One check per rule, or one failed check if the disk cannot be read."""
    try:
        disk = inspect(raw)
    except NoRootError as error:
        return [Check(UNREADABLE, False, "; ".join(filter(None, (error.message, error.hint))))]
    by_rule = {exemption.rule: exemption for exemption in exemptions}
    today = datetime.now(UTC).date()
    return [apply_rule(rule, disk, by_rule.get(name), today) for name, rule in rules.items()]
