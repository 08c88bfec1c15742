"""A registry for one container image, with immutable tags and a scan of each push."""

import json

from cdktf import TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.ecr_lifecycle_policy import EcrLifecyclePolicy
from cdktf_cdktf_provider_aws.ecr_repository import (
    EcrRepository,
    EcrRepositoryEncryptionConfiguration,
    EcrRepositoryImageScanningConfiguration,
)
from constructs import Construct

from bakery_stacks.blocks.policy import Statement, statement
from bakery_stacks.config import Environment, dns_suffix

UNTAGGED_DAYS = 7  # a failed push leaves layers without a tag
UNTAGGED = {
    "rulePriority": 1,
    "description": "Images without a tag",
    "selection": {
        "tagStatus": "untagged",
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": UNTAGGED_DAYS,
    },
    "action": {"type": "expire"},
}

LOG_IN = ["ecr:GetAuthorizationToken"]  # a right on the whole registry of the account
PULL = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
# ECR, "IAM permissions for pushing an image".
PUSH = [
    *("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload"),
    *("ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"),
]


class Registry(Construct):
    """An ECR repository. A disposable environment deletes it with its images."""

    def __init__(self, scope: Construct, name: str, *, environment: Environment, repository: str, key_arn: str) -> None:
        super().__init__(scope, name)
        resource = EcrRepository(
            self,
            "repository",
            name=repository,
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration=EcrRepositoryImageScanningConfiguration(scan_on_push=True),
            encryption_configuration=[EcrRepositoryEncryptionConfiguration(encryption_type="KMS", kms_key=key_arn)],
            force_delete=environment.disposable,
            lifecycle=None if environment.disposable else TerraformResourceLifecycle(prevent_destroy=True),
        )
        EcrLifecyclePolicy(self, "expiry", repository=resource.name, policy=json.dumps({"rules": [UNTAGGED]}))
        self.url: str = resource.repository_url
        self.arn: str = resource.arn


def registry_host(environment: Environment) -> str:
    """The host of the account's repositories in the home region."""
    home = environment.home_region
    return f"{environment.account}.dkr.ecr.{home}.{dns_suffix(home)}"


def pull_rights(repository_arn: str) -> list[Statement]:
    """The rights of the manager, which logs in for its workers."""
    return [statement("RegistryLogin", LOG_IN, ["*"]), statement("RegistryPull", PULL, [repository_arn])]


def push_rights(repository_arn: str) -> list[Statement]:
    """The rights of the job that builds the container image."""
    return [statement("RegistryLogin", LOG_IN, ["*"]), statement("RegistryPush", PUSH, [repository_arn])]
