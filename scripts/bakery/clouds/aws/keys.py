"""The KMS key of the snapshots in each region, which has to be there before a disk is uploaded."""

from collections.abc import Iterable
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from bakery.clouds.aws.calls import do_all, error_code, explain_errors
from bakery.clouds.aws.session import Account
from bakery.host.errors import BakeryError

ENABLED = "Enabled"
NOT_FOUND = "NotFoundException"


def require_keys(account: Account, regions: Iterable[str], alias: str) -> None:
    """Raise BakeryError for every region that has no key of this alias, or one that encrypts nothing."""
    do_all(f"encrypt with {alias}", {region: account.kms(region) for region in regions}, partial(_require_key, alias))


def _require_key(alias: str, kms: Any) -> None:
    region = kms.meta.region_name
    with explain_errors(f"look at the KMS key {alias}", region):
        try:
            state = kms.describe_key(KeyId=alias)["KeyMetadata"]["KeyState"]
        except ClientError as error:
            if error_code(error) != NOT_FOUND:
                raise
            hint = "apply the stack distribution with this region, or take it out of distribution.aws.regions"
            raise BakeryError(f"there is no KMS key {alias}", where=region, hint=hint) from error
    if state != ENABLED:
        raise BakeryError(f"the KMS key {alias} is in the state {state}", where=region, hint="enable it")
