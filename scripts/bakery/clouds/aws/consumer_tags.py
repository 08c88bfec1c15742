"""The tags that consumer accounts have on a version's images: they do not see those of the owner.

Tags on a shared resource are available only to the account that sets them (EC2 user guide, "Tag your Amazon EC2
resources"). In each account, a role of its own therefore sets them.
"""

from collections.abc import Mapping

from bakery.clouds.aws import tagging
from bakery.clouds.aws.calls import VISIBLE_SECONDS, explain_errors, is_denied, try_all
from bakery.clouds.aws.clients import EC2Client, Image
from bakery.clouds.aws.session import Account, location_name
from bakery.host.errors import BakeryError
from bakery.host.waiting import wait_until
from bakery.model.documents import Location
from bakery.model.tags import Tags


def select_mirrored(declared: Tags) -> Tags:
    """The tags that consumers get: not those of the definition, on which a consumer's own policies may depend."""
    return {key: value for key, value in declared.items() if key == "Name" or key.startswith("bakery:")}


def look(ec2: EC2Client, image_id: str, where: str) -> Image | None:
    """A shared image with the tags of the account that looks; None if it does not see it."""
    with explain_errors(f"look for {image_id}", where):
        answer = ec2.describe_images(IncludeDeprecated=True, Filters=[{"Name": "image-id", "Values": [image_id]}])
    return next(iter(answer["Images"]), None)


class ConsumerTags:
    """Keeps the declared tags on the images of one version in consumer accounts."""

    def __init__(
        self, taggers: Mapping[str, Account], unreachable: Mapping[str, BakeryError], role: str, declared: Tags
    ) -> None:
        """`taggers` are the accounts, logged in to with `role`, and `unreachable` those without a login, by number."""
        self._taggers = taggers
        self._unreachable = unreachable
        self._role = role
        self._expected = select_mirrored(declared)

    def mirror_region(self, region: str, image: Image) -> Mapping[str, BakeryError]:
        """Tag a region's image in all accounts; the reasons by location or account where it failed.

        Nothing is written where the tags are right.
        """
        locations = {location_name(Location(number, region)): Location(number, region) for number in self._taggers}
        _, failures = try_all(locations, lambda location: self._mirror(location, image["ImageId"]))
        return {**failures, **self._unreachable}

    def _mirror(self, location: Location, image_id: str) -> None:
        """Tag the image in one account, which may see it some time after it was shared."""
        where, ec2 = location_name(location), self._taggers[location.account].ec2([location.region])[location.region]
        try:
            image = wait_until(lambda: look(ec2, image_id, where), VISIBLE_SECONDS)
            if image is None:
                raise BakeryError(
                    f"{where} does not see {image_id}, which is shared with it", where=where, hint="run again later"
                )
            tagging.repair(ec2, {image_id: tagging.from_aws(image)}, self._expected)
        except BakeryError as error:
            if is_denied(error):
                stack = f"consumer-{location.account}"
                error.hint = f"the role {self._role} lacks a right: the stack '{stack}' gives it (bakery apply {stack})"
            raise
