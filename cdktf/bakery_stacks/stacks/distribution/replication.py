"""Copies the catalog to a bucket in another region, in case the home region fails."""

from cdktf_cdktf_provider_aws.iam_role import IamRole
from cdktf_cdktf_provider_aws.iam_role_policy import IamRolePolicy
from cdktf_cdktf_provider_aws.provider import AwsProvider
from cdktf_cdktf_provider_aws.s3_bucket_replication_configuration import (
    S3BucketReplicationConfigurationA,
    S3BucketReplicationConfigurationRule,
    S3BucketReplicationConfigurationRuleDeleteMarkerReplication,
    S3BucketReplicationConfigurationRuleDestination,
    S3BucketReplicationConfigurationRuleDestinationEncryptionConfiguration,
    S3BucketReplicationConfigurationRuleFilter,
    S3BucketReplicationConfigurationRuleSourceSelectionCriteria,
    S3BucketReplicationConfigurationRuleSourceSelectionCriteriaSseKmsEncryptedObjects,
)
from constructs import Construct

from bakery_stacks.blocks.policy import Statement, policy_document, statement
from bakery_stacks.stacks.distribution.catalog_bucket import CatalogBucket

READ_VERSIONS = [
    *("s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl", "s3:GetObjectVersionTagging"),
    # S3 copies locks only with these (S3 User Guide, "Using Object Lock with S3 Replication").
    *("s3:GetObjectRetention", "s3:GetObjectLegalHold"),
]
WRITE_REPLICAS = ["s3:ReplicateObject", "s3:ReplicateTags"]


class Replication(Construct):
    """One rule for all objects. Deletions are not copied: nobody deletes records on purpose."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        environment: str,
        source: CatalogBucket,
        target: CatalogBucket,
        provider: AwsProvider,
    ) -> None:
        super().__init__(scope, name)
        role = IamRole(
            self,
            "role",
            name=f"bakery-{environment}-replication",
            description=f"Copies the catalog of {environment} to another region",
            assume_role_policy=policy_document(_trust_statement()),
        )
        rights = IamRolePolicy(
            self, "policy", name="replicate", role=role.id, policy=policy_document(*_replication_rights(source, target))
        )
        S3BucketReplicationConfigurationA(
            self,
            "rule",
            bucket=source.name,
            role=role.arn,
            rule=[_replication_rule(target)],
            provider=provider,
            depends_on=[source.lock, target.lock, rights],
        )


def _trust_statement() -> Statement:
    """AWS documents no condition that S3 fulfils here. A bucket accepts roles of its own account only."""
    return {
        "Sid": "S3",
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": "s3.amazonaws.com"},
    }


def _replication_rights(source: CatalogBucket, target: CatalogBucket) -> list[Statement]:
    """S3 decrypts with the one region's key and encrypts with the other's."""
    return [
        statement("Rule", ["s3:GetReplicationConfiguration", "s3:ListBucket"], [source.arn]),
        statement("Read", READ_VERSIONS, [f"{source.arn}/*"]),
        statement("Write", WRITE_REPLICAS, [f"{target.arn}/*"]),
        statement("Decrypt", ["kms:Decrypt"], [source.key_arn]),
        statement("Encrypt", ["kms:Encrypt", "kms:GenerateDataKey"], [target.key_arn]),
    ]


def _replication_rule(target: CatalogBucket) -> S3BucketReplicationConfigurationRule:
    """S3 skips objects that KMS encrypts unless a rule includes them."""
    kms_objects = S3BucketReplicationConfigurationRuleSourceSelectionCriteriaSseKmsEncryptedObjects(status="Enabled")
    encryption = S3BucketReplicationConfigurationRuleDestinationEncryptionConfiguration(
        replica_kms_key_id=target.key_arn
    )
    return S3BucketReplicationConfigurationRule(
        id="everything",
        status="Enabled",
        priority=0,
        filter=S3BucketReplicationConfigurationRuleFilter(prefix=""),
        delete_marker_replication=S3BucketReplicationConfigurationRuleDeleteMarkerReplication(status="Disabled"),
        source_selection_criteria=S3BucketReplicationConfigurationRuleSourceSelectionCriteria(
            sse_kms_encrypted_objects=kms_objects
        ),
        destination=S3BucketReplicationConfigurationRuleDestination(
            bucket=target.arn, encryption_configuration=encryption
        ),
    )
