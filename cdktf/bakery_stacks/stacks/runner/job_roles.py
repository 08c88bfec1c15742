"""Roles that GitLab jobs assume at AWS by their ID tokens, limited to projects and refs."""

from collections.abc import Sequence
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


class JobRoles(Construct):
    """One role bakes and publishes, on named refs. The other reads, on every branch of the same projects.

    The first has the publisher's rights itself: a session of a role that is assumed by a role ends after an hour.
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
    ) -> None:
        super().__init__(scope, name)
        host = urlsplit(gitlab_url).netloc
        provider = IamOpenidConnectProvider(self, "gitlab", url=gitlab_url, client_id_list=[AUDIENCE])
        audience, claim = {f"{host}:aud": AUDIENCE}, f"{host}:sub"
        bucket, keys = distribution.catalog_bucket_arn, distribution.key_arns
        bake = _JobRole(
            self,
            "bake",
            title=publisher.bake_name(environment),
            about=f"Bakes and publishes machine images of {environment.name}",
            provider_arn=provider.arn,
            conditions={"StringEquals": {**audience, claim: [_ref_subject(subject) for subject in oidc.subjects]}},
            rights=[
                *publisher.publishing_rights(environment, bucket, list(keys.values())),
                *(builder.build_rights(environment) if oidc.builds_in_aws else []),
                *registry.push_rights(repository_arn),
            ],
        )
        check = _JobRole(
            self,
            "check",
            title=publisher.check_name(environment),
            about=f"Reads machine images of {environment.name}",
            provider_arn=provider.arn,
            conditions={"StringEquals": audience, "StringLike": {claim: _any_branch(oidc.subjects)}},
            rights=_check_rights(environment, bucket, keys[environment.home_region]),
        )
        self.bake_arn, self.check_arn = bake.arn, check.arn


class _JobRole(Construct):
    """A role for ID tokens. AWS reads only `aud` and `sub` of a token by GitLab, so `conditions` use these."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        title: str,
        about: str,
        provider_arn: str,
        conditions: Conditions,
        rights: Sequence[Statement],
    ) -> None:
        super().__init__(scope, name)
        trust = {
            "Sid": "Jobs",
            "Effect": "Allow",
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Principal": {"Federated": provider_arn},
            "Condition": conditions,
        }
        role = IamRole(
            self,
            "role",
            name=title,
            description=about,
            assume_role_policy=policy_document(trust),
            max_session_duration=publisher.SESSION_SECONDS,
        )
        IamRolePolicy(self, "policy", name="jobs", role=role.id, policy=policy_document(*rights))
        self.arn: str = role.arn


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
    through_s3: Conditions = {"StringEquals": {"kms:ViaService": f"s3.{home}.{dns_suffix(home)}"}}
    region: Conditions = {"StringEquals": {"aws:RequestedRegion": environment.regions}}
    templates = ["ec2:DescribeImages", "ec2:DescribeLaunchTemplates", "ec2:DescribeLaunchTemplateVersions"]
    return [
        statement("List", ["s3:ListBucket"], [bucket_arn, state]),
        statement("Read", ["s3:GetObject"], objects),
        statement("CatalogKey", ["kms:Decrypt"], [key_arn], conditions=through_s3),
        statement("Pointers", ["ssm:GetParameter"], publisher.pointer_arns(environment)),
        statement("Templates", templates, ["*"], conditions=region),
    ]
