"""Renders plans of stacks as text."""

from collections.abc import Iterator, Sequence

from bakery.infra.changes import KINDS, Change, Difference, Drift
from bakery.reports.tables import render_table

ALWAYS = ("add", "change", "replace", "destroy")  # the summary counts these kinds even if there are none


def render_differences(stacks: Sequence[Difference]) -> str:
    """The changes of each stack, in the order of an apply."""
    changing = {difference.stack for difference in stacks if difference.pending}
    return "\n".join(_difference_text(difference, changing) for difference in stacks)


def render_applied(stacks: Sequence[Difference]) -> str:
    """The applied changes, as a table with a row for each stack."""
    kinds = [kind for kind in KINDS if kind in ALWAYS or any(stack.count(kind) for stack in stacks)]
    rows = [
        (difference.stack, *(str(difference.count(kind)) for kind in kinds), _result_cell(difference))
        for difference in stacks
    ]
    return render_table(("stack", *kinds, "result"), rows)


def lines(difference: Difference) -> Iterator[str]:
    """A summary, and a line for each change and each drift."""
    yield _count_changes(difference)
    for change in difference.changes:
        yield f"  {change.kind:8} {change.address}{_change_details(change)}"
    for output in difference.outputs:
        yield f"  {'output':8} {output.name}: {output.before or '(none)'} -> {output.after or '(none)'}"
    for drift in difference.drift:
        yield f"  {'drift':8} {drift.address}: {_drift_text(drift)}"


def _difference_text(difference: Difference, changing: set[str]) -> str:
    text = f"{difference.stack}: " + "\n".join(lines(difference))
    before = "" if difference.waits_for else ", ".join(name for name in difference.reads if name in changing)
    return f"{text}\n  {'note':8} planned with the current outputs of {before}" if before else text


def _result_cell(difference: Difference) -> str:
    return "applied" if difference.pending else "no changes"


def _count_changes(difference: Difference) -> str:
    if difference.waits_for:
        return f"cannot be planned before {difference.waits_for} is applied: it reads outputs that do not exist yet"
    if not difference.pending:
        return "no changes"
    counts = {kind: difference.count(kind) for kind in KINDS}
    numbers = ", ".join(f"{count} to {kind}" for kind, count in counts.items() if count or kind in ALWAYS)
    return f"{numbers}; outputs change" if difference.outputs else numbers


def _change_details(change: Change) -> str:
    reason = f" ({change.reason})" if change.reason else ""
    return f": {', '.join(change.attributes)}{reason}" if change.attributes else reason


def _drift_text(drift: Drift) -> str:
    action = "removed it" if drift.absent else f"changed it ({', '.join(drift.attributes)})"
    return f"somebody {action} outside of Terraform; an apply corrects it"
