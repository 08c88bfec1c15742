"""Judges the known vulnerabilities of a disk by its definition."""

from collections.abc import Callable, Collection, Iterator
from datetime import date
from itertools import groupby

from bakery.model.documents import SEVERITIES, Check
from bakery.model.gate import VulnerabilityGate
from bakery.model.vulnerabilities import Vulnerability

CHECK = "no known vulnerabilities"
IGNORE_CHECK = "no expired exception"

Where = Callable[..., str]  # `file:line` of a key in the definition


def judge_vulnerabilities(
    gate: VulnerabilityGate, vulnerabilities: Collection[Vulnerability], today: date, where: Where
) -> list[Check]:
    """The checks of a gate, with each vulnerability that fails it and the `file:line` of each expired exception."""
    ignored = {entry.id for entry in gate.ignore if today <= entry.until}
    limit = SEVERITIES.index(gate.fail_on)
    failing = [
        item
        for item in sorted(vulnerabilities)
        if SEVERITIES.index(item.severity) >= limit and item.id not in ignored and (item.fixed or not gate.only_fixed)
    ]
    expired = list(_list_expired(gate, today, where))
    return [
        Check(CHECK, not failing, "\n".join(_describe_failures(failing))),
        *([Check(IGNORE_CHECK, not expired, "\n".join(expired))] if gate.ignore else []),
    ]


def list_ignored(
    gate: VulnerabilityGate, vulnerabilities: Collection[Vulnerability], today: date
) -> dict[str, list[Vulnerability]]:
    """The vulnerabilities of a disk that the gate ignores today, by identifier."""
    names = {entry.id for entry in gate.ignore if today <= entry.until}
    present = sorted(item for item in vulnerabilities if item.id in names)
    return {name: list(group) for name, group in groupby(present, key=lambda item: item.id)}


def _describe_failures(failing: list[Vulnerability]) -> Iterator[str]:
    for item in failing:
        fix = f"fixed in {item.fixed}" if item.fixed else "no fix"
        yield f"{item.id} ({item.severity}): {item.package} {item.installed}, {fix}"


def _list_expired(gate: VulnerabilityGate, today: date, where: Where) -> Iterator[str]:
    for number, entry in enumerate(gate.ignore):
        if today > entry.until:
            place = where("vulnerabilities", "ignore", number)
            yield f"{place}: {entry.id} was ignored until {entry.until}: {entry.reason}"
