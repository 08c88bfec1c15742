"""Address blocks that may reach the machine of a build."""

from ipaddress import ip_network
from typing import Annotated

from pydantic import AfterValidator

from bakery.model.validation import field_error

# A company's own block is no wider (IANA gave out blocks of /8 to companies, and RIRs give out /29 of IPv6).
WIDEST = {4: 8, 6: 29}
HINT = "write the block of the machine that bakes, such as 203.0.113.7/32"


def _check_block(text: str) -> str:
    try:
        block = ip_network(text)
    except ValueError as error:
        reason = "it names a machine inside of the block" if "host bits" in str(error) else "ADDRESS/LENGTH is one"
        raise field_error(f"'{text}' is no block of addresses: {reason}", HINT) from error
    if block.prefixlen < WIDEST[block.version]:
        raise field_error(f"'{text}' lets in the internet", HINT)
    return text


AddressBlock = Annotated[str, AfterValidator(_check_block)]
