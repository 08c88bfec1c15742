"""All that runs of an image make in vSphere: items of the library, unfinished uploads, and machines of builds."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from bakery.clouds.target import Resource, ResourceKind, format_since, remove_each
from bakery.clouds.vsphere import channels, notes, upload
from bakery.clouds.vsphere.library import Item, Library
from bakery.clouds.vsphere.machines import Machine, destroy_machine, list_machines
from bakery.clouds.vsphere.release import UNFINISHED
from bakery.clouds.vsphere.session import SoapSession
from bakery.host.errors import BakeryError

VERSION = r"(?P<version>[0-9]+\.[0-9]+\.[0-9]+)"


def list_items(library: Library, image: str, arch: str) -> Iterator[Resource]:
    """The items of versions and of unfinished uploads, by name and notes. Those of channels are others."""
    pattern = re.compile(rf"{re.escape(image)}-{VERSION}-{re.escape(arch)}(?P<unfinished>{UNFINISHED})?")
    for item in library.items():
        match = pattern.fullmatch(item.name)
        if match and _is_marked(item, image, arch):
            kind: ResourceKind = "upload" if match["unfinished"] else "image"
            yield Resource(library.where, kind, item.id, match["version"], format_since(_read_time(item.creation_time)))


def remove_items(library: Library, resources: Sequence[Resource]) -> dict[Resource, BakeryError]:
    """Remove items, and the sessions of uploads; the errors of those that stay."""

    def remove(resource: Resource) -> None:
        if item := library.by_id(resource.id):
            upload.cancel_uploads(library, item)
            library.delete(item)

    return remove_each(resources, remove)


def list_build_machines(session: SoapSession, where: str, datacenter: str, image: str, arch: str) -> list[Resource]:
    """The machines that Packer works on. Their names are free to everybody, so each has a setting that is ours."""
    pattern = re.compile(rf"{re.escape(image)}-{VERSION}-{re.escape(arch)}-[0-9a-f]{{8}}")
    return [
        Resource(where, "instance", machine.id, match["version"], format_since(_read_time(machine.changed)))
        for machine in list_machines(session, datacenter, pattern)
        if (match := pattern.fullmatch(machine.name)) and _is_build(machine)
    ]


def remove_machines(session: SoapSession, resources: Sequence[Resource]) -> Mapping[Resource, BakeryError]:
    """Stop and remove machines; the errors of those that stay."""
    return remove_each(resources, lambda resource: destroy_machine(session, resource.id))


def _is_marked(item: Item, image: str, arch: str) -> bool:
    actual = notes.read(item.description)
    return channels.CHANNEL not in actual and (actual.get("bakery:image"), actual.get("bakery:arch")) == (image, arch)


def _is_build(machine: Machine) -> bool:
    return bool(machine.build) and machine.name.startswith(f"{machine.build}-")


def _read_time(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
