"""For each rule, things that violate it and nothing else, and things that are like them and violate nothing.

Written with the provider's own classes, so that a misspelt argument fails here.
"""

import base64
import gzip
import json
from collections.abc import Callable
from typing import Any

from cdktf import Fn, TerraformLocal, TerraformResourceLifecycle, TerraformStack
from cdktf_cdktf_provider_aws.ami_launch_permission import AmiLaunchPermission
from cdktf_cdktf_provider_aws.autoscaling_group import (
    AutoscalingGroup,
    AutoscalingGroupLaunchTemplate,
    AutoscalingGroupTag,
)
from cdktf_cdktf_provider_aws.cloudwatch_log_group import CloudwatchLogGroup
from cdktf_cdktf_provider_aws.data_aws_iam_policy_document import (
    DataAwsIamPolicyDocument,
    DataAwsIamPolicyDocumentStatement,
    DataAwsIamPolicyDocumentStatementPrincipals,
)
from cdktf_cdktf_provider_aws.db_instance import DbInstance
from cdktf_cdktf_provider_aws.dynamodb_table import DynamodbTable, DynamodbTableServerSideEncryption
from cdktf_cdktf_provider_aws.ebs_encryption_by_default import EbsEncryptionByDefault
from cdktf_cdktf_provider_aws.ebs_snapshot_block_public_access import EbsSnapshotBlockPublicAccess
from cdktf_cdktf_provider_aws.ebs_snapshot_copy import EbsSnapshotCopy
from cdktf_cdktf_provider_aws.ebs_volume import EbsVolume
from cdktf_cdktf_provider_aws.ec2_image_block_public_access import Ec2ImageBlockPublicAccess
from cdktf_cdktf_provider_aws.ecr_repository import EcrRepository, EcrRepositoryEncryptionConfiguration
from cdktf_cdktf_provider_aws.efs_file_system import EfsFileSystem
from cdktf_cdktf_provider_aws.eip import Eip
from cdktf_cdktf_provider_aws.eip_association import EipAssociation
from cdktf_cdktf_provider_aws.iam_access_key import IamAccessKey
from cdktf_cdktf_provider_aws.iam_role import IamRole
from cdktf_cdktf_provider_aws.iam_role_policy import IamRolePolicy
from cdktf_cdktf_provider_aws.instance import Instance, InstanceLaunchTemplate
from cdktf_cdktf_provider_aws.kms_key import KmsKey
from cdktf_cdktf_provider_aws.launch_template import (
    LaunchTemplate,
    LaunchTemplateBlockDeviceMappings,
    LaunchTemplateBlockDeviceMappingsEbs,
    LaunchTemplateMetadataOptions,
    LaunchTemplateNetworkInterfaces,
    LaunchTemplateTagSpecifications,
)
from cdktf_cdktf_provider_aws.lb import Lb
from cdktf_cdktf_provider_aws.provider import AwsProvider, AwsProviderDefaultTags
from cdktf_cdktf_provider_aws.s3_account_public_access_block import S3AccountPublicAccessBlock
from cdktf_cdktf_provider_aws.s3_bucket import S3Bucket
from cdktf_cdktf_provider_aws.s3_bucket_acl import S3BucketAcl
from cdktf_cdktf_provider_aws.s3_bucket_public_access_block import S3BucketPublicAccessBlock
from cdktf_cdktf_provider_aws.s3_bucket_server_side_encryption_configuration import (
    S3BucketServerSideEncryptionConfigurationA,
    S3BucketServerSideEncryptionConfigurationRuleA,
    S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA,
)
from cdktf_cdktf_provider_aws.s3_bucket_versioning import S3BucketVersioningA, S3BucketVersioningVersioningConfiguration
from cdktf_cdktf_provider_aws.secretsmanager_secret_policy import SecretsmanagerSecretPolicy
from cdktf_cdktf_provider_aws.security_group import SecurityGroup, SecurityGroupIngress
from cdktf_cdktf_provider_aws.security_group_rule import SecurityGroupRule
from cdktf_cdktf_provider_aws.sns_topic import SnsTopic
from cdktf_cdktf_provider_aws.sns_topic_policy import SnsTopicPolicy
from cdktf_cdktf_provider_aws.sqs_queue import SqsQueue
from cdktf_cdktf_provider_aws.ssm_parameter import SsmParameter
from cdktf_cdktf_provider_aws.subnet import Subnet
from cdktf_cdktf_provider_aws.vpc_endpoint import VpcEndpoint
from cdktf_cdktf_provider_aws.vpc_security_group_egress_rule import VpcSecurityGroupEgressRule
from cdktf_cdktf_provider_aws.vpc_security_group_ingress_rule import VpcSecurityGroupIngressRule
from cdktf_cdktf_provider_vault.data_vault_kv_secret_v2 import DataVaultKvSecretV2
from cdktf_cdktf_provider_vault.kv_secret_v2 import KvSecretV2
from cdktf_cdktf_provider_vault.mount import Mount
from cdktf_cdktf_provider_vault.policy import Policy
from cdktf_cdktf_provider_vault.provider import VaultProvider
from cdktf_cdktf_provider_vsphere.content_library import ContentLibrary, ContentLibrarySubscription
from constructs import Construct

