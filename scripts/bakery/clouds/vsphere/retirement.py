"""Retires the item of a version: its notes say so, and a disabled item has another name.

A user who may read a library may deploy all of its items. A disabled one is therefore only out of the sight of those
who look for the name of its version. Name and notes change in one call, which keeps the item's ID and content (vSphere
Automation API, Content Library Item update).
"""

from bakery.clouds.vsphere import notes
from bakery.clouds.vsphere.library import Item, Library
from bakery.model.documents import Availability, Publication
from bakery.model.naming import full_name
from bakery.model.tags import Tags, of_publication

AVAILABILITY = "bakery:availability"  # the note of an item that is deprecated or disabled
DISABLED = "-disabled"  # behind the name of a disabled item


def bring_to(library: Library, item: Item, publication: Publication, availability: Availability) -> None:
    """Give an item the name and the notes of an availability, or remove it; an equal one stays as it is."""
    if availability == "removed":
        library.delete(item)
        return
    name = _item_name(publication, availability)
    text = notes.replace_tag(item.description, AVAILABILITY, "" if availability == "available" else availability)
    if (item.name, item.description) != (name, text):
        library.rename(item, name, text)


def list_differences(item: Item, publication: Publication, availability: Availability) -> list[str]:
    """The differences between an item's name and notes and those of an availability, other than removed."""
    actual: Tags = {AVAILABILITY: "available", **notes.read(item.description), "Name": item.name}
    expected = {
        **of_publication(publication),
        "Name": _item_name(publication, availability),
        AVAILABILITY: availability,
    }
    return [
        f"{key} is {actual.get(key, 'not set')}, expected {value}"
        for key, value in expected.items()
        if actual.get(key) != value
    ]


def _item_name(publication: Publication, availability: Availability) -> str:
    return full_name(publication) + (DISABLED if availability == "disabled" else "")
