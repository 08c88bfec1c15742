"""A rule for the content of an image, and what it says of one disk."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date

from bakery.host.errors import BakeryError
from bakery.model.documents import Check
from bakery.model.exemption import Exemption
from bakery.verify.inspection import InspectedDisk

SHOWN = 10  # findings named in a verdict


class Remark(str):
    """A line for the verdict that is no finding, such as the parts of a disk that a rule cannot read."""


@dataclass(frozen=True)
class Rule:
    """A demand that a disk has to meet.

    `name` is that of the check, `reason` says what happens otherwise, `source` is a published text that asks for
    it, as a Markdown link, and `remedy` says how to pass. `find` yields what breaks the rule, and remarks.
    """

    name: str
    reason: str
    source: str
    remedy: str
    find: Callable[[InspectedDisk], Iterable[str]]


def apply_rule(rule: Rule, disk: InspectedDisk, exemption: Exemption | None, today: date) -> Check:
    """The check of one rule. An exemption that has not expired makes it pass, and is shown.

    A part of the disk that the rule cannot read is a finding.
    """
    try:
        lines = list(rule.find(disk))
    except BakeryError as error:
        lines = [error.message]
    findings = [line for line in lines if not isinstance(line, Remark)]
    detail = "; ".join(filter(None, (_join_findings(findings), *(line for line in lines if isinstance(line, Remark)))))
    if exemption is None:
        return Check(rule.name, not findings, detail)
    if exemption.until and today > exemption.until:
        return Check(
            rule.name, not findings, "; ".join(filter(None, (detail, f"the exemption ended on {exemption.until}")))
        )
    return Check(rule.name, True, f"exempt: {exemption.reason} ({detail or 'nothing found'})")


def index_rules(*rules: Rule) -> dict[str, Rule]:
    """Rules by name."""
    return {rule.name: rule for rule in rules}


def _join_findings(findings: list[str]) -> str:
    more = f" and {len(findings) - SHOWN} more" if len(findings) > SHOWN else ""
    return ", ".join(findings[:SHOWN]) + more