Example = Callable[[Construct], Any]

OWN = "arn:aws:iam::123456789012:root"
OTHER = "arn:aws:iam::210987654321:root"
KEY = "arn:aws:kms:eu-west-1:123456789012:key/1"
# Put together here, since a scanner of this repository would find them as well.
AWS_KEY = "AKIA" + "ABCDEFGHIJ234567"
RUNNER_TOKEN = "glrt-" + "x" * 20
VAULT_TOKEN = "hvs." + "x" * 24
PRIVATE_KEY = "-----BEGIN RSA " + "PRIVATE KEY-----"


def policy(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


def keep() -> Any:
    return TerraformResourceLifecycle(prevent_destroy=True)


def provider(scope: Construct, kind: Any, **settings: Any) -> None:
    kind(TerraformStack.of(scope), f"provider-{scope.node.id}", alias=scope.node.id, **settings)


def packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode())).decode()


def reference(scope: Construct) -> str:
    """A value that only Terraform will know."""
    known = scope.node.try_find_child("unknown") or TerraformLocal(scope, "unknown", "any")
    assert isinstance(known, TerraformLocal)
    return str(known.as_string)


def bucket(scope: Construct, *, without: str = "", algorithm: str = "aws:kms", **lifecycle: Any) -> None:
    """A bucket with everything that a bucket needs, or without one thing."""
    made = S3Bucket(scope, "bucket", bucket=scope.node.id.lower(), **(lifecycle or {"lifecycle": keep()}))
    if without != "block":
        public_access_block(scope, made.id)
    if without != "encryption":
        default = S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA(
            sse_algorithm=algorithm, kms_master_key_id=KEY
        )
        rule = S3BucketServerSideEncryptionConfigurationRuleA(apply_server_side_encryption_by_default=default)
        S3BucketServerSideEncryptionConfigurationA(scope, "encryption", bucket=made.bucket, rule=[rule])
    if without != "versioning":
        versioning(scope, scope.node.id.lower(), "Enabled")


def public_access_block(scope: Construct, name: str, **change: Any) -> None:
    closed: dict[str, Any] = dict.fromkeys(
        ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"), True
    )
    S3BucketPublicAccessBlock(scope, "block", bucket=name, **closed | change)


def versioning(scope: Construct, name: str, status: str) -> None:
    configuration = S3BucketVersioningVersioningConfiguration(status=status)
    S3BucketVersioningA(scope, "versioning", bucket=name, versioning_configuration=configuration)


def template(scope: Construct, *, tokens: str | None = "required", hops: int | None = 1, **more: Any) -> Any:
    options = LaunchTemplateMetadataOptions(http_tokens=tokens, http_put_response_hop_limit=hops)
    return LaunchTemplate(scope, "template", **{"metadata_options": options, **more})


def disk(encrypted: Any) -> Any:
    ebs = LaunchTemplateBlockDeviceMappingsEbs(volume_size=8, encrypted=encrypted)
    return LaunchTemplateBlockDeviceMappings(device_name="/dev/xvda", ebs=ebs)


def group(scope: Construct, launch: Any, *, propagate: bool) -> None:
    tag = AutoscalingGroupTag(key="owner", value="platform", propagate_at_launch=propagate)
    used = AutoscalingGroupLaunchTemplate(id=launch.id, version="1")
    AutoscalingGroup(scope, "group", min_size=0, max_size=1, launch_template=used, tag=[tag])


