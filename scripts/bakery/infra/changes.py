"""A plan of Terraform, as JSON -> its changes and its drift.

Only the names of attributes are shown, since a provider may fail to mark a secret. Outputs show their values, except
for sensitive ones: other programs read them, and the images stack has nothing else to review.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["add", "change", "replace", "destroy", "forget", "import", "move"]
KINDS: tuple[Kind, ...] = ("add", "change", "replace", "destroy", "forget", "import", "move")
DESTRUCTIVE: tuple[Kind, ...] = ("replace", "destroy")
SENSITIVE = "(sensitive)"
LONGEST = 60  # characters of an output's value: most ARNs fit, a policy is cut

# Values of Terraform's `action_reason` that add something to the action and the attributes.
REASONS = {
    "replace_because_tainted": "the apply that made it failed",
    "replace_by_request": "asked for",
    "replace_by_triggers": "a resource in its replace_triggered_by changes",
    "delete_because_no_resource_config": "the stack no longer declares it",
    "delete_because_each_key": "the stack no longer declares it",
    "delete_because_count_index": "the stack no longer declares it",
}
# A replacement counts twice, as in Terraform's own report for GitLab's widget.
REPORTED: dict[Kind, tuple[str, ...]] = {
    "add": ("create",),
    "change": ("update",),
    "replace": ("create", "delete"),
    "destroy": ("delete",),
}


@dataclass(frozen=True)
class Change:
    """A planned action on one resource; `attributes` are those that get another value."""

    address: str
    kind: Kind
    attributes: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class OutputChange:
    """A value that other stacks read; `before` and `after` as JSON, empty where there is none."""

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class Drift:
    """A resource that changed since the last apply in attributes that its stack sets, so that an apply corrects it.

    Other attributes are ignored: their changes look the same as defaults that clouds fill in.
    """

    address: str
    absent: bool
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Difference:
    """One stack. `pending` is whether an apply would change anything.

    `reads` are the stacks whose current outputs the plan uses; `waits_for` is a stack that must be applied before this
    one can be planned.
    """

    stack: str
    pending: bool
    changes: tuple[Change, ...] = ()
    outputs: tuple[OutputChange, ...] = ()
    drift: tuple[Drift, ...] = ()
    reads: tuple[str, ...] = ()
    waits_for: str = ""
    schema: Literal["bakery/difference/1"] = "bakery/difference/1"

    @property
    def destructive(self) -> tuple[Change, ...]:
        """The changes that remove a resource, even for a while."""
        return tuple(change for change in self.changes if change.kind in DESTRUCTIVE)

    def count(self, kind: Kind) -> int:
        """The number of resources with this kind of change."""
        return sum(change.kind == kind for change in self.changes)


def read_difference(stack: str, reads: tuple[str, ...], plan: Mapping[str, Any]) -> Difference:
    """Parse the output of `terraform show -json` for a saved plan."""
    changes = tuple(_read_changes(plan.get("resource_changes", ())))
    by_address = {change.address: change for change in changes}
    return Difference(
        stack,
        bool(plan["applyable"]),
        changes,
        tuple(_read_outputs(plan.get("output_changes", {}))),
        tuple(_read_drift(plan.get("resource_drift", ()), by_address)),
        reads,
    )


def report(differences: Sequence[Difference]) -> dict[str, int]:
    """The numbers of GitLab's report `terraform`, for all stacks together: a job has one report."""
    counts = {"create": 0, "update": 0, "delete": 0}
    for change in (change for each in differences for change in each.changes):
        for name in REPORTED.get(change.kind, ()):
            counts[name] += 1
    return counts


def _read_changes(resources: Sequence[Mapping[str, Any]]) -> Iterator[Change]:
    for resource in resources:
        if kind := _change_kind(resource):
            attributes = () if kind in ("add", "destroy", "forget") else _changed_attributes(resource["change"], kind)
            yield Change(_full_address(resource), kind, attributes, _change_reason(resource))


