"""A registry for one container image: a tag never changes, what is pushed is scanned."""

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

UNTAGGED_DAYS = 7  # a layer without a tag is what a push left that did not end
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

LOG_IN = ["ecr:GetAuthorizationToken"]  # which is for all of the account's registry
PULL = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
# ECR, "IAM permissions for pushing an image".
PUSH = [
    *("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload"),
    *("ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"),
]


class Registry(Construct):
    """An ECR repository; in a disposable environment it goes with all that is in it."""

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
    """Where the account's repositories are in the home region."""
    home = environment.home_region
    return f"{environment.account}.dkr.ecr.{home}.{dns_suffix(home)}"


def pull_rights(repository_arn: str) -> list[Statement]:
    """For the manager, which logs in for its workers."""
    return [statement("RegistryLogin", LOG_IN, ["*"]), statement("RegistryPull", PULL, [repository_arn])]


def push_rights(repository_arn: str) -> list[Statement]:
    """For the job that builds the container image."""
    return [statement("RegistryLogin", LOG_IN, ["*"]), statement("RegistryPush", PUSH, [repository_arn])]
