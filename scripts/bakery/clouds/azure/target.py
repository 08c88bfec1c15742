"""The Azure target: one version in a Compute Gallery with replicas in regions, and channels as tags.

A channel is the tag `bakery:channel:<name>` of the image definition; its value is the version. The gallery has no
pointer of its own but "latest", which is the highest number and cannot go back. One tag of one resource holds for all
regions, so it moves everywhere or nowhere by itself.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain
from pathlib import Path

from bakery.clouds.azure import audit, gallery, leftovers, retirement, tagging, uses, versions
from bakery.clouds.azure.names import GalleryVersion, channel_tag, gallery_image
from bakery.clouds.azure.release import AzureRelease
from bakery.clouds.azure.session import AzureSession, connect
from bakery.clouds.azure.settings import AzureDistribution
from bakery.clouds.phases import Phases
from bakery.clouds.target import Finding, Listing, Resource, Use, gone_error
from bakery.host.errors import BakeryError, NotFoundError
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


class AzureTarget:
    """Makes replicas before it sets tags of channels: a channel only points at a usable version."""

    def __init__(self, definition: ImageDefinition, credentials: Mapping[str, str]) -> None:
        """`credentials` are client_id and client_secret of an application."""
        azure = definition.distribution.of(AzureDistribution)
        assert azure  # the definition's own rule: target azure needs distribution.azure
        self._definition = definition
        self._azure = azure
        self._credentials = credentials

    def publish(self, artifact: Artifact, disk: Path, report: Reporter) -> Publication:
        """Publish the version in every region; a rerun continues where the last one stopped."""
        address, phases = self._version_address(artifact), Phases(report, full_name(artifact))
        expected = tags.of_artifact(self._definition, artifact)
        AzureRelease(self._definition, self._azure_session, address, expected, phases).publish(
            replace(artifact.disk, path=str(disk))
        )
        return self._new_publication(artifact, address, artifact.disk.sha256, phases.seconds)

    def prepare(self, of: Versioned) -> None:
        """Make the image definition, which Packer's builder needs; remove the version of an unfinished build."""
        address = self._version_address(of)
        gallery.ensure(self._azure_session, self._definition, address)
        versions.remove_unfinished(self._azure_session, address, full_name(of))

    def adopt(self, build: RemoteBuild, report: Reporter) -> Publication:
        """Take over the version that Packer made: wait for its replicas, ask for missing ones, set its tags."""
        address, phases = self._version_address(build), Phases(report, full_name(build))
        expected = tags.of_build(self._definition, build)
        version = versions.find(self._azure_session, address)
        if version is None:
            raise NotFoundError(f"the version that Packer made of {full_name(build)} is gone", where=str(address))
        versions.refuse_foreign(address, version, build.identity, made_by_packer=expected["Name"])
        AzureRelease(self._definition, self._azure_session, address, expected, phases).complete()
        return self._new_publication(build, address, build.identity, phases.seconds)

    def distribute(self, publication: Publication, expected: tags.Tags, report: Reporter) -> Publication:
        """Ask for replicas in regions that lack one, and set the tags; NotFoundError if the version is gone."""
        address, phases = self._version_address(publication), Phases(report, full_name(publication))
        version = versions.find(self._azure_session, address)
        if version is None:
            raise _gone_error(publication, address)
        versions.refuse_foreign(address, version, publication.sha256)
        AzureRelease(self._definition, self._azure_session, address, expected, phases).complete()
        return self._new_publication(publication, address, publication.sha256, phases.seconds)

    def withdraw(self, publication: Publication, locations: Collection[ImageLocation], report: Reporter) -> None:
        """Do nothing: the gallery keeps replicas until somebody removes them, and its owner shares it as a whole."""

    def inspect(self, publication: Publication, availability: Availability = "available") -> list[Finding]:
        """Check the version, its tags, whether it is offered, and its replicas."""
        return audit.inspect(self._azure_session, publication, availability)

    def find_uses(self, publication: Publication) -> list[Use]:
        """The machines and scale sets of the gallery's subscription that refer to the version."""
        return uses.find_uses(self._azure_session, _published_address(publication))

    def set_availability(self, publication: Publication, availability: Availability, report: Reporter) -> None:
        """Offer a version or end its life. A disabled one is like a deprecated one: Azure keeps nobody from it.

        NotFoundError if a version to be usable is gone.
        """
        address, phases = _published_address(publication), Phases(report, full_name(publication))
        version = versions.find(self._azure_session, address)
        if version is None:
            if availability in ("available", "deprecated"):
                raise _gone_error(publication, address)
            return
        versions.refuse_foreign(address, version, publication.sha256)
        with phases.phase("retire", f"make version {address.version} of {address.image} {availability}") as progress:
            if availability == "removed":
                retirement.remove(self._azure_session, address, version)
            else:
                retirement.bring_to(self._azure_session, address, availability, progress)

    def wanted_locations(self) -> Collection[Location]:
        """The gallery: a tag there holds for all regions."""
        azure = self._azure
        return (Location(azure.subscription, f"{azure.resource_group}/{azure.gallery}"),)

    def channel_values(self, publication: Publication) -> Mapping[Location, str]:
        """The resource ID of the version, in its gallery."""
        address = _published_address(publication)
        return {_gallery_location(address): str(address)}

    def read_channel(self, of: Versioned, channel: str, locations: Collection[Location]) -> Mapping[Location, Pointer]:
        """The channel's tag in each gallery."""
        name, pointers = channel_tag(channel), {}
        for location in locations:
            address = _address_at(location, of)
            if version := tagging.read(self._azure_session, address.image_id).get(name):
                pointers[location] = _new_pointer(replace(address, version=version), name)
        return pointers

    def point(
        self, publication: Publication, channel: str, locations: Collection[Location], report: Reporter
    ) -> Mapping[Location, Pointer]:
        """Set the channel's tag."""
        address, name = _published_address(publication), channel_tag(channel)
        with report_step(report, "promote", full_name(publication), f"point {name} of {address.image}"):
            tagging.merge(self._azure_session, address.image_id, {name: address.version})
        return {_gallery_location(address): _new_pointer(address, name)}

    def unpoint(self, of: Versioned, channel: str, values: Mapping[Location, Collection[str]]) -> None:
        """Remove the channel's tag in each gallery where it holds one of the versions."""
        for address in map(GalleryVersion.parse, chain.from_iterable(values.values())):
            tagging.remove(self._azure_session, address.image_id, {channel_tag(channel): address.version})

    def list_resources(self, image: str, arch: str) -> Listing:
        """The versions, uploads and resource groups of an image."""
        return leftovers.list_resources(self._azure_session, self._azure, image, arch)

    def remove_resources(self, resources: Sequence[Resource]) -> Mapping[Resource, BakeryError]:
        """Remove resources one by one."""
        return leftovers.remove_resources(self._azure_session, resources)

    @cached_property
    def _azure_session(self) -> AzureSession:
        return connect(self._azure, self._credentials)

    def _version_address(self, of: Versioned) -> GalleryVersion:
        azure = self._azure
        return GalleryVersion(azure.subscription, azure.resource_group, azure.gallery, gallery_image(of), of.version)

    def _new_publication(
        self, of: Versioned, address: GalleryVersion, sha256: str, seconds: dict[str, float]
    ) -> Publication:
        locations = tuple(ImageLocation(address.subscription, region, str(address)) for region in self._azure.regions)
        return Publication(of.image, of.arch, of.version, sha256, "azure", locations, seconds=seconds)


def _gone_error(publication: Publication, address: GalleryVersion) -> NotFoundError:
    message = f"the gallery has no version {address.version} of {address.image}"
    return gone_error(message, str(address), publication.image)


def _gallery_location(address: GalleryVersion) -> Location:
    return Location(address.subscription, f"{address.resource_group}/{address.gallery}")


def _address_at(location: Location, of: Versioned) -> GalleryVersion:
    group, _, name = location.region.partition("/")
    return GalleryVersion(location.account, group, name, gallery_image(of), of.version)


def _new_pointer(address: GalleryVersion, name: str) -> Pointer:
    return Pointer(address.subscription, region="", name=name, number=0, value=str(address))


def _published_address(publication: Publication) -> GalleryVersion:
    """The address where it was published; the definition may name another one since."""
    return GalleryVersion.parse(publication.locations[0].id)
