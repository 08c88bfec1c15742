"""What a Vault node may do at AWS."""

from bakery_stacks.blocks.policy import Statement, statement
from bakery_stacks.blocks.stack_key import SEAL
from bakery_stacks.config import Environment, aws_partition
from bakery_stacks.stacks.vault.settings import Vault


def node_policy(
    environment: Environment, section: Vault, *, seal_key: str, data_key: str, bucket: str, metrics: str
) -> list[Statement]:
    """Unseal, find each other, fetch the certificate, save snapshots (never read or delete one), report, lend roles."""
    home = environment.home_region
    parameter_prefix = f"arn:{aws_partition(home)}:ssm:{home}:{environment.account}:parameter"
    certificate = section.certificate
    parameters = [f"{parameter_prefix}{name}" for name in (certificate.chain, certificate.key, certificate.authority)]
    namespace = {"StringEquals": {"cloudwatch:namespace": metrics}}
    return [
        statement("Unseal", SEAL, [seal_key]),
        statement("FindEachOther", ["ec2:DescribeInstances"], ["*"]),  # AWS knows no narrower form of it
        statement("Certificate", ["ssm:GetParameter"], parameters),
        statement("SaveSnapshots", ["s3:PutObject"], [f"{bucket}/*"]),
        # Decrypt for uploads in parts, of which S3 reads the key again.
        statement("EncryptSnapshots", ["kms:GenerateDataKey", "kms:Decrypt"], [data_key]),
        statement("Report", ["cloudwatch:PutMetricData"], ["*"], conditions=namespace),
        *_lending_statements(environment),
    ]


def _lending_statements(environment: Environment) -> list[Statement]:
    """What Vault's AWS engine assumes for jobs. The roles have to trust the nodes' role or its account, too."""
    engine = environment.vault_config.aws if environment.vault_config else None
    if not engine:
        return []
    return [statement("Lend", ["sts:AssumeRole"], [engine.bake.role_arn, engine.apply.role_arn])]