def tagged(resource: str) -> Any:
    return LaunchTemplateTagSpecifications(resource_type=resource, tags={"owner": "platform"})


def ingress(scope: Construct, **where: Any) -> None:
    VpcSecurityGroupIngressRule(scope, "rule", security_group_id="sg-1", ip_protocol="tcp", **where)


def inline(scope: Construct, *networks: str) -> None:
    opening = SecurityGroupIngress(protocol="tcp", from_port=22, to_port=22, cidr_blocks=list(networks))
    SecurityGroup(scope, "group", ingress=[opening])


def old_rule(scope: Construct, kind: str) -> None:
    SecurityGroupRule(
        scope,
        "rule",
        type=kind,
        security_group_id="sg-1",
        protocol="-1",
        from_port=0,
        to_port=0,
        cidr_blocks=["0.0.0.0/0"],
    )


def key(scope: Construct, **change: Any) -> None:
    KmsKey(scope, "key", **{"enable_key_rotation": True, "lifecycle": keep(), **change})


def logs(scope: Construct, **change: Any) -> None:
    CloudwatchLogGroup(scope, "logs", **{"kms_key_id": KEY, "retention_in_days": 30, **change})


def role(scope: Construct, **statement: Any) -> None:
    IamRolePolicy(scope, "policy", role="a", policy=policy(**statement))


def trust(scope: Construct, **statement: Any) -> None:
    IamRole(scope, "role", assume_role_policy=policy(Action="sts:AssumeRole", **statement))


def topic_policy(scope: Construct, **statement: Any) -> None:
    SnsTopicPolicy(scope, "policy", arn="arn:aws:sns:eu-west-1:123456789012:a", policy=policy(**statement))


def data_document(scope: Construct, **statement: Any) -> None:
    made = DataAwsIamPolicyDocumentStatement(**statement)
    DataAwsIamPolicyDocument(scope, "document", statement=[made])


def repository(scope: Construct, **change: Any) -> None:
    EcrRepository(scope, "repository", name="a", **change)


def mount(scope: Construct, kind: str, **more: Any) -> None:
    Mount(scope, "mount", path="a", type=kind, **more)


def table(scope: Construct, **change: Any) -> None:
    DynamodbTable(scope, "table", name="a", lifecycle=keep(), **change)


def library(scope: Construct, **more: Any) -> None:
    ContentLibrary(scope, "library", name="a", storage_backing=["datastore-1"], **more)


def parameter(scope: Construct, kind: str, **value: Any) -> None:
    SsmParameter(scope, "parameter", name="/a", type=kind, **value)


EVERYBODY = {"Action": "sns:Publish", "Resource": "*", "Principal": "*"}
IN_ORG = {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}
TABLE_KEY = DynamodbTableServerSideEncryption(enabled=True)
ECR_KEY = EcrRepositoryEncryptionConfiguration(encryption_type="KMS", kms_key=KEY)
SUBSCRIBED = ContentLibrarySubscription(subscription_url="https://vcenter.example/lib.json")
PUBLIC_INTERFACE = LaunchTemplateNetworkInterfaces(associate_public_ip_address="true")

