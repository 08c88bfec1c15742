"""Explains why an image is due, or how the inputs of two of its versions differ."""

from dataclasses import dataclass
from typing import Literal

from bakery.bake.layer_keys import find_last_equal
from bakery.catalog import Catalog
from bakery.engine.overview import find_previous, find_record
from bakery.engine.plan import Action, Kind
from bakery.engine.session import Session
from bakery.host.errors import NotFoundError
from bakery.model.documents import Strict
from bakery.model.inputs import Change, compare_inputs


@dataclass(frozen=True)
class Explanation(Strict):
    """The inputs that differ between two versions of an image.

    `after` is empty for the inputs of now, and then `action`, `reason` and `next_version` are the plan's. `before` is
    empty if there is no version to compare with. While an image waits for its parent, its inputs are not known.
    `same_until` names the last step of a bake that the changes leave as it was, so that its layer stays: a role, or
    "packages"; empty if all steps are made anew, or no input changed.
    """

    image: str
    arch: str
    before: str
    after: str
    changes: tuple[Change, ...]
    action: Kind | None = None
    reason: str = ""
    next_version: str = ""
    same_until: str = ""
    schema: Literal["bakery/explanation/1"] = "bakery/explanation/1"


def explain_plan(session: Session, name: str) -> Explanation:
    """The inputs of an image that changed since its newest version, and what a run would do with it."""
    action = next(action for action in session.plan([name]).actions if action.image == name)
    # Otherwise its age is the reason, or package updates or a newer base, after which no layer may hold.
    is_changed = action.kind == "bake" and action.version and action.changes
    same_until = _find_last_equal(session, action) if is_changed else ""
    return Explanation(
        name,
        action.arch,
        action.version,
        "",
        action.changes,
        action.kind,
        action.reason,
        action.next_version,
        same_until,
    )


def _find_last_equal(session: Session, action: Action) -> str:
    definition = session.definitions.images[action.image]
    before = dict(action.inputs)
    for change in action.changes:
        if change.before:
            before[change.input] = change.before
        else:
            before.pop(change.input, None)
    cut = find_last_equal(definition, before, action.inputs, session.project.resources)
    return cut.last or "packages" if cut else ""


def explain_versions(catalog: Catalog, image: str, arch: str, selectors: list[str]) -> Explanation:
    """The inputs that differ between two versions; one alone is compared with the complete version before it.

    A selector is a version or a channel.
    """
    records = [find_record(catalog, f"{image}@{selector}", arch) for selector in selectors]
    after = records[-1]
    before = records[0] if len(records) == 2 else find_previous(catalog, after)
    if before is None:
        raise NotFoundError(f"{image} {after.version} ({arch}) is the first complete version")
    return Explanation(image, arch, before.version, after.version, compare_inputs(before.inputs, after.inputs))
