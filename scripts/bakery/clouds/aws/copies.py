"""Copies of an image in other regions."""

import hashlib
import json
import time
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from bakery.clouds.aws import images
from bakery.clouds.aws.calls import VISIBLE_SECONDS, error_code, explain_errors
from bakery.clouds.aws.clients import EC2Client, Image
from bakery.clouds.aws.tagging import specifications
from bakery.host.errors import BakeryError
from bakery.host.waiting import wait_until
from bakery.model.tags import SHA256, Tags

# A first copy to a region is a full one: users report over ten minutes, large disks across oceans over an hour.
COPY_SECONDS = 5400.0
BUSY = "ResourceLimitExceeded"  # 20 snapshot copies at once per target region


@dataclass(frozen=True)
class Source:
    """The image to copy. `key` is the alias of the KMS key in each target region, empty for no encryption.

    Earlier copies may come from one of `siblings`, other images of the version.
    """

    image_id: str
    region: str
    description: str
    tags: Tags
    key: str
    siblings: tuple[str, ...] = ()


class Copy:
    """One region's copy on its way to "available". `look` does at most one step and never waits."""

    def __init__(self, ec2: EC2Client, source: Source, lost: str = "") -> None:
        """`lost` is the earlier image of this region: if it is gone, a request for it would return its ID again."""
        self._ec2 = ec2
        self._source = source
        self._lost = lost
        self._id = ""
        self._last_seen = 0.0  # the last time that AWS described the copy
        self._replaced = ""

    @property
    def region(self) -> str:
        return self._ec2.meta.region_name

    def look(self) -> Image | None:
        """The copy when it can be used, else None. A failed copy is removed and made again, once."""
        image = images.by_id(self._ec2, self._id) if self._id else images.find(self._ec2, self._source.tags["Name"])
        if image is None:
            self._start_or_wait()
            return None
        sources = (self._source.image_id, *self._source.siblings)
        images.refuse_foreign(self._ec2, image, self._source.tags[SHA256], sources)
        self._id, self._last_seen = image["ImageId"], time.monotonic()
        if image["State"] in images.BROKEN and not self._replaced:
            images.remove(self._ec2, image)
            self._start_copy(instead_of=self._id)
        elif image["State"] != "available" and image["State"] not in images.MOVING:
            raise images.unusable_error(self._ec2, self._id, image)
        return image if image["State"] == "available" else None

    def _start_or_wait(self) -> None:
        if not self._id:
            self._start_copy()
        elif time.monotonic() - self._last_seen > VISIBLE_SECONDS:
            # The token of an earlier run returns the ID of its copy, even if that was deregistered since.
            if self._replaced:
                raise images.unusable_error(self._ec2, self._id, None)
            self._start_copy(instead_of=self._id)

    def _start_copy(self, instead_of: str = "") -> None:
        self._replaced = self._replaced or instead_of
        request = _copy_request(self._source)
        # The same request has the same token in every run, so repeating a lost request makes no second copy.
        identity = [request, self._ec2.meta.region_name, self._replaced or self._lost]
        token = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
        with explain_errors(f"copy {self._source.image_id}", self._ec2.meta.region_name):
            try:
                self._id = self._ec2.copy_image(**request, ClientToken=token)["ImageId"]
                self._last_seen = time.monotonic()
            except ClientError as error:
                if error_code(error) != BUSY:
                    raise
                self._id = ""  # the next call tries again


def finish(copy: Copy) -> Image:
    """Watch a copy until it is available; BakeryError if it fails or takes too long."""
    image = wait_until(copy.look, COPY_SECONDS)
    if image is None:
        raise BakeryError(
            f"the copy is not available after {COPY_SECONDS / 60:.0f} min",
            where=copy.region,
            hint="run again to continue waiting",
        )
    return image


def _copy_request(source: Source) -> dict[str, Any]:
    return {
        "Name": source.tags["Name"],
        "Description": source.description,
        "SourceImageId": source.image_id,
        "SourceRegion": source.region,
        "TagSpecifications": specifications(source.tags, "image", "snapshot"),
        **({"Encrypted": True, "KmsKeyId": source.key} if source.key else {}),
    }
