"""A parent as an input of its child: by its content, so that a new parent with equal content makes no child due."""

from bakery.catalog.record import Record
from bakery.model.inputs import PARENT


def describe_parent(parent: Record | None, record: Record | None) -> str:
    """The content of a parent's newest version, as the input of a child; empty without a parent.

    A child whose newest version names the bytes of the very same disk keeps that name: an older release gave it, or the
    parent's content was read later.
    """
    if parent is None:
        return ""
    before = record.inputs.get(PARENT, "") if record else ""
    return before if parent.is_base(before) else parent.content


def describe_rebuilt_parent(parent: Record | None, record: Record | None) -> str:
    """The reason why a new version of the parent makes its child no different; empty if there is no new version."""
    base = record.base if record else None
    if parent is None or base is None or base.name != parent.image or base.version == parent.version:
        return ""
    return f"{parent.image} was rebuilt as {parent.version} with the content of {base.version}"
