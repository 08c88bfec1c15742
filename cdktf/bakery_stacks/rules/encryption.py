"""Rules on encryption at rest, with customer managed keys if AWS accepts them."""

from collections.abc import Iterator
from typing import Any

from bakery_stacks.rules.rule import Resource, Rule, Stack, as_blocks, is_known, may_be_on

KMS = ("aws:kms", "aws:kms:dsse")
# Type of resource -> the argument that turns encryption on.
SWITCHES = {
    "aws_dynamodb_table": ("server_side_encryption", "enabled"),
    "aws_db_instance": ("storage_encrypted",),
    "aws_ecr_repository": ("encryption_configuration", "kms_key"),
    "aws_efs_file_system": ("encrypted",),
    "aws_rds_cluster": ("storage_encrypted",),
}
DISKS = ("root_block_device", "ebs_block_device")


def _plain_disk(resource: Resource, _: Stack) -> Iterator[str]:
    if not may_be_on(resource.arguments.get("encrypted")):
        yield "is not encrypted"


def _plain_disk_of_machine(resource: Resource, _: Stack) -> Iterator[str]:
    """A device without `ebs` is not a new disk: it removes one of the image, or refers to one of the host."""
    mapped = [disk for block in resource.blocks("block_device_mappings") for disk in as_blocks(block.get("ebs"))]
    for disk in (*mapped, *(disk for name in DISKS for disk in resource.blocks(name))):
        if not may_be_on(disk.get("encrypted")):
            yield "has a disk that is not encrypted"


def _plain_default(resource: Resource, _: Stack) -> Iterator[str]:
    if resource.arguments.get("enabled") is False:
        yield "turns encryption of new disks off"


def _bucket_without_key(resource: Resource, stack: Stack) -> Iterator[str]:
    if not stack.referring_to(resource, "aws_s3_bucket_server_side_encryption_configuration", "bucket"):
        yield "has no aws_s3_bucket_server_side_encryption_configuration"


def _weak_bucket(resource: Resource, _: Stack) -> Iterator[str]:
    defaults = [
        block
        for rule in resource.blocks("rule")
        for block in as_blocks(rule.get("apply_server_side_encryption_by_default"))
    ]
    for default in defaults:
        if is_known(default.get("sse_algorithm")) and default.get("sse_algorithm") not in KMS:
            yield f"encrypts by {default.get('sse_algorithm')}"


def _plain_messages(resource: Resource, _: Stack) -> Iterator[str]:
    if not resource.arguments.get("kms_master_key_id"):
        yield "has no kms_master_key_id"


def _plain_logs(resource: Resource, _: Stack) -> Iterator[str]:
    if not resource.arguments.get("kms_key_id"):
        yield "has no kms_key_id"


def _plain_store(resource: Resource, _: Stack) -> Iterator[str]:
    path = SWITCHES[resource.kind]
    if not _is_set(resource.arguments, path):
        yield f"does not set {'.'.join(path)}"


def _is_set(arguments: dict[str, Any], path: tuple[str, ...]) -> bool:
    value = arguments.get(path[0])
    if len(path) > 1:
        return any(_is_set(block, path[1:]) for block in as_blocks(value))
    return may_be_on(value) or (isinstance(value, str) and value not in ("", "false"))


def _still_key(resource: Resource, _: Stack) -> Iterator[str]:
    """AWS rotates symmetric keys for encryption only."""
    spec = resource.arguments.get("customer_master_key_spec", "SYMMETRIC_DEFAULT")
    usage = resource.arguments.get("key_usage", "ENCRYPT_DECRYPT")
    rotatable = (spec, usage) == ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")
    if rotatable and not may_be_on(resource.arguments.get("enable_key_rotation")):
        yield "does not rotate"


ENCRYPTION = (
    Rule(
        "BKY010",
        "error",
        "disks are encrypted",
        "a copied or lost disk is unreadable",
        ("aws_ebs_volume", "aws_ebs_snapshot_copy", "aws_ami_copy"),
        _plain_disk,
    ),
    Rule(
        "BKY011",
        "error",
        "disks of machines are encrypted",
        "a copied or lost disk is unreadable",
        ("aws_launch_template", "aws_instance"),
        _plain_disk_of_machine,
    ),
    Rule(
        "BKY012",
        "error",
        "new disks are encrypted by default",
        "a disk that nobody thought of is encrypted too",
        ("aws_ebs_encryption_by_default",),
        _plain_default,
    ),
    Rule(
        "BKY013",
        "error",
        "every bucket is encrypted with a key",
        "a right to read objects is not enough to decrypt them",
        ("aws_s3_bucket",),
        _bucket_without_key,
    ),
    Rule(
        "BKY014",
        "error",
        "buckets are encrypted by KMS",
        "uses of a KMS key are logged, and its policy can take them back",
        ("aws_s3_bucket_server_side_encryption_configuration",),
        _weak_bucket,
    ),
    Rule(
        "BKY015",
        "error",
        "topics and queues are encrypted with a key",
        "uses of a KMS key are logged, and its policy can take them back",
        ("aws_sns_topic", "aws_sqs_queue"),
        _plain_messages,
    ),
    Rule(
        "BKY016",
        "error",
        "log groups are encrypted with a key",
        "logs contain secrets sooner or later",
        ("aws_cloudwatch_log_group",),
        _plain_logs,
    ),
    Rule(
        "BKY017",
        "error",
        "stores are encrypted",
        "some services encrypt only on request",
        tuple(SWITCHES),
        _plain_store,
    ),
    Rule(
        "BKY018",
        "error",
        "keys rotate",
        "a leaked key decrypts the data of one year at most",
        ("aws_kms_key",),
        _still_key,
    ),
)
