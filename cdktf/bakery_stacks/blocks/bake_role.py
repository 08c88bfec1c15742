"""What CI jobs that bake become at AWS: GitLab signs who they are, and only named projects and refs get in."""

from typing import Any
from urllib.parse import urlsplit

from bakery_stacks.bindings import Construct, aws
from bakery_stacks.blocks import publisher
from bakery_stacks.blocks.policy import Conditions, document
from bakery_stacks.config import Environment
from bakery_stacks.handover import DistributionOutputs
from bakery_stacks.sections.runner import Oidc, Subject


class BakeRole(Construct):
    """The publisher's rights, not its role: a role that was taken by way of another one ends after an hour."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        environment: Environment,
        gitlab_url: str,
        oidc: Oidc,
        distribution: DistributionOutputs,
    ) -> None:
        super().__init__(scope, name)
        provider = aws.IamOpenidConnectProvider(self, "gitlab", url=gitlab_url, client_id_list=[oidc.audience])
        role = aws.IamRole(
            self,
            "role",
            name=publisher.bake_name(environment),
            description=f"Bakes and publishes machine images of {environment.name}",
            assume_role_policy=document(_trust(provider.arn, urlsplit(gitlab_url).netloc, oidc)),
            max_session_duration=publisher.SESSION_SECONDS,
        )
        keys = list(distribution.key_arns.values())
        policy = document(*publisher.rights(environment, distribution.catalog_bucket_arn, keys))
        aws.IamRolePolicy(self, "policy", name="publish", role=role.id, policy=policy)
        self.arn: str = role.arn


def _trust(provider_arn: str, host: str, oidc: Oidc) -> dict[str, Any]:
    """`aud` and `sub` are all that AWS reads of a token by GitLab."""
    subjects = [_subject(subject) for subject in oidc.subjects]
    conditions: Conditions = {"StringEquals": {f"{host}:aud": oidc.audience, f"{host}:sub": subjects}}
    return {
        "Sid": "Jobs",
        "Effect": "Allow",
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": provider_arn},
        "Condition": conditions,
    }


def _subject(subject: Subject) -> str:
    """As GitLab writes it, unless a project changed what its `sub` is made of."""
    return f"project_path:{subject.project}:ref_type:{subject.ref_type}:ref:{subject.ref}"
