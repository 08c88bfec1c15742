"""The vSphere target: one version as an item of each content library, channels as items beside it."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bakery.clouds.phases import Phases
from bakery.clouds.target import Finding, Listing, Resource, Status, Use, gone_error
from bakery.clouds.vsphere import channels, leftovers, notes, retirement
from bakery.clouds.vsphere.library import Item, Library
from bakery.clouds.vsphere.places import do_everywhere, name_place, raise_failures, try_everywhere
from bakery.clouds.vsphere.release import VsphereRelease, refuse_foreign
from bakery.clouds.vsphere.session import connect
from bakery.clouds.vsphere.settings import VsphereDistribution
from bakery.clouds.vsphere.template import log_in
from bakery.host.errors import BakeryError, ConflictError, NotFoundError
from bakery.host.events import Event, Reporter, report_step
from bakery.host.parallel import run_parallel
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
        """Publish the version in each library: upload it once to each vCenter, and copy it between its libraries.

        A rerun adopts complete items and replaces incomplete ones.
        """
        phases = Phases(report, full_name(artifact))
        expected = tags.of_artifact(self._definition, artifact)
        tested = replace(artifact.disk, path=str(disk))

        def publish_first(library: Library) -> Item:
            return self._release(library, expected, phases).publish(tested, artifact.os)

        items = self._publish_everywhere(artifact, expected, phases, publish_first)
        return self._new_publication(artifact, artifact.disk.sha256, items, phases.seconds)

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
        """Adopt the item that vCenter made for Packer: write its notes, check that it is complete, and copy it."""
        began = time.monotonic()
        name, expected = full_name(build), tags.of_build(self._definition, build)
        phases = Phases(report, name)
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
            marked = self._release(library, expected, phases).mark(item)
        items = self._publish_everywhere(build, expected, phases, lambda _library: marked)
        seconds = {"adopt": round(time.monotonic() - began, 3), **phases.seconds}
        return self._new_publication(build, build.identity, items, seconds)

    def distribute(self, publication: Publication, expected: tags.Tags, report: Reporter) -> Publication:
        """Repair the notes of the items, and copy missing ones from another library of their vCenter.

        NotFoundError if no library of a vCenter has the version.
        """
        name, phases = full_name(publication), Phases(report, full_name(publication))

        def find_first(library: Library) -> Item:
            item = library.item(name)
            if item is None:
                raise gone_error(f"the library has no item {name}", library.where, publication.image)
            refuse_foreign(library, item, publication.sha256)
            return self._release(library, expected, phases).mark(item)

        items = self._publish_everywhere(publication, expected, phases, find_first)
        locations = tuple(ImageLocation(*place, items[place].id) for place in self._vsphere.places)
        return replace(publication, locations=locations, seconds=phases.seconds)

    def withdraw(self, publication: Publication, locations: Collection[ImageLocation], report: Reporter) -> None:
        """Say that the items stay: whoever may read a library may use all of its items, and may need this one."""
        for location in locations:
            text = f"its item stays in {name_place(location.location)}; remove it there if nobody needs it"
            report(Event("note", "publish", full_name(publication), text))

    def inspect(self, publication: Publication, availability: Availability = "available") -> list[Finding]:
        """Check the name, notes and files of the publication's items."""
        places = {location.location: location for location in publication.locations}
        findings = do_everywhere(
            "look", places, lambda place: self._inspect_location(places[place], publication, availability)
        )
        return list(findings.values())

    def find_uses(self, publication: Publication) -> list[Use]:
        """None: machines are clones.

        Since vSphere 7.0 a machine may name the item that it came from (`contentLibItemInfo`). Consumers deploy the
        channel's item, though, whose ID is another one and is gone after the next move.
        """
        return []

    def set_availability(self, publication: Publication, availability: Availability, report: Reporter) -> None:
        """Say it in the notes of the items; rename disabled ones, and remove removed ones.

        NotFoundError if a version to be usable is gone.
        """
        with report_step(report, "retire", full_name(publication), f"{availability} in its libraries"):
            places = {location.location: location for location in publication.locations}
            work = "change the items"
            do_everywhere(work, places, lambda place: self._retire(places[place], publication, availability))

    def wanted_locations(self) -> Collection[Location]:
        """The libraries."""
        return self._vsphere.places

    def channel_values(self, publication: Publication) -> Mapping[Location, str]:
        """The ID of the version's item in each library: the channel's item there is a copy of it."""
        return {location.location: location.id for location in publication.locations}

    def read_channel(self, of: Versioned, channel: str, locations: Collection[Location]) -> Mapping[Location, Pointer]:
        """The channel's item, with the ID of the item that it is a copy of; its own ID if that one is gone."""
        name = channels.item_name(of, channel)

        def read(location: Location) -> Pointer | None:
            with self._open_library(location, of) as library:
                source = channels.find_source(library, name)
                return _new_pointer(location, name, source.id) if source else None

        return do_everywhere(f"read {name}", locations, read)

    def point(
        self, publication: Publication, channel: str, locations: Collection[Location], report: Reporter
    ) -> Mapping[Location, Pointer]:
        """Replace the channel's item in these libraries by a copy of this version's; one that fails stays as it is."""
        name = channels.item_name(publication, channel)
        # The channel's consumers read the version's name in the notes: the name of this item lacks it.
        text = notes.write(self._definition.description, _channel_tags(publication, channel))
        values = self.channel_values(publication)

        def move(location: Location) -> Pointer:
            with (
                report_step(report, "promote", full_name(publication), f"copy to {name} in {name_place(location)}"),
                self._open_library(location, publication) as library,
            ):
                version = library.by_id(values[location])
                if version is None:
                    raise NotFoundError(f"the item of {full_name(publication)} is gone", where=library.where)
                channels.move(library, name, version, text)
            return _new_pointer(location, name, values[location])

        return do_everywhere(f"move {name}", locations, move)

    def unpoint(self, of: Versioned, channel: str, values: Mapping[Location, Collection[str]]) -> None:
        """Remove the channel's item if it is a copy of one of these items."""
        name = channels.item_name(of, channel)

        def remove(location: Location) -> None:
            with self._open_library(location, of) as library:
                channels.remove(library, name, values[location])

        do_everywhere(f"remove {name}", values, remove)

    def list_resources(self, image: str, arch: str) -> Listing:
        """The items of an image in each library, and the machines of its builds."""

        def list_items(place: Location) -> Sequence[Resource]:
            with connect(place.account, self._credentials) as vcenter:
                return list(leftovers.list_items(Library(vcenter, place.region), image, arch))

        outcomes = {name_place(place): at for place, at in try_everywhere(self._vsphere.places, list_items).items()}
        resources = {name: outcome.result for name, outcome in outcomes.items() if outcome.result is not None}
        failures = {name: outcome.error for name, outcome in outcomes.items() if outcome.error}
        if site := self._vsphere.build:
            site_name = f"{self._vsphere.server}/{site.datacenter}"
            try:
                with log_in(self._vsphere.server, self._credentials) as session:
                    resources[site_name] = leftovers.list_build_machines(
                        session, site_name, site.datacenter, image, arch
                    )
            except BakeryError as error:
                failures[site_name] = error
        return Listing(resources, failures)

    def remove_resources(self, resources: Sequence[Resource]) -> Mapping[Resource, BakeryError]:
        """Remove machines, then items."""
        machines = [resource for resource in resources if resource.kind == "instance"]
        failures: dict[Resource, BakeryError] = {}
        if machines:
            try:
                with log_in(self._vsphere.server, self._credentials) as session:
                    failures |= leftovers.remove_machines(session, machines)
            except BakeryError as error:
                failures |= dict.fromkeys(machines, error)
        items = {
            place: [item for item in resources if item.kind != "instance" and item.location == name_place(place)]
            for place in self._vsphere.places
        }

        def remove(place: Location) -> Mapping[Resource, BakeryError]:
            with connect(place.account, self._credentials) as vcenter:
                return leftovers.remove_items(Library(vcenter, place.region), items[place])

        for place, outcome in try_everywhere([place for place in items if items[place]], remove).items():
            failures |= dict.fromkeys(items[place], outcome.error) if outcome.error else outcome.result or {}
        return failures

    @property
    def _location(self) -> Location:
        return self._vsphere.places[0]

    @contextmanager
    def _open_library(self, location: Location, of: Versioned) -> Iterator[Library]:
        """The library at a location of this version."""
        if location.account not in {place.account for place in self._vsphere.places}:
            raise BakeryError(
                f"{full_name(of)} is in the vCenter {location.account}",
                where=self._vsphere.server,
                hint="the definition names another one by now: publish a new version there",
            )
        with connect(location.account, self._credentials) as vcenter:
            yield Library(vcenter, location.region)

    def _release(self, library: Library, expected: tags.Tags, phases: Phases) -> VsphereRelease:
        return VsphereRelease(library, self._definition.description, expected, phases)

    def _publish_everywhere(
        self, of: Versioned, expected: tags.Tags, phases: Phases, publish_first: Callable[[Library], Item]
    ) -> dict[Location, Item]:
        """The items of a version by library: `publish_first` in one library of each vCenter, copies in the others.

        The vCenters work side by side. One that fails keeps no other one from the version.
        """
        by_server: dict[str, list[Location]] = {}
        for place in self._vsphere.places:
            by_server.setdefault(place.account, []).append(place)

        def publish_at(server: str) -> dict[Location, Item]:
            places = by_server[server]
            home = self._find_home(places, of)
            with self._open_library(home, of) as library:
                first = publish_first(library)

            def copy(place: Location) -> Item:
                with self._open_library(place, of) as library:
                    return self._release(library, expected, phases).replicate(first)

            copies = do_everywhere(f"copy {first.name}", [place for place in places if place != home], copy)
            return {home: first, **copies}

        outcomes = run_parallel(list(by_server), publish_at, len(by_server))
        failures = {outcome.name: outcome.error for outcome in outcomes if outcome.error}
        raise_failures(f"publish {full_name(of)}", failures)
        return {place: item for outcome in outcomes for place, item in (outcome.result or {}).items()}

    def _find_home(self, places: Sequence[Location], of: Versioned) -> Location:
        """The first library of a vCenter that has the version; the first of all if none has it."""
        if len(places) > 1:
            for place in places:
                with self._open_library(place, of) as library:
                    if library.item(full_name(of)):
                        return place
        return places[0]

    def _inspect_location(
        self, location: ImageLocation, publication: Publication, availability: Availability
    ) -> Finding:
        label = f"{location.account}/{location.region} {location.id}"
        try:
            with self._open_library(location.location, publication) as library:
                item = library.by_id(location.id)
                return Finding(label, *_inspect_item(library, item, publication, availability))
        except BakeryError as error:
            return Finding(label, "unreachable", f"{error.message}: {error.detail}")

    def _retire(self, location: ImageLocation, publication: Publication, availability: Availability) -> None:
        with self._open_library(location.location, publication) as library:
            item = library.by_id(location.id)
            if item is not None:
                refuse_foreign(library, item, publication.sha256)
                retirement.bring_to(library, item, publication, availability)
            elif availability in ("available", "deprecated"):
                raise gone_error(f"the library has no item {location.id}", library.where, publication.image)

    def _new_publication(
        self, of: Artifact | RemoteBuild, sha256: str, items: Mapping[Location, Item], seconds: dict[str, float]
    ) -> Publication:
        locations = tuple(ImageLocation(*place, items[place].id) for place in self._vsphere.places)
        return Publication(of.image, of.arch, of.version, sha256, "vsphere", locations, seconds=seconds)


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
