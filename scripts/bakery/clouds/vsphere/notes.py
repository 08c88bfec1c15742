"""The notes of a library item: a text for people, and the tags of its version, one per line.

vSphere's own tags need categories that an administrator makes, are not copied to subscribed libraries, and cannot be
set in one step with an item's name. The notes can, and travel with the item.
"""

from bakery.model.tags import Tags

SEPARATOR = ": "


def write(description: str, tags: Tags) -> str:
    lines = [f"{key}{SEPARATOR}{' '.join(value.split())}" for key, value in tags.items()]
    return "\n".join([" ".join(description.split()), "", *lines])


def replace_tag(notes: str, key: str, value: str) -> str:
    """The notes with another value of one tag, or without the tag if the value is empty."""
    description, _, _ = notes.partition("\n\n")
    rest = {name: text for name, text in read(notes).items() if name != key}
    return write(description, rest | ({key: value} if value else {}))


def read(notes: str) -> Tags:
    """The tags of an item; none if the bakery did not write the notes."""
    _, _, lines = notes.partition("\n\n")
    pairs = [line.partition(SEPARATOR) for line in lines.splitlines()]
    return {key: value for key, separator, value in pairs if separator}
