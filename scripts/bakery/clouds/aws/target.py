"""The AWS target: one version as AMIs in regions, shared with accounts, with parameters that point at them."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path

from bakery.clouds.aws import audit, images, leftovers, lifecycle, parameters, uses
from bakery.clouds.aws.calls import do_all, raise_failures, try_all
from bakery.clouds.aws.clients import EC2Client, Image
from bakery.clouds.aws.consumer_tags import ConsumerTags
from bakery.clouds.aws.keys import require_keys
from bakery.clouds.aws.names import channel_parameter, version_parameter
from bakery.clouds.aws.regions import check_regions
from bakery.clouds.aws.release import AwsRelease
from bakery.clouds.aws.session import (
    NO_CREDENTIALS,
    Account,
    Accounts,
    SsmEndpoint,
    connect,
    location_name,
)
from bakery.clouds.aws.settings import AwsDistribution
from bakery.clouds.aws.version_parameter import VersionParameter
from bakery.clouds.phases import Phases
from bakery.clouds.target import EarlierDisk, Finding, Listing, Resource, Use
from bakery.host.errors import BakeryError
from bakery.host.events import Reporter, report_step
from bakery.host.text import count_of
from bakery.model import tags
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Artifact, Availability, ImageLocation, Location, Pointer, Publication, RemoteBuild
from bakery.model.naming import full_name
from bakery.model.version import Versioned

USABLE: tuple[Availability, ...] = ("available", "deprecated")  # consumers may start machines from the images


class AwsTarget:
    """Creates images, then shares them, then writes parameters: a parameter only points at a usable image."""

    def __init__(self, definition: ImageDefinition, credentials: Mapping[str, str] = NO_CREDENTIALS) -> None:
        """`credentials` come from Vault's AWS engine; without any, the environment's are used."""
        aws = definition.distribution.of(AwsDistribution)
        assert aws  # the definition's own rule: target aws needs distribution.aws
        self._definition = definition
        self._credentials = credentials
        self._aws = aws
        self._home = aws.regions[0]

    def publish(
        self, artifact: Artifact, disk: Path, report: Reporter, earlier: EarlierDisk | None = None
    ) -> Publication:
        """Publish the version in every region and account; a rerun continues where the last one stopped.

        Only blocks that differ from the `earlier` disk are sent, if its snapshot can be the parent of a new one.
        """
        expected = tags.of_artifact(self._definition, artifact)
        return self._publish_release(
            artifact,
            artifact.disk.sha256,
            expected,
            report,
            lambda release: release.publish(replace(artifact.disk, path=str(disk)), earlier),
            self._aws.key_alias,
        )

    def adopt(self, build: RemoteBuild, report: Reporter) -> Publication:
        """The same for the image that amazon-ebs registered: adopt and tag its copies, and make missing ones."""
        expected = tags.of_build(self._definition, build)
        return self._publish_release(
            build,
            build.identity,
            expected,
            report,
            lambda release: release.adopt(build.ids[self._home]),
            self._aws.key_alias,
        )

    def distribute(self, publication: Publication, expected: tags.Tags, report: Reporter) -> Publication:
        """Copy the version to locations that lack it, from any image of it that can be used.

        Its images keep their key, whatever the definition names by now.
        """
        own_images = {location.region: location.id for location in publication.locations if location.owned}
        keys = [location.key_alias for location in publication.locations if location.key_alias is not None]
        return self._publish_release(
            publication,
            publication.sha256,
            expected,
            report,
            lambda release: release.distribute(own_images),
            next(iter(keys), self._aws.key_alias),
        )

    def withdraw(self, publication: Publication, locations: Collection[ImageLocation], report: Reporter) -> None:
        """Take the shares of consumer accounts back. Images of the own account stay."""
        consumers = [location for location in locations if not location.owned]
        accounts: dict[str, set[str]] = {}
        for location in consumers:
            accounts.setdefault(location.region, set()).add(location.account)
        own_images = {region: image for region, image in self._own_images(publication).items() if region in accounts}
        ec2 = self._own_account.ec2(own_images)
        names = ", ".join(location_name(location.location) for location in consumers)
        with report_step(report, "publish", full_name(publication), f"take back shares in {names or 'no account'}"):
            do_all(
                "take back shares",
                own_images,
                lambda image: images.unshare(ec2[image.region], image.id, image.snapshot, accounts[image.region]),
            )

    def prepare(self, of: Versioned) -> None:
        """Remove images of an unfinished build in all regions."""
        ec2 = self._own_account.ec2(self._aws.regions)
        do_all(
            "remove images", ec2, lambda client: images.remove_unfinished(client, tags.identity(of), ec2[self._home])
        )

    def _publish_release(
        self,
        of: Versioned,
        sha256: str,
        expected: tags.Tags,
        report: Reporter,
        publish: Callable[[AwsRelease], dict[str, Image]],
        key_alias: str,
    ) -> Publication:
        check_regions(self._definition, lambda *keys: ".".join(map(str, (self._definition.name, *keys))))
        phases = Phases(report, full_name(of))
        if key_alias:
            require_keys(self._own_account, self._aws.regions, key_alias)
        version, consumer_tags = self._open_version(of), self._open_consumer_tags(expected)
        release = AwsRelease(
            self._definition,
            self._own_account,
            expected,
            self._consumer_accounts,
            phases,
            consumer_tags.mirror_region,
            version.point_region,
            key_alias,
        )
        amis = publish(release)
        pointers = [version.pointers[location_name(location)] for location in self._all_locations]
        return _new_publication(of, sha256, self._image_locations(amis, key_alias), tuple(pointers), phases.seconds)

    def _open_version(self, of: Versioned) -> VersionParameter:
        """The version's parameter, looked at before anything is made.

        BakeryError if no consumer account accepts the login, or a location has a parameter that no image can use.
        """
        endpoints, unreachable = self._connect_locations(self._all_locations)
        if unreachable and len(unreachable) == len(self._consumer_accounts):
            raise_failures("log in", unreachable)
        return VersionParameter(version_parameter(of), endpoints, unreachable, self._is_gone)

    def _open_consumer_tags(self, expected: tags.Tags) -> ConsumerTags:
        taggers, unreachable = self._log_in_taggers(self._consumer_accounts)
        return ConsumerTags(taggers, unreachable, self._aws.tagger_role, expected)

    def _log_in_taggers(self, numbers: Iterable[str]) -> tuple[dict[str, Account], dict[str, BakeryError]]:
        """Consumer accounts with the rights to tag there, by number, and the reasons why some are unreachable."""
        consumers = set(numbers)
        accounts, failures = self._taggers.log_in(consumers)
        return {number: account for number, account in accounts.items() if number in consumers}, failures

    def inspect(self, publication: Publication, availability: Availability = "available") -> list[Finding]:
        """Check the images, tags, snapshots' tags, shares, consumers' tags and parameters of a publication.

        The parameters of a version stay when its images go, and nobody can use them then.
        """
        select = self._own_images if availability == "available" else self._every_own_image
        own_images = select(publication)
        pointers = {
            location_name(pointer.location): pointer for pointer in publication.pointers if availability in USABLE
        }
        endpoints, failures = self._connect_locations(_locations(pointers.values()))
        consumers = [image for image in publication.locations if not image.owned and availability in USABLE]
        taggers, tagger_failures = self._log_in_taggers(image.account for image in consumers)

        def inspect_location(location: ImageLocation) -> list[Finding]:
            [ec2] = self._own_account.ec2([location.region]).values()
            return audit.inspect_location(ec2, publication, location, availability)

        def inspect_parameter(endpoint: SsmEndpoint) -> list[Finding]:
            return [audit.inspect_parameter(endpoint, pointers[str(endpoint)])]

        def inspect_tags(location: ImageLocation) -> list[Finding]:
            [ec2] = taggers[location.account].ec2([location.region]).values()
            return audit.inspect_consumer_tags(ec2, publication, location)

        looks = {region: partial(inspect_location, location) for region, location in own_images.items()}
        looks |= {
            f"tags {image.location}": partial(inspect_tags, image) for image in consumers if image.account in taggers
        }
        looks |= {key: partial(inspect_parameter, endpoint) for key, endpoint in endpoints.items()}
        results, _ = try_all(looks, lambda look: look())
        findings = [finding for key in looks for finding in results[key]]
        return [
            *findings,
            *audit.report_unreachable(failures),
            *audit.report_unreachable(
                {number: error for number, error in tagger_failures.items() if number not in failures}, harmless=True
            ),
        ]

    def find_uses(self, publication: Publication) -> list[Use]:
        """The references to its images in the own account and in consumer accounts, and their last starts.

        An account that does not answer is an error: an image that only seems unused would be removed.
        """
        own_images = self._every_own_image(publication)
        consumers = [location for location in publication.locations if not location.owned]
        accounts, failures = self._accounts.log_in(location.account for location in consumers)
        raise_failures("log in", failures)
        everywhere = {location_name(one.location): one for one in (*own_images.values(), *consumers)}
        ec2 = {name: accounts[one.account].ec2([one.region])[one.region] for name, one in everywhere.items()}

        def find(one: ImageLocation) -> list[Use]:
            client = ec2[location_name(one.location)]
            stack = "distribution" if one.owned else f"consumer-{one.account}"
            references = uses.find_references(client, one.location, one.id, publication, stack)
            return [*references, *(uses.find_launch(client, one.location, one.id) if one.owned else ())]

        return [use for local in do_all("look for uses", everywhere, find).values() for use in local]

    def set_availability(self, publication: Publication, availability: Availability, report: Reporter) -> None:
        """Deprecate, disable, enable or remove the images of the own account, withdrawn ones included.

        The version's parameters stay even when its images are removed: no role of the bakery may delete them.
        """
        own_images = self._every_own_image(publication)
        ec2 = self._own_account.ec2(own_images)
        text = f"make its images {availability} in {', '.join(own_images) or 'no region'}"
        with report_step(report, "publish", full_name(publication), text):
            if availability == "removed":
                lifecycle.remove_everywhere(ec2, publication, own_images)
            else:
                lifecycle.change_everywhere(ec2, publication, own_images, availability)

    def wanted_locations(self) -> Collection[Location]:
        """Every region of the own account and of each consumer account."""
        return self._all_locations

    def channel_values(self, publication: Publication) -> Mapping[Location, str]:
        """The ID of the image in each location."""
        return {image.location: image.id for image in publication.locations}

    def read_channel(self, of: Versioned, channel: str, locations: Collection[Location]) -> Mapping[Location, Pointer]:
        """The channel's parameters."""
        pointers = parameters.read_channel(self._open_endpoints(locations), channel_parameter(of, channel))
        return {pointer.location: pointer for pointer in pointers.values() if pointer}

    def point(
        self, publication: Publication, channel: str, locations: Collection[Location], report: Reporter
    ) -> Mapping[Location, Pointer]:
        """Write the channel's parameters, and read them back until their values are live."""
        name, where = channel_parameter(publication, channel), count_of(len(locations), "location")
        with report_step(report, "promote", full_name(publication), f"point {name} in {where}"):
            pointers = parameters.write(self._open_endpoints(locations), name, _image_ids(publication))
        return {pointer.location: pointer for pointer in pointers}

    def unpoint(self, of: Versioned, channel: str, values: Mapping[Location, Collection[str]]) -> None:
        """Remove the channel's parameters that hold one of these images."""
        images_by_name = {location_name(location): ids for location, ids in values.items()}
        parameters.remove(self._open_endpoints(values), channel_parameter(of, channel), images_by_name)

    def list_resources(self, image: str, arch: str) -> Listing:
        """The resources of an image in each region of the own account."""
        ec2 = self._ec2_by_location
        home = next(iter(ec2.values()))
        return Listing(
            *try_all(
                {name: (name, client) for name, client in ec2.items()},
                lambda pair: leftovers.list_region(pair[1], home, pair[0], image, arch),
            )
        )

    def remove_resources(self, resources: Sequence[Resource]) -> Mapping[Resource, BakeryError]:
        """Remove resources in all regions at once."""
        ec2 = self._ec2_by_location
        by_location: dict[str, list[Resource]] = {}
        for resource in resources:
            by_location.setdefault(resource.location, []).append(resource)
        outcomes = do_all(
            "remove resources",
            {name: (ec2[name], part) for name, part in by_location.items()},
            lambda pair: leftovers.remove_resources(*pair),
        )
        return {resource: error for failures in outcomes.values() for resource, error in failures.items()}

    def _is_gone(self, pointer: Pointer) -> bool:
        """Whether the image that a version's parameter names does not exist any more."""
        return images.by_id(self._own_account.ec2([pointer.region])[pointer.region], pointer.value) is None

    @cached_property
    def _own_account(self) -> Account:
        return connect(self._home, self._credentials)

    @property
    def _ec2_by_location(self) -> dict[str, EC2Client]:
        """EC2 clients by the names of locations, the home region first."""
        account = self._own_account
        clients = account.ec2(self._aws.regions).items()
        return {location_name(Location(account.number, region)): client for region, client in clients}

    @cached_property
    def _accounts(self) -> Accounts:
        return Accounts(self._own_account, self._aws.consumer_role, self._home)

    @cached_property
    def _taggers(self) -> Accounts:
        return Accounts(self._own_account, self._aws.tagger_role, self._home)

    @property
    def _consumer_accounts(self) -> list[str]:
        return [number for number in self._aws.accounts if number != self._own_account.number]

    @property
    def _all_locations(self) -> list[Location]:
        """The accounts and regions that use a version, from the definition: the own account first."""
        numbers = (self._own_account.number, *self._consumer_accounts)
        return [Location(number, region) for number in numbers for region in self._aws.regions]

    def _image_locations(self, amis: Mapping[str, Image], key_alias: str) -> tuple[ImageLocation, ...]:
        own = self._own_account.number
        return tuple(
            ImageLocation(
                number,
                region,
                amis[region]["ImageId"],
                images.snapshot_of(amis[region]),
                owned=number == own,
                key_alias=key_alias,
            )
            for number, region in self._all_locations
        )

    def _own_images(self, publication: Publication) -> dict[str, ImageLocation]:
        """The locations with images of this account, by region; BakeryError when another account made them."""
        return self._select_own(publication, publication.locations)

    def _every_own_image(self, publication: Publication) -> dict[str, ImageLocation]:
        """The same with locations that the definition does not name any more, whose images may be gone."""
        return self._select_own(publication, (*publication.withdrawn, *publication.locations))

    def _select_own(self, publication: Publication, locations: Iterable[ImageLocation]) -> dict[str, ImageLocation]:
        own_images = {location.region: location for location in locations if location.owned}
        if foreign_accounts := {location.account for location in own_images.values()} - {self._own_account.number}:
            raise BakeryError(
                f"{full_name(publication)} belongs to account {', '.join(foreign_accounts)}",
                where=f"logged in to {self._own_account.number}",
                hint="use credentials of that account",
            )
        return own_images

    def _open_endpoints(self, locations: Iterable[Location]) -> dict[str, SsmEndpoint]:
        endpoints, failures = self._connect_locations(locations)
        raise_failures("log in", failures)
        return endpoints

    def _connect_locations(
        self, locations: Iterable[Location]
    ) -> tuple[dict[str, SsmEndpoint], dict[str, BakeryError]]:
        return self._accounts.connect(locations)


def _new_publication(
    of: Versioned,
    sha256: str,
    locations: tuple[ImageLocation, ...],
    pointers: tuple[Pointer, ...],
    seconds: dict[str, float],
) -> Publication:
    return Publication(of.image, of.arch, of.version, sha256, "aws", locations, pointers, seconds)


def _locations(items: Iterable[ImageLocation | Pointer]) -> list[Location]:
    return [item.location for item in items]


def _image_ids(publication: Publication) -> dict[str, str]:
    return {location_name(image.location): image.id for image in publication.locations}
