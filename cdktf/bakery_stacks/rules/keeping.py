"""Rules on keeping data, its older versions and logs, and on tags, which name owners."""

from collections.abc import Iterator

from bakery_stacks.rules.rule import Resource, Rule, Stack, is_known, may_be_on

# Keys, data and secrets, which the code cannot create again.
STATEFUL = (
    "aws_db_instance",
    "aws_dynamodb_table",
    "aws_ebs_volume",
    "aws_efs_file_system",
    "aws_kms_key",
    "aws_rds_cluster",
    "aws_s3_bucket",
    "aws_secretsmanager_secret",
    "vault_mount",
    "vault_transit_secret_backend_key",
    "vsphere_content_library",
)
# Vault's engines that hold secrets or keys; the others hold settings only.
HOLDING = ("generic", "kv", "kv-v2", "pki", "ssh", "totp", "transform", "transit")


def _unversioned_bucket(resource: Resource, stack: Stack) -> Iterator[str]:
    if not stack.referring_to(resource, "aws_s3_bucket_versioning", "bucket"):
        yield "has no aws_s3_bucket_versioning"


def _versions_off(resource: Resource, _: Stack) -> Iterator[str]:
    for block in resource.blocks("versioning_configuration"):
        if is_known(block.get("status")) and block.get("status") != "Enabled":
            yield f"has status {block.get('status')}"


def _endless_logs(resource: Resource, _: Stack) -> Iterator[str]:
    """AWS keeps logs without end if the number of days is 0."""
    if not resource.arguments.get("retention_in_days"):
        yield "has no retention_in_days"


def _unprotected_data(resource: Resource, _: Stack) -> Iterator[str]:
    if resource.kind == "vault_mount" and resource.arguments.get("type") not in HOLDING:
        return
    if resource.kind == "vsphere_content_library" and resource.blocks("subscription"):
        return  # a copy
    if not any(may_be_on(block.get("prevent_destroy")) for block in resource.blocks("lifecycle")):
        yield "has no lifecycle.prevent_destroy"


def _untagged_provider(resource: Resource, _: Stack) -> Iterator[str]:
    if not any(block.get("tags") for block in resource.blocks("default_tags")):
        yield "has no default_tags"


KEEPING = (
    Rule(
        "BKY030",
        "error",
        "every bucket has versions",
        "an object that was overwritten or deleted by mistake can be restored",
        ("aws_s3_bucket",),
        _unversioned_bucket,
    ),
    Rule(
        "BKY031",
        "error",
        "versions are on",
        "an object that was overwritten or deleted by mistake can be restored",
        ("aws_s3_bucket_versioning",),
        _versions_off,
    ),
    Rule(
        "BKY032",
        "error",
        "log groups say how long they keep logs",
        "by default logs are kept, and paid for, without end",
        ("aws_cloudwatch_log_group",),
        _endless_logs,
    ),
    Rule(
        "BKY033",
        "error",
        "resources that cannot be made again are not destroyed",
        "a plan that would destroy one fails, even if a changed argument forces its replacement",
        STATEFUL,
        _unprotected_data,
        lasting=True,
    ),
    Rule(
        "BKY034",
        "error",
        "every provider tags",
        "tags show costs and owners",
        ("provider.aws",),
        _untagged_provider,
    ),
)