BAD: dict[str, list[Example]] = {
    "BKY001": [
        lambda at: ingress(at, cidr_ipv4="0.0.0.0/0"),
        lambda at: ingress(at, cidr_ipv6="::/0"),
        lambda at: ingress(at, cidr_ipv4="128.0.0.0/1"),  # with its other half it is everywhere
        lambda at: inline(at, "10.0.0.0/8", "0.0.0.0/0"),
        lambda at: old_rule(at, "ingress"),
    ],
    "BKY002": [
        lambda at: Subnet(at, "subnet", vpc_id="vpc-1", map_public_ip_on_launch=True),
        lambda at: template(at, network_interfaces=[PUBLIC_INTERFACE]),
    ],
    "BKY003": [
        lambda at: Eip(at, "address", instance="i-1"),
        lambda at: EipAssociation(at, "a", instance_id="i"),
    ],
    "BKY004": [lambda at: Lb(at, "balancer"), lambda at: Lb(at, "balancer", internal=False)],
    "BKY005": [
        lambda at: AmiLaunchPermission(at, "permission", image_id="ami-1", group="all"),
        lambda at: Ec2ImageBlockPublicAccess(at, "block", state="unblocked"),
        lambda at: EbsSnapshotBlockPublicAccess(at, "block", state="unblocked"),
    ],
    "BKY006": [lambda at: bucket(at, without="block")],
    "BKY007": [
        lambda at: public_access_block(at, "a", restrict_public_buckets=False),
        lambda at: S3AccountPublicAccessBlock(
            at, "block", block_public_acls=True, ignore_public_acls=True, restrict_public_buckets=True
        ),
    ],
    "BKY008": [lambda at: S3BucketAcl(at, "acl", bucket="a", acl="public-read")],
    "BKY010": [
        lambda at: EbsVolume(at, "disk", availability_zone="eu-west-1a", size=1, lifecycle=keep()),
        lambda at: EbsSnapshotCopy(at, "copy", source_region="us-east-1", source_snapshot_id="snap-1"),
    ],
    "BKY011": [
        lambda at: template(at, block_device_mappings=[disk("true"), disk("false")]),
        lambda at: template(at, block_device_mappings=[disk(None)]),
    ],
    "BKY012": [lambda at: EbsEncryptionByDefault(at, "default", enabled=False)],
    "BKY013": [lambda at: bucket(at, without="encryption")],
    "BKY014": [lambda at: bucket(at, algorithm="AES256")],
    "BKY015": [lambda at: SnsTopic(at, "topic"), lambda at: SqsQueue(at, "queue")],
    "BKY016": [lambda at: logs(at, kms_key_id=None)],
    "BKY017": [
        repository,
        lambda at: repository(at, encryption_configuration=[EcrRepositoryEncryptionConfiguration()]),
        table,
        lambda at: EfsFileSystem(at, "files", lifecycle=keep()),
    ],
    "BKY018": [lambda at: key(at, enable_key_rotation=None), lambda at: key(at, enable_key_rotation=False)],
    "BKY020": [
        lambda at: LaunchTemplate(at, "template"),
        lambda at: template(at, tokens="optional"),
        lambda at: template(at, hops=2),
        lambda at: template(at, hops=None),
        lambda at: Instance(at, "machine", ami="ami-1"),
    ],
    "BKY021": [lambda at: group(at, template(at, tag_specifications=[tagged("volume")]), propagate=False)],
    "BKY030": [lambda at: bucket(at, without="versioning")],
    "BKY031": [lambda at: versioning(at, "a", "Suspended")],
    "BKY032": [lambda at: logs(at, retention_in_days=None), lambda at: logs(at, retention_in_days=0)],
    "BKY033": [
        lambda at: key(at, lifecycle=None),
        lambda at: bucket(at, force_destroy=False),
        lambda at: mount(at, "kv-v2"),
        library,
    ],
    "BKY034": [lambda at: provider(at, AwsProvider, region="eu-west-1")],
    "BKY040": [
        lambda at: provider(at, VaultProvider, address="https://vault.example", token="literal"),
        lambda at: template(at, user_data=base64.b64encode(f"token={RUNNER_TOKEN}".encode()).decode()),
        lambda at: template(at, user_data=packed(f"#cloud-config\n{PRIVATE_KEY}" * 4)),
        lambda at: parameter(at, "String", value=f"key {AWS_KEY}"),
        lambda at: Policy(at, "policy", name="a", policy=f"# {VAULT_TOKEN}"),
    ],
    "BKY041": [
        lambda at: parameter(at, "SecureString", value="set by hand"),
        lambda at: IamAccessKey(at, "key", user="a"),
        lambda at: KvSecretV2(at, "secret", mount="a", name="b", data_json=reference(at)),
        lambda at: DataVaultKvSecretV2(at, "secret", mount="a", name="b"),
        lambda at: DbInstance(
            at,
            "database",
            instance_class="db.t4g.micro",
            storage_encrypted=True,
            lifecycle=keep(),
            password=reference(at),
        ),
    ],
    "BKY050": [
        lambda at: topic_policy(at, **EVERYBODY),
        lambda at: topic_policy(at, **{**EVERYBODY, "Principal": {"AWS": ["*"]}}),
        lambda at: topic_policy(at, **EVERYBODY, Condition={"Bool": {"aws:SecureTransport": "true"}}),
        lambda at: topic_policy(at, **EVERYBODY, Condition={"StringNotEquals": {"aws:SourceAccount": "1"}}),
        lambda at: topic_policy(at, Action="sns:Publish", Resource="*", NotPrincipal={"AWS": OTHER}),
        lambda at: trust(at, Principal={"AWS": "*"}),
        lambda at: data_document(
            at,
            actions=["sns:Publish"],
            resources=["*"],
            principals=[DataAwsIamPolicyDocumentStatementPrincipals(type="*", identifiers=["*"])],
        ),
    ],
    "BKY051": [
        lambda at: role(at, Action="*", Resource="arn:aws:s3:::a"),
        lambda at: role(at, Action=["s3:GetObject", "ssm:*"], Resource="arn:aws:s3:::a"),
        lambda at: role(at, NotAction="iam:*", Resource="arn:aws:s3:::a"),
        lambda at: key(at, policy=policy(Action="kms:*", Resource="*", Principal={"AWS": OTHER})),
        lambda at: key(at, policy=policy(Action="kms:*", Resource="*", Principal={"AWS": [OWN, OTHER]})),
        lambda at: data_document(at, actions=["ec2:*"], resources=["arn:aws:ec2:*:*:instance/i-1"]),
        lambda at: IamRolePolicy(
            at, "policy", role="a", policy=Fn.jsonencode({"Statement": [{"Effect": "Allow", "Action": "*"}]})
        ),
    ],
    "BKY052": [
        lambda at: role(at, Action=["ec2:DescribeImages", "ec2:DeregisterImage"], Resource="*"),
        lambda at: data_document(at, actions=["s3:PutObject"], resources=["*"]),
    ],
}