def _change_kind(resource: Mapping[str, Any]) -> Kind | None:
    """The change of a resource; None if it does not change or is only read."""
    change = resource["change"]
    actions = change["actions"]
    if "delete" in actions:
        return "replace" if "create" in actions else "destroy"
    if "create" in actions:
        return "add"
    if "forget" in actions:
        return "forget"
    if change.get("importing"):
        return "import"
    if "update" in actions:
        return "change"
    return "move" if "previous_address" in resource else None


def _full_address(resource: Mapping[str, Any]) -> str:
    """The address and a note: a deposed object is the old one of an interrupted replacement."""
    deposed = f" (left by an interrupted replacement: {resource['deposed']})" if "deposed" in resource else ""
    return f"{resource['address']}{deposed}"


def _change_reason(resource: Mapping[str, Any]) -> str:
    if "previous_address" in resource:
        return f"was {resource['previous_address']}"
    if resource.get("action_reason") == "replace_because_cannot_update":
        arguments = sorted({str(path[0]) for path in resource["change"].get("replace_paths", ()) if path})
        return f"forced by {', '.join(arguments)}" if arguments else ""
    return REASONS.get(resource.get("action_reason", ""), "")


def _changed_attributes(change: Mapping[str, Any], kind: Kind) -> tuple[str, ...]:
    """Attributes that change. A replacement omits values that are known only after it, such as all IDs."""
    return tuple(leaf.path for leaf in _changed_leaves(change) if kind != "replace" or not leaf.later)


def _read_outputs(outputs: Mapping[str, Mapping[str, Any]]) -> Iterator[OutputChange]:
    for name, change in outputs.items():
        for leaf in _changed_leaves(change):
            path = f"{name}.{leaf.path}" if leaf.path else name
            after = "(known after apply)" if leaf.later else _short_text(leaf.after)
            yield OutputChange(path, *((SENSITIVE, SENSITIVE) if leaf.secret else (_short_text(leaf.before), after)))


def _read_drift(resources: Sequence[Mapping[str, Any]], by_address: Mapping[str, Change]) -> Iterator[Drift]:
    for resource in resources:
        address, change = resource["address"], resource["change"]
        if address not in by_address:
            continue
        names = {_top_name(path) for path in by_address[address].attributes}
        attributes = tuple(leaf.path for leaf in _changed_leaves(change) if _top_name(leaf.path) in names)
        if change["actions"] == ["delete"]:
            yield Drift(address, absent=True)
        elif attributes:
            yield Drift(address, absent=False, attributes=attributes)


def _top_name(path: str) -> str:
    return path.partition(".")[0]


def _short_text(value: Any) -> str:
    text = "" if value is None else json.dumps(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


@dataclass(frozen=True)
class _Leaf:
    """A value that differs, at a path of names joined by dots. `later`: known only after an apply."""

    path: str
    before: Any
    after: Any
    secret: bool
    later: bool


def _changed_leaves(change: Mapping[str, Any]) -> Iterator[_Leaf]:
    masks = (change.get("before_sensitive"), change.get("after_sensitive"))
    yield from _compare_values("", change.get("before"), change.get("after"), masks, change.get("after_unknown"))


def _compare_values(path: str, before: Any, after: Any, masks: Sequence[Any], later: Any) -> Iterator[_Leaf]:
    """Compares maps key by key, unless a whole map is sensitive."""
    if before == after and not _has_mask(later):
        return
    if isinstance(before, dict) and isinstance(after, dict) and True not in masks:
        for key in sorted(before.keys() | after.keys()):
            below = f"{path}.{key}" if path else key
            inner = [_mask_below(mask, key) for mask in masks]
            yield from _compare_values(below, before.get(key), after.get(key), inner, _mask_below(later, key))
    else:
        yield _Leaf(path, before, after, any(map(_has_mask, masks)), _has_mask(later))


def _mask_below(mask: Any, key: str) -> Any:
    """Terraform's masks have the shape of the value; `true` or `false` stands for all below."""
    return mask.get(key) if isinstance(mask, dict) else mask


def _has_mask(mask: Any) -> bool:
    if isinstance(mask, dict | list):
        return any(map(_has_mask, mask.values() if isinstance(mask, dict) else mask))
    return bool(mask)
