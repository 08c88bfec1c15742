"""Ranges of IPv4 addresses."""

from ipaddress import IPv4Network
from typing import Annotated

from pydantic import AfterValidator

from bakery.model.fields import TextFormat
from bakery.model.validation import field_error


def _check_range(cidr: str) -> str:
    try:
        IPv4Network(cidr)
    except ValueError as error:  # a part above 255, or bits behind the prefix
        raise field_error(str(error), "write the first address of the range: 10.0.16.0/20, not 10.0.16.1/20") from error
    return cidr


# The pattern requires the length: without it, Python reads a single address.
Cidr = Annotated[
    str,
    TextFormat(r"^[0-9.]+/[0-9]+$", "a range of IPv4 addresses with its length", "10.0.16.0/20"),
    AfterValidator(_check_range),
]
