"""One version on its way to every region: snapshot, image, copies, tags, shares."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from bakery.clouds.aws import copies, images, snapshots, tagging
from bakery.clouds.aws.calls import do_all
from bakery.clouds.aws.clients import EC2Client, Image
from bakery.clouds.aws.session import Account
from bakery.clouds.aws.settings import AwsDistribution
from bakery.clouds.phases import Phases
from bakery.clouds.target import gone_error
from bakery.model import tags
from bakery.model.definition import ImageDefinition

NOTHING_KNOWN: Mapping[str, str] = MappingProxyType({})


class AwsRelease:
    """Creates one version's images in all regions. Every step looks for an existing resource first."""

    def __init__(
        self,
        definition: ImageDefinition,
        account: Account,
        expected: tags.Tags,
        consumers: Sequence[str],
        phases: Phases,
    ) -> None:
        aws = definition.distribution.of(AwsDistribution)
        assert aws
        self._name = definition.name
        self._description = definition.description
        self._account = account
        self._regions = aws.regions
        self._home = aws.regions[0]
        self._key_alias = aws.key_alias
        self._expected = expected
        self._consumers = consumers
        self._phases = phases

    def publish(self, disk: Path) -> dict[str, Image]:
        """The available image of every region, tagged and shared with the consumer accounts."""
        ec2 = self._account.ec2(self._regions)
        return self._spread_image(ec2, self._register_image(ec2[self._home], disk), self._home)

    def adopt(self, image_id: str) -> dict[str, Image]:
        """The same for an image that Packer registered in the first region; its copies are also adopted."""
        ec2 = self._account.ec2(self._regions)
        with self._phases.phase("register", f"wait for {image_id} in {self._home}"):
            image = images.wait_available(ec2[self._home], image_id)
        if tags.SHA256 in tagging.from_aws(image):  # an earlier run registered it
            images.refuse_foreign(ec2[self._home], image, self._expected[tags.SHA256])
        return self._spread_image(ec2, image, self._home)

    def distribute(self, known: Mapping[str, str]) -> dict[str, Image]:
        """The image of every region; where it is missing, it is copied from another one.

        `known` are the IDs of the version's images by region, which its record has.
        """
        ec2 = self._account.ec2(dict.fromkeys((*self._regions, *known)))
        for region, client in ec2.items():
            image = images.find(client, self._expected["Name"])
            if image and image["State"] == "available":
                images.refuse_foreign(client, image, self._expected[tags.SHA256], known.values())
                return self._spread_image(ec2, image, region, known)
        raise gone_error(f"no image of {self._expected['Name']} can be used", ", ".join(ec2), self._name)

    def _spread_image(
        self,
        ec2: Mapping[str, EC2Client],
        image: Image,
        region: str,
        known: Mapping[str, str] = NOTHING_KNOWN,
    ) -> dict[str, Image]:
        """Copy an image from its region to all others."""
        source = copies.Source(
            image["ImageId"], region, self._description, self._expected, self._key_alias, tuple(known.values())
        )
        regional_copies = {
            name: copies.Copy(ec2[name], source, lost=known.get(name, "")) for name in self._regions if name != region
        }
        copied = self._finish_copies(regional_copies)
        amis = {name: copied.get(name, image) for name in self._regions}
        with self._phases.phase("share", f"tag and share in {', '.join(amis)}"):
            self._mark_and_share(ec2, amis)
        return amis

    def _register_image(self, ec2: EC2Client, disk: Path) -> Image:
        """The image of the first region. Other snapshots of this version there are removed."""
        image = self._find_registered(ec2) or self._create_image(ec2, disk)
        snapshots.remove_unused(ec2, self._expected, keep=images.snapshot_of(image))
        return image

    def _find_registered(self, ec2: EC2Client) -> Image | None:
        """The image that an earlier run registered; an image that failed is removed."""
        image = images.find(ec2, self._expected["Name"])
        if image is None:
            return None
        images.refuse_foreign(ec2, image, self._expected[tags.SHA256])
        if image["State"] in images.BROKEN:
            images.remove(ec2, image)
            return None
        if image["State"] == "available":
            return image
        with self._phases.phase("register", f"wait for {image['ImageId']} in {self._home}"):
            return images.wait_available(ec2, image["ImageId"])

    def _create_image(self, ec2: EC2Client, disk: Path) -> Image:
        ebs = self._account.ebs(self._home)
        with self._phases.phase("upload", f"upload the disk to {self._home}") as report_progress:
            snapshot = snapshots.ensure(ec2, ebs, disk, self._expected, self._key_alias, report_progress)
        with self._phases.phase("register", f"register in {self._home}"):
            image_id = images.register(ec2, self._description, snapshot, self._expected)
            return images.wait_available(ec2, image_id)

    def _finish_copies(self, regional_copies: Mapping[str, copies.Copy]) -> dict[str, Image]:
        if not regional_copies:
            return {}
        with self._phases.phase("copy", f"copies in {', '.join(regional_copies)}") as report_progress:
            return copies.finish(regional_copies, report_progress)

    def _mark_and_share(self, ec2: Mapping[str, EC2Client], amis: Mapping[str, Image]) -> None:
        """Do each step in all regions before the next: an image is shared only after its snapshot is, everywhere."""
        pairs = {region: (ec2[region], image) for region, image in amis.items()}
        do_all("tag", pairs, lambda pair: _repair_tags(*pair, self._expected))
        do_all("share snapshots", pairs, lambda pair: images.share_snapshot(*pair, self._consumers))
        do_all("share images", pairs, lambda pair: images.share_image(*pair, self._consumers))


def _repair_tags(ec2: EC2Client, image: Image, expected: tags.Tags) -> None:
    """Repair tags: an adopted image may have lost some, and the definition may have changed them."""
    snapshot = images.snapshot_of(image)
    resource = snapshots.by_id(ec2, snapshot) or {}
    actual = {image["ImageId"]: tagging.from_aws(image), snapshot: tagging.from_aws(resource)}
    tagging.repair(ec2, actual, expected)
