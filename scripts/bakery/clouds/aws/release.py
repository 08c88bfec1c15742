"""One version on its way to every region: snapshot, image, copies, tags, shares, the consumers' tags, parameters.

The steps of a region follow each other. Regions wait for no other one but the first, and a region that fails stops no
other.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from bakery.clouds.aws import copies, images, snapshots, tagging
from bakery.clouds.aws.calls import raise_failures, try_all
from bakery.clouds.aws.clients import EC2Client, Image
from bakery.clouds.aws.session import Account
from bakery.clouds.aws.settings import AwsDistribution
from bakery.clouds.phases import Phases
from bakery.clouds.target import EarlierDisk, gone_error
from bakery.host.errors import BakeryError
from bakery.host.text import count_of
from bakery.model import tags
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Disk, Location

NOTHING_KNOWN: Mapping[str, str] = MappingProxyType({})

# Does something for a region's shared image in all accounts; the reasons by location or account where that failed.
InAccounts = Callable[[str, Image], Mapping[str, BakeryError]]


class AwsRelease:
    """Creates one version's images in all regions. Every step looks for an existing resource first."""

    def __init__(
        self,
        definition: ImageDefinition,
        account: Account,
        expected: tags.Tags,
        consumers: Sequence[str],
        phases: Phases,
        mirror: InAccounts,
        point: InAccounts,
        key_alias: str,
    ) -> None:
        """`mirror` tags an image in the consumer accounts, and `point` leads the parameters to it.

        `key_alias` is the KMS key that encrypts its images; empty for none.
        """
        aws = definition.distribution.of(AwsDistribution)
        assert aws
        self._name = definition.name
        self._description = definition.description
        self._account = account
        self._regions = aws.regions
        self._home = aws.regions[0]
        self._key_alias = key_alias
        self._expected = expected
        self._consumers = consumers
        self._phases = phases
        self._mirror = mirror
        self._point = point

    def publish(self, disk: Disk, earlier: EarlierDisk | None = None) -> dict[str, Image]:
        """The available image of every region, tagged, shared with the consumer accounts, and pointed at.

        The `earlier` disk is that of a version whose snapshot in the first region the new one may be based on.
        Raises one error for all regions and locations that failed, after the others have finished.
        """
        return self._spread_image(self._register_image(self._ec2(self._home), disk, earlier), self._home)

    def adopt(self, image_id: str) -> dict[str, Image]:
        """The same for an image that Packer registered in the first region; its copies are also adopted."""
        ec2 = self._ec2(self._home)
        with self._phases.phase("register", f"wait for {image_id} in {self._home}"):
            image = images.wait_available(ec2, image_id)
        if tags.SHA256 in tagging.from_aws(image):  # an earlier run registered it
            images.refuse_foreign(ec2, image, self._expected[tags.SHA256])
        return self._spread_image(image, self._home)

    def distribute(self, known: Mapping[str, str]) -> dict[str, Image]:
        """The image of every region; where it is missing, it is copied from another one.

        `known` are the IDs of the version's images by region, which its record has.
        """
        regions = list(dict.fromkeys((*self._regions, *known)))
        for region in regions:
            ec2 = self._ec2(region)
            image = images.find(ec2, self._expected["Name"])
            if image and image["State"] == "available":
                images.refuse_foreign(ec2, image, self._expected[tags.SHA256], known.values())
                return self._spread_image(image, region, known)
        raise gone_error(f"no image of {self._expected['Name']} can be used", ", ".join(regions), self._name)

    def _ec2(self, region: str) -> EC2Client:
        return self._account.ec2([region])[region]

    def _spread_image(self, image: Image, region: str, known: Mapping[str, str] = NOTHING_KNOWN) -> dict[str, Image]:
        """Bring an image from its region to all others, and do the rest in each."""
        source = copies.Source(
            image["ImageId"], region, self._description, self._expected, self._key_alias, tuple(known.values())
        )
        finished: list[str] = []
        lock = threading.Lock()
        text = f"copy to {count_of(len(self._regions) - 1, 'region')}, share, and write parameters"
        with self._phases.phase("regions", text) as report_progress:

            def finish_region(name: str) -> tuple[Image, Mapping[str, BakeryError]]:
                ec2, result = self._ec2(name), image
                if name != region:
                    result = copies.finish(copies.Copy(ec2, source, lost=known.get(name, "")))
                self._mark_and_share(ec2, result)
                failures = {**self._mirror(name, result), **self._point(name, result)}
                with lock:
                    finished.append(name)
                    report_progress(len(finished) / len(self._regions))
                    count = f"{len(finished)} of {count_of(len(self._regions), 'region')}"
                    self._phases.note(f"{result['ImageId']} in {name}, {count}")
                return result, failures

            results, failures = try_all({name: name for name in self._regions}, finish_region)
            for _, incomplete in results.values():
                failures |= incomplete
            whole = [name for name in results if not any(place.endswith(f"/{name}") for place in failures)]
            raise_failures("publish", failures, done=whole or [f"parts of {name}" for name in results])
        return {name: regional_image for name, (regional_image, _) in results.items()}

    def _register_image(self, ec2: EC2Client, disk: Disk, earlier: EarlierDisk | None) -> Image:
        """The image of the first region. Other snapshots of this version there are removed."""
        image = self._find_registered(ec2) or self._create_image(ec2, disk, earlier)
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

    def _create_image(self, ec2: EC2Client, disk: Disk, earlier: EarlierDisk | None) -> Image:
        ebs = self._account.ebs(self._home)
        parent = snapshots.find_parent(earlier, Location(self._account.number, self._home))
        with self._phases.phase("upload", f"upload the disk to {self._home}") as report_progress:
            upload = snapshots.Upload(ec2, ebs, self._expected, parent, report_progress, self._phases.note)
            snapshot = snapshots.ensure(upload, disk, self._key_alias)
        with self._phases.phase("register", f"register in {self._home}"):
            image_id = images.register(ec2, self._description, snapshot, self._expected)
            return images.wait_available(ec2, image_id)

    def _mark_and_share(self, ec2: EC2Client, image: Image) -> None:
        """An image is shared after its snapshot: until then, a consumer could see it, but not use it."""
        _repair_tags(ec2, image, self._expected)
        images.share_snapshot(ec2, image, self._consumers)
        images.share_image(ec2, image, self._consumers)


def _repair_tags(ec2: EC2Client, image: Image, expected: tags.Tags) -> None:
    """Repair tags: an adopted image may have lost some, and the definition may have changed them."""
    snapshot = images.snapshot_of(image)
    resource = snapshots.by_id(ec2, snapshot) or {}
    actual = {image["ImageId"]: tagging.from_aws(image), snapshot: tagging.from_aws(resource)}
    tagging.repair(ec2, actual, expected)
