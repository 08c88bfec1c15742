"""How plans of stacks look."""

from collections.abc import Iterator, Sequence

from bakery.infra.changes import KINDS, Change, Difference, Drift
from bakery.reports.tables import table

ALWAYS = ("add", "change", "replace", "destroy")  # the kinds that are counted even if there are none


def differences(seen: Sequence[Difference]) -> str:
    """What would change, by stack in the order of an apply."""
    changing = {each.stack for each in seen if each.pending}
    return "\n".join(_text(each, changing) for each in seen)


def applied(done: Sequence[Difference]) -> str:
    """What was done, as a table with a row for each stack."""
    kinds = [kind for kind in KINDS if kind in ALWAYS or any(each.count(kind) for each in done)]
    rows = [(each.stack, *(str(each.count(kind)) for kind in kinds), _result(each)) for each in done]
    return table(("stack", *kinds, "result"), rows)


def lines(found: Difference) -> Iterator[str]:
    """A summary, and a line for each thing that changes or was changed."""
    yield _summary(found)
    for change in found.changes:
        yield f"  {change.kind:8} {change.address}{_details(change)}"
    for output in found.outputs:
        yield f"  {'output':8} {output.name}: {output.before or '(none)'} -> {output.after or '(none)'}"
    for drift in found.drift:
        yield f"  {'drift':8} {drift.address}: {_drift(drift)}"


def _text(found: Difference, changing: set[str]) -> str:
    text = f"{found.stack}: " + "\n".join(lines(found))
    before = "" if found.waits_for else ", ".join(name for name in found.reads if name in changing)
    return f"{text}\n  {'note':8} planned with outputs of {before} as they are now" if before else text


def _result(found: Difference) -> str:
    return "applied" if found.pending else "no changes"


def _summary(found: Difference) -> str:
    if found.waits_for:
        return f"cannot be planned before {found.waits_for} is applied: it reads outputs that are not there yet"
    if not found.pending:
        return "no changes"
    counts = {kind: found.count(kind) for kind in KINDS}
    numbers = ", ".join(f"{count} to {kind}" for kind, count in counts.items() if count or kind in ALWAYS)
    return f"{numbers}; outputs change" if found.outputs else numbers


def _details(change: Change) -> str:
    reason = f" ({change.reason})" if change.reason else ""
    return f": {', '.join(change.attributes)}{reason}" if change.attributes else reason


def _drift(drift: Drift) -> str:
    what = "removed it" if drift.gone else f"changed it ({', '.join(drift.attributes)})"
    return f"somebody {what} outside of Terraform; an apply corrects it"
