"""KMS keys for EC2: those of the same region, by ID, alias or ARN."""

from moto.ec2.models import EC2Backend
from moto.kms.models import kms_backends


def key_arn(backend: EC2Backend, key: str) -> str | None:
    """The ARN of a key ID, alias or ARN; None if this region has no such key."""
    account, name = backend.account_id, key
    if key.startswith("arn:"):
        _, _, _, region, account, name = key.split(":", 5)
        if region != backend.region_name:
            return None
    name = name.removeprefix("key/")
    keys = kms_backends[account][backend.region_name].keys.values()
    return next((candidate.arn for candidate in keys if name == candidate.id or name in candidate.aliases), None)


def default_key_arn(backend: EC2Backend) -> str:
    """The account's own `alias/aws/ebs`, made at its first use."""
    return backend.default_kms_key_id or backend._create_default_encryption_key()
