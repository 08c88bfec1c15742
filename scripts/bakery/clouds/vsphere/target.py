"""The vSphere target: one version as an item of a content library, channels as items beside it."""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bakery.clouds.phases import Phases
from bakery.clouds.target import Finding, Listing, Resource, Status, Use, gone_error
from bakery.clouds.vsphere import channels, leftovers, notes, retirement
from bakery.clouds.vsphere.library import Item, Library
from bakery.clouds.vsphere.release import VsphereRelease, refuse_foreign
from bakery.clouds.vsphere.session import connect
from bakery.clouds.vsphere.settings import VsphereDistribution
from bakery.clouds.vsphere.template import log_in
from bakery.host.errors import BakeryError, ConflictError, NotFoundError
from bakery.host.events import Reporter, report_step
from bakery.model import tags
from bakery.model.definition import ImageDefinition
from bakery.model.documents import (
    Artifact,
    Availability,
    ImageLocation,
    Location,
    Pointer,
    Publication,
    RemoteBuild,
)
from bakery.model.naming import full_name
from bakery.model.version import Versioned


class VsphereTarget:
    """Each operation logs in by itself: a session could expire between two of them."""

    def __init__(self, definition: ImageDefinition, credentials: Mapping[str, str]) -> None:
        """`credentials` are username and password."""
        vsphere = definition.distribution.of(VsphereDistribution)
        assert vsphere  # the definition's own rule: target vsphere needs distribution.vsphere
        self._definition = definition
        self._vsphere = vsphere
        self._credentials = credentials

    def publish(self, artifact: Artifact, disk: Path, report: Reporter) -> Publication:
        """Publish the version in the library; a rerun adopts a complete item and replaces an incomplete one."""
        phases = Phases(report, full_name(artifact))
        expected = tags.of_artifact(self._definition, artifact)
        with self._open_library(self._location, artifact) as library:
            item = VsphereRelease(library, self._definition.description, expected, phases).publish(disk, artifact.os)
        return self._new_publication(artifact, artifact.disk.sha256, item, phases.seconds)

    def prepare(self, of: Versioned) -> None:
        """Remove the item of a build that was killed before it wrote its document."""
        build_tags = tags.identity(of)
        with self._open_library(self._location, of) as library:
            item = library.item(full_name(of))
            actual = notes.read(item.description) if item else {}
            if item is None:
                return
            if tags.SHA256 in actual or tags.wrong(actual, build_tags):
                raise ConflictError(
                    f"{item.name} exists, but no unfinished build made it",
                    where=library.where,
                    hint="remove the item if it is unused, or bake a new version",
                )
            library.delete(item)

    def adopt(self, build: RemoteBuild, report: Reporter) -> Publication:
        """Adopt the item that vCenter made for Packer: write its notes, and check that it is complete."""
        began = time.monotonic()
        name, expected = full_name(build), tags.of_build(self._definition, build)
        with (
            report_step(report, "publish", name, f"adopt the item in {self._vsphere.library}"),
            self._open_library(self._location, build) as library,
        ):
            item = library.item(name)
            if item is None:
                raise NotFoundError(
                    f"Packer's item {name} is not in the library any more",
                    where=library.where,
                    hint="remove the build's folder and run 'bakery run' again",
                )
            if tags.SHA256 in notes.read(item.description):
                refuse_foreign(library, item, build.identity)
            item = VsphereRelease(library, self._definition.description, expected, Phases(report, name)).mark(item)
        return self._new_publication(build, build.identity, item, {"adopt": round(time.monotonic() - began, 3)})

    def distribute(self, publication: Publication, expected: tags.Tags, report: Reporter) -> Publication:
        """Repair the notes of the item; NotFoundError if the definition's library does not have it."""
        name, phases = full_name(publication), Phases(report, full_name(publication))
        with self._open_library(self._location, publication) as library:
            item = library.item(name)
            if item is None:
                raise gone_error(f"the library has no item {name}", library.where, publication.image)
            refuse_foreign(library, item, publication.sha256)
            item = VsphereRelease(library, self._definition.description, expected, phases).mark(item)
        return replace(publication, locations=(ImageLocation(*self._location, item.id),), seconds=phases.seconds)

    def withdraw(self, publication: Publication, locations: Collection[ImageLocation], report: Reporter) -> None:
        """Do nothing: whoever may read a library may use all of its items."""

    def inspect(self, publication: Publication, availability: Availability = "available") -> list[Finding]:
        """Check the name, notes and files of the publication's item."""
        location = publication.locations[0]
        label = f"{location.account}/{location.region} {location.id}"
        try:
            with self._open_library(location.location, publication) as library:
                item = library.by_id(location.id)
                return [Finding(label, *_inspect_item(library, item, publication, availability))]
        except BakeryError as error:
            return [Finding(label, "unreachable", f"{error.message}: {error.detail}")]

    def find_uses(self, publication: Publication) -> list[Use]:
        """None: machines are clones.

        Since vSphere 7.0 a machine may name the item that it came from (`contentLibItemInfo`). Consumers deploy the
        channel's item, though, whose ID is another one and is gone after the next move.
        """
        return []

    def set_availability(self, publication: Publication, availability: Availability, report: Reporter) -> None:
        """Say it in the notes of the item; rename a disabled one, and remove a removed one.

        NotFoundError if a version to be usable is gone.
        """
        location = publication.locations[0]
        with (
            report_step(report, "retire", full_name(publication), f"{availability} in {location.region}"),
            self._open_library(location.location, publication) as library,
        ):
            item = library.by_id(location.id)
            if item is not None:
                refuse_foreign(library, item, publication.sha256)
                retirement.bring_to(library, item, publication, availability)
            elif availability in ("available", "deprecated"):
                raise gone_error(f"the library has no item {location.id}", library.where, publication.image)

    def wanted_locations(self) -> Collection[Location]:
        """The library."""
        return (self._location,)

    def channel_values(self, publication: Publication) -> Mapping[Location, str]:
        """The ID of the version's item: the channel's item is a copy of it."""
        return {location.location: location.id for location in publication.locations}

    def read_channel(self, of: Versioned, channel: str, locations: Collection[Location]) -> Mapping[Location, Pointer]:
        """The channel's item, with the ID of the item that it is a copy of; its own ID if that one is gone."""
        name, pointers = channels.item_name(of, channel), {}
        for location in locations:
            with self._open_library(location, of) as library:
                if source := channels.find_source(library, name):
                    pointers[location] = _new_pointer(location, name, source.id)
        return pointers

    def point(
        self, publication: Publication, channel: str, locations: Collection[Location], report: Reporter
    ) -> Mapping[Location, Pointer]:
        """Replace the channel's item by a copy of this version's; if that fails, the item does not change."""
        location = publication.locations[0]
        name = channels.item_name(publication, channel)
        # The channel's consumers read the version's name in the notes: the name of this item lacks it.
        text = notes.write(self._definition.description, _channel_tags(publication, channel))
        with (
            report_step(report, "promote", full_name(publication), f"copy to {name} in {location.region}"),
            self._open_library(location.location, publication) as library,
        ):
            version = library.by_id(location.id)
            if version is None:
                raise NotFoundError(f"the item of {full_name(publication)} is gone", where=library.where)
            channels.move(library, name, version, text)
        return {location.location: _new_pointer(location.location, name, location.id)}

    def unpoint(self, of: Versioned, channel: str, values: Mapping[Location, Collection[str]]) -> None:
        """Remove the channel's item if it is a copy of one of these items."""
        for location, sources in values.items():
            with self._open_library(location, of) as library:
                channels.remove(library, channels.item_name(of, channel), sources)

    def list_resources(self, image: str, arch: str) -> Listing:
        """The items of an image in the library, and the machines of its builds."""
        resources: dict[str, Sequence[Resource]] = {}
        failures: dict[str, BakeryError] = {}
        server, site = self._vsphere.server, self._vsphere.build
        library_name, site_name = f"{server}/{self._vsphere.library}", f"{server}/{site.datacenter if site else ''}"
        try:
            with connect(server, self._credentials) as vcenter:
                library = Library(vcenter, self._vsphere.library)
                resources[library_name] = list(leftovers.list_items(library, image, arch))
        except BakeryError as error:
            failures[library_name] = error
        if site:
            try:
                with log_in(server, self._credentials) as session:
                    resources[site_name] = leftovers.list_build_machines(
                        session, site_name, site.datacenter, image, arch
                    )
            except BakeryError as error:
                failures[site_name] = error
        return Listing(resources, failures)

    def remove_resources(self, resources: Sequence[Resource]) -> Mapping[Resource, BakeryError]:
        """Remove machines, then items."""
        machines = [resource for resource in resources if resource.kind == "instance"]
        items = [resource for resource in resources if resource.kind != "instance"]
        failures: dict[Resource, BakeryError] = {}
        if machines:
            with log_in(self._vsphere.server, self._credentials) as session:
                failures |= leftovers.remove_machines(session, machines)
        if items:
            with connect(self._vsphere.server, self._credentials) as vcenter:
                failures |= leftovers.remove_items(Library(vcenter, self._vsphere.library), items)
        return failures

    @property
    def _location(self) -> Location:
        return Location(self._vsphere.server, self._vsphere.library)

    @contextmanager
    def _open_library(self, location: Location, of: Versioned) -> Iterator[Library]:
        """The library at a location of this version."""
        server = self._vsphere.server
        if location.account != server:
            raise BakeryError(
                f"{full_name(of)} is in the vCenter {location.account}",
                where=server,
                hint="the definition names another one by now: publish a new version there",
            )
        with connect(server, self._credentials) as vcenter:
            yield Library(vcenter, location.region)

    def _new_publication(
        self, of: Artifact | RemoteBuild, sha256: str, item: Item, seconds: dict[str, float]
    ) -> Publication:
        location = ImageLocation(*self._location, item.id)
        return Publication(of.image, of.arch, of.version, sha256, "vsphere", (location,), seconds=seconds)


def _new_pointer(location: Location, name: str, value: str) -> Pointer:
    return Pointer(location.account, location.region, name, number=0, value=value)


def _channel_tags(publication: Publication, channel: str) -> tags.Tags:
    return {**tags.of_publication(publication), channels.CHANNEL: channel}


def _inspect_item(
    library: Library, item: Item | None, publication: Publication, availability: Availability
) -> tuple[Status, str]:
    if availability == "removed":
        return ("unexpected", f"{item.name} is not removed") if item else ("correct", "")
    if item is None:
        return "missing", "no such item"
    differences = retirement.list_differences(item, publication, availability)
    if defect := library.find_defect(item):
        differences.append(defect)
    return ("incorrect", "; ".join(differences)) if differences else ("correct", "")
