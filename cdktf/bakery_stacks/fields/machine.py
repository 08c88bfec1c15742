"""EC2 instance types, checked by their names (EC2, "Naming conventions") against the needs of the images."""

import re
from typing import Annotated

from pydantic import AfterValidator

from bakery.model.fields import TextFormat
from bakery.model.validation import field_error

# Series, memory of high-memory types, generation, options: m6id.large, u-6tb1.metal, m7i-flex.large.
NAME = re.compile(r"([a-z]+)(?:-[0-9]+tb)?[0-9]+([a-z0-9-]*)\.[a-z0-9-]+")
# Series that always have instance store volumes, and old types that have them (EC2, "Instance store volumes").
WITH_DISKS = ("d", "dl", "f", "g", "gr", "h", "i", "im", "is", "p", "trn")
OLD_WITH_DISKS = ("c1", "c3", "m1", "m2", "m3", "r3", "x1", "x1e")


def _check_processor(kind: str) -> str:
    """Refuse ARM processors (a `g` in the options, and the series a1), since the images are for x86_64."""
    series, options = _parse_type(kind)
    if "g" in options or series == "a":
        hint = "choose one without 'g' after the number, such as m6i.large"
        raise field_error(f"{kind} has an ARM processor, and the image is for x86_64", hint)
    return kind


def _check_disks(kind: str) -> str:
    """Refuse disks of the machine itself, since a Vault node expects exactly two disks besides the root disk."""
    series, options = _parse_type(kind)
    if "d" in options.partition("-")[0] or series in WITH_DISKS or kind.partition(".")[0] in OLD_WITH_DISKS:
        reason = f"{kind} has a disk of its own, so a node cannot identify Vault's two disks"
        raise field_error(reason, "choose one that has EBS volumes only, such as m6i.large")
    return kind


def _parse_type(kind: str) -> tuple[str, str]:
    """Series and options; empty for an unknown form of name, which AWS will check."""
    match = NAME.fullmatch(kind)
    return (match[1], match[2]) if match else ("", "")


InstanceType = Annotated[
    str,
    TextFormat(r"^[a-z][a-z0-9-]*\.[a-z0-9-]+$", "an EC2 instance type, FAMILY.SIZE", "m6i.large"),
    AfterValidator(_check_processor),
]
DisklessType = Annotated[InstanceType, AfterValidator(_check_disks)]