GOOD: dict[str, list[Example]] = {
    "BKY001": [
        lambda at: ingress(at, cidr_ipv4="10.0.0.0/8", description="From our networks"),
        lambda at: ingress(at, cidr_ipv6="fc00::/7"),
        lambda at: ingress(at, cidr_ipv4=reference(at)),
        lambda at: ingress(at, referenced_security_group_id="sg-2"),
        lambda at: inline(at, "203.0.113.0/24"),
        lambda at: old_rule(at, "egress"),
        lambda at: VpcSecurityGroupEgressRule(
            at, "rule", security_group_id="sg-1", ip_protocol="-1", cidr_ipv4="0.0.0.0/0"
        ),
    ],
    "BKY002": [
        lambda at: Subnet(at, "subnet", vpc_id="vpc-1", map_public_ip_on_launch=False),
        lambda at: Subnet(at, "subnet", vpc_id=reference(at)),
    ],
    "BKY003": [lambda at: Eip(at, "address", domain="vpc")],
    "BKY004": [lambda at: Lb(at, "balancer", internal=True, load_balancer_type="network")],
    "BKY005": [
        lambda at: AmiLaunchPermission(at, "permission", image_id="ami-1", account_id="210987654321"),
        lambda at: Ec2ImageBlockPublicAccess(at, "block", state="block-new-sharing"),
        lambda at: EbsSnapshotBlockPublicAccess(at, "block", state="block-all-sharing"),
    ],
    "BKY006": [bucket],
    "BKY007": [lambda at: public_access_block(at, "a")],
    "BKY008": [lambda at: S3BucketAcl(at, "acl", bucket="a", acl="private")],
    "BKY010": [
        lambda at: EbsVolume(at, "disk", availability_zone="eu-west-1a", encrypted=True, lifecycle=keep()),
        lambda at: EbsSnapshotCopy(at, "copy", source_region="a", source_snapshot_id="snap-1", encrypted=True),
    ],
    "BKY011": [
        lambda at: template(at, block_device_mappings=[disk("true")]),
        lambda at: template(at, block_device_mappings=[disk(reference(at))]),
        lambda at: template(
            at, block_device_mappings=[LaunchTemplateBlockDeviceMappings(device_name="/dev/xvdb", no_device="true")]
        ),
    ],
    "BKY012": [lambda at: EbsEncryptionByDefault(at, "default", enabled=True)],
    "BKY013": [bucket],
    "BKY014": [lambda at: bucket(at, algorithm="aws:kms:dsse")],
    "BKY015": [
        lambda at: SnsTopic(at, "topic", kms_master_key_id=KEY),
        lambda at: SqsQueue(at, "queue", kms_master_key_id=reference(at)),
    ],
    "BKY016": [logs],
    "BKY017": [
        lambda at: repository(at, encryption_configuration=[ECR_KEY]),
        lambda at: table(at, server_side_encryption=TABLE_KEY),
        lambda at: EfsFileSystem(at, "files", encrypted=True, lifecycle=keep()),
    ],
    "BKY018": [key, lambda at: key(at, enable_key_rotation=None, customer_master_key_spec="ECC_NIST_P256")],
    "BKY020": [
        template,
        lambda at: template(at, metadata_options=LaunchTemplateMetadataOptions(http_endpoint="disabled")),
        lambda at: Instance(at, "machine", launch_template=InstanceLaunchTemplate(id=template(at).id)),
    ],
    "BKY021": [
        lambda at: group(at, template(at), propagate=True),
        lambda at: group(at, template(at, tag_specifications=[tagged("instance")]), propagate=False),
    ],
    "BKY030": [bucket],
    "BKY031": [lambda at: versioning(at, "a", "Enabled"), lambda at: versioning(at, "a", reference(at))],
    "BKY032": [logs],
    "BKY033": [
        key,
        lambda at: mount(at, "kv-v2", lifecycle=keep()),
        lambda at: mount(at, "aws"),
        lambda at: library(at, lifecycle=keep()),
        lambda at: library(at, subscription=SUBSCRIBED),
    ],
    "BKY034": [
        lambda at: provider(at, AwsProvider, default_tags=[AwsProviderDefaultTags(tags={"owner": "platform"})]),
    ],
    "BKY040": [
        lambda at: parameter(at, "String", value="vault token in /bakery/token"),
        lambda at: template(at, user_data=packed("#cloud-config\ntoken: from /bakery/runner/token")),
        lambda at: template(at, user_data=Fn.base64encode("-----BEGIN CERTIFICATE-----")),
        lambda at: SecretsmanagerSecretPolicy(at, "p", secret_arn=reference(at), policy="{}"),
    ],
    "BKY041": [
        lambda at: parameter(at, "SecureString", value_wo=reference(at)),
        lambda at: parameter(at, "String", value=reference(at)),
        lambda at: KvSecretV2(at, "secret", mount="a", name="b", data_json_wo=reference(at)),
    ],
    "BKY050": [
        lambda at: topic_policy(at, **EVERYBODY, Condition=IN_ORG),
        lambda at: topic_policy(at, **{**EVERYBODY, "Effect": "Deny"}),
        lambda at: topic_policy(at, **{**EVERYBODY, "Principal": {"Service": "events.amazonaws.com"}}),
        lambda at: trust(at, Principal={"Federated": "arn:aws:iam::123456789012:oidc-provider/gitlab.example"}),
        lambda at: VpcEndpoint(
            at,
            "endpoint",
            vpc_id="vpc-1",
            service_name="com.amazonaws.eu-west-1.s3",
            policy=policy(Action="*", Resource="*", Principal="*"),
        ),
    ],
    "BKY051": [
        lambda at: role(at, Action=["s3:Get*", "ec2:Describe*"], Resource="arn:aws:s3:::a"),
        lambda at: role(at, Action="s3:*", Resource="*", Effect="Deny"),
        lambda at: key(at, policy=policy(Action="kms:*", Resource="*", Principal={"AWS": OWN})),
        lambda at: IamRolePolicy(
            at, "policy", role="a", policy=policy(Action="s3:Get*", Resource=Fn.lookup({"a": "b"}, "a"))
        ),
    ],
    "BKY052": [
        lambda at: role(at, Action=["ec2:DescribeImages", "ssm:GetParameter"], Resource="*"),
        lambda at: role(at, Action="cloudwatch:PutMetricData", Resource="*"),
        lambda at: role(at, Action="ec2:CreateTags", Resource="*", Condition=IN_ORG),
        lambda at: key(at, policy=policy(Action="kms:CreateGrant", Resource="*", Principal={"AWS": OWN})),
    ],
}
