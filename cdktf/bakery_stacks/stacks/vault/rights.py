"""Rights of a Vault node at AWS."""

from bakery_stacks.blocks.policy import Statement, statement
from bakery_stacks.blocks.stack_key import SEAL
from bakery_stacks.config import Environment, aws_partition
from bakery_stacks.stacks.vault.settings import Vault


def node_policy(
    environment: Environment, section: Vault, *, seal_key: str, data_key: str, bucket: str, metrics: str
) -> list[Statement]:
    """Unseal, find nodes, read the certificate, write snapshots (not read or delete them), report, assume roles."""
    home = environment.home_region
    parameter_prefix = f"arn:{aws_partition(home)}:ssm:{home}:{environment.account}:parameter"
    certificate = section.certificate
    parameters = [f"{parameter_prefix}{name}" for name in (certificate.chain, certificate.key, certificate.authority)]
    namespace = {"StringEquals": {"cloudwatch:namespace": metrics}}
    return [
        statement("Unseal", SEAL, [seal_key]),
        statement("FindEachOther", ["ec2:DescribeInstances"], ["*"]),  # AWS has no narrower form of it
        statement("Certificate", ["ssm:GetParameter"], parameters),
        statement("SaveSnapshots", ["s3:PutObject"], [f"{bucket}/*"]),
        # S3 decrypts the key again for multipart uploads.
        statement("EncryptSnapshots", ["kms:GenerateDataKey", "kms:Decrypt"], [data_key]),
        statement("Report", ["cloudwatch:PutMetricData"], ["*"], conditions=namespace),
        *_lending_statements(environment),
    ]


def _lending_statements(environment: Environment) -> list[Statement]:
    """The roles that Vault's AWS engine assumes for jobs. They have to trust the nodes' role or its account."""
    engine = environment.vault_config.aws if environment.vault_config else None
    if not engine:
        return []
    arns = [engine.bake.role_arn, engine.publish.role_arn, engine.apply.role_arn]
    return [statement("Lend", ["sts:AssumeRole"], arns)]
