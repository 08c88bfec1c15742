"""Roles that GitLab jobs assume at AWS by their ID tokens, limited to projects, refs and duties."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from cdktf_cdktf_provider_aws.iam_openid_connect_provider import IamOpenidConnectProvider
from cdktf_cdktf_provider_aws.iam_role import IamRole
from cdktf_cdktf_provider_aws.iam_role_policy import IamRolePolicy
from constructs import Construct

from bakery.clouds.aws import AUDIENCE
from bakery_stacks.blocks import publisher
from bakery_stacks.blocks.policy import Conditions, Statement, policy_document, statement
from bakery_stacks.config import Environment, aws_partition, dns_suffix
from bakery_stacks.outputs import DistributionOutputs
from bakery_stacks.stacks.runner import builder, registry
from bakery_stacks.stacks.runner.settings import Oidc, Subject

CHECK = "check"  # the role that every branch gets
LAYERS = "layers"  # the prefix in the bucket of the cache below which bakes share layers


@dataclass(frozen=True)
class JobRole:
    """A role at AWS: the duties whose tokens it takes, and its rights."""

    name: str
    about: str
    duties: Sequence[str]
    rights: Sequence[Statement]


class JobRoles(Construct):
    """A role for each group of duties on named refs, and one that reads, on every branch of the same projects.

    AWS reads `aud` and `sub` of a token by GitLab and no other claim. `sub` says the ref, and `aud` the duty: GitLab
    makes the tokens that the text of a job asks for, so a job of one duty cannot have the token of another.
    """

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        environment: Environment,
        gitlab_url: str,
        oidc: Oidc,
        distribution: DistributionOutputs,
        repository_arn: str,
        layer_rights: Sequence[Statement],
    ) -> None:
        super().__init__(scope, name)
        roles = job_roles(environment, oidc, distribution, repository_arn, layer_rights)
        audiences = [_audience(duty) for role in roles for duty in role.duties]
        provider = IamOpenidConnectProvider(self, "gitlab", url=gitlab_url, client_id_list=audiences)
        host = urlsplit(gitlab_url).netloc
        self.arns: Mapping[str, str] = {
            role.name: _make_role(self, environment, role, _trust_statement(provider.arn, host, oidc, role))
            for role in roles
        }


def job_roles(
    environment: Environment,
    oidc: Oidc,
    distribution: DistributionOutputs,
    repository_arn: str,
    layer_rights: Sequence[Statement],
) -> list[JobRole]:
    """The roles of an environment."""
    bucket, keys = distribution.catalog_bucket_arn, distribution.key_arns
    home_key, all_keys = keys[environment.home_region], list(keys.values())
    build = _build_rights(environment, all_keys) if oidc.builds_in_aws else []
    return [
        JobRole(CHECK, "Reads machine images", ["validate"], _check_rights(environment, bucket, home_key)),
        JobRole(
            "bake",
            "Bakes machine images",
            ["bake-private", "bake-public"],
            [*publisher.baking_rights(environment, bucket, home_key), *layer_rights, *build],
        ),
        JobRole(
            "verify", "Tests machine images", ["verify"], publisher.verifying_rights(environment, bucket, home_key)
        ),
        # The publisher's rights itself: a session of a role that is assumed by a role ends after an hour.
        JobRole(
            "publish",
            "Publishes machine images",
            ["publish"],
            publisher.publishing_rights(environment, bucket, all_keys),
        ),
        JobRole("push", "Pushes the image that jobs run in", ["runner-image"], registry.push_rights(repository_arn)),
    ]


def share_layers(environment: Environment, bucket: str, key_arn: str) -> list[Statement]:
    """Rights to share layers in the bucket of the cache. Without the one to list, S3 denies what is not there."""
    home = environment.home_region
    arn = f"arn:{aws_partition(home)}:s3:::{bucket}"
    through_s3: Conditions = {"StringEquals": {"kms:ViaService": f"s3.{home}.{dns_suffix(home)}"}}
    return [
        statement("LayersList", ["s3:ListBucket"], [arn]),
        statement("Layers", ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], [f"{arn}/{LAYERS}/*"]),
        statement("LayersKey", ["kms:Decrypt", "kms:GenerateDataKey"], [key_arn], conditions=through_s3),
    ]


def _build_rights(environment: Environment, key_arns: Sequence[str]) -> list[Statement]:
    """Rights of Packer's amazon-ebs: on machines, and on the images that it makes of them."""
    return [
        *builder.build_rights(environment),
        *publisher.image_statements(environment),
        *publisher.key_statements(key_arns),
    ]


def _audience(duty: str) -> str:
    return f"{AUDIENCE}/{duty}"


def _trust_statement(provider_arn: str, host: str, oidc: Oidc, role: JobRole) -> Statement:
    audiences: dict[str, str | Sequence[str]] = {f"{host}:aud": [_audience(duty) for duty in role.duties]}
    claim = f"{host}:sub"
    conditions: Conditions = {
        "StringEquals": {**audiences, claim: [_ref_subject(subject) for subject in oidc.subjects]}
    }
    if role.name == CHECK:
        conditions = {"StringEquals": audiences, "StringLike": {claim: _any_branch(oidc.subjects)}}
    return {
        "Sid": "Jobs",
        "Effect": "Allow",
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": provider_arn},
        "Condition": conditions,
    }


def _make_role(scope: Construct, environment: Environment, role: JobRole, trust: Statement) -> str:
    """The ARN of the role."""
    resource = IamRole(
        scope,
        role.name,
        name=publisher.job_role_name(environment, role.name),
        description=f"{role.about} of {environment.name}",
        assume_role_policy=policy_document(trust),
        max_session_duration=publisher.SESSION_SECONDS,
    )
    policy = policy_document(*role.rights)
    IamRolePolicy(scope, f"{role.name}-policy", name="jobs", role=resource.id, policy=policy)
    return resource.arn


def _ref_subject(subject: Subject) -> str:
    """`sub` in GitLab's default form; a project can change it."""
    return f"project_path:{subject.project}:ref_type:{subject.ref_type}:ref:{subject.ref}"


def _any_branch(subjects: Sequence[Subject]) -> list[str]:
    """Subjects of every branch, also of merge requests, whose `ref` is the source branch."""
    projects = dict.fromkeys(subject.project for subject in subjects)
    return [f"project_path:{project}:ref_type:branch:ref:*" for project in projects]


def _check_rights(environment: Environment, bucket_arn: str, key_arn: str) -> list[Statement]:
    """Rights of `bakery plan` and `bakery diff images`: read catalog, state, pointers and templates."""
    home = environment.home_region
    state = f"arn:{aws_partition(home)}:s3:::{environment.state.bucket}"
    objects = [f"{bucket_arn}/{environment.catalog_prefix}/*", f"{state}/{environment.state.prefix}/images.tfstate"]
    region: Conditions = {"StringEquals": {"aws:RequestedRegion": environment.regions}}
    templates = ["ec2:DescribeImages", "ec2:DescribeLaunchTemplates", "ec2:DescribeLaunchTemplateVersions"]
    return [
        statement("List", ["s3:ListBucket"], [bucket_arn, state]),
        statement("Read", ["s3:GetObject"], objects),
        publisher.catalog_key_statement(environment, key_arn, writes=False),
        statement("Pointers", ["ssm:GetParameter"], publisher.pointer_arns(environment)),
        statement("Templates", templates, ["*"], conditions=region),
    ]
