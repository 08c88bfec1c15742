"""The base of every stack: a state of its own with a lock, one provider per region, tags, and the rules."""

from collections.abc import Sequence
from typing import Any

from cdktf import Aspects, S3Backend, TerraformOutput, TerraformResourceLifecycle, TerraformStack
from cdktf_cdktf_provider_aws.provider import AwsProvider, AwsProviderAssumeRole, AwsProviderDefaultTags
from constructs import Construct

from bakery_stacks import rules
from bakery_stacks.boundary import PermissionsBoundary
from bakery_stacks.config import Settings, aws_partition
from bakery_stacks.stacks.consumer.settings import Consumer

TERRAFORM = ">= 1.10"  # the first release whose S3 backend locks by itself (use_lockfile)


class BakeryStack(TerraformStack):
    """A stack of one environment, named like its state key. A violated rule fails the synth."""

    def __init__(self, scope: Construct, name: str, settings: Settings) -> None:
        super().__init__(scope, name)
        self.settings = settings
        self.environment = settings.environment
        self.name = name
        self._add_backend()
        Aspects.of(self).add(rules.Check(disposable=self.environment.disposable))

    @property
    def tags(self) -> dict[str, str]:
        """Tags for every resource. An Auto Scaling group must pass them on to the machines that it starts."""
        return {**self.environment.tags, "bakery:environment": self.environment.name, "bakery:stack": self.name}

    def output(self, name: str, value: Any, description: str) -> None:
        """Add an output, which docs/reference/stacks.md lists."""
        TerraformOutput(self, name, value=value, description=description)

    def data_lifecycle(self, *, ignore: Sequence[str] = ()) -> TerraformResourceLifecycle | None:
        """The lifecycle of data: Terraform refuses to destroy it unless the environment is disposable."""
        if self.environment.disposable and not ignore:
            return None
        return TerraformResourceLifecycle(
            prevent_destroy=not self.environment.disposable or None, ignore_changes=list(ignore) or None
        )

    def _add_backend(self) -> None:
        state = self.environment.state
        S3Backend(
            self,
            bucket=state.bucket,
            key=f"{state.prefix}/{self.name}.tfstate",
            region=self.environment.home_region,
            encrypt=True,
            allowed_account_ids=[self.environment.account],
            use_path_style=True if self.settings.stand_in else None,
        )
        # cdktf 0.21 has no argument for these two.
        self.add_override("terraform.backend.s3.use_lockfile", True)
        self.add_override("terraform.required_version", TERRAFORM)


class AwsStack(BakeryStack):
    """A stack in one AWS account; the home region's provider is the default one.

    In a consumer's account, Terraform assumes a role. The state stays with the others, and is read and written with the
    credentials of the run.
    """

    def __init__(self, scope: Construct, name: str, settings: Settings, consumer: Consumer | None = None) -> None:
        super().__init__(scope, name, settings)
        self._providers: dict[str, AwsProvider] = {}
        self._consumer = consumer
        self.account = (consumer or self.environment).account
        self.provider(self.environment.home_region)
        if boundary := (consumer or self.environment).permissions_boundary:
            Aspects.of(self).add(PermissionsBoundary(boundary))

    def provider(self, region: str) -> AwsProvider:
        """The provider of a region, created on first use."""
        if region not in self._providers:
            self._providers[region] = self._make_provider(region)
        return self._providers[region]

    def _make_provider(self, region: str) -> AwsProvider:
        return AwsProvider(
            self,
            f"aws-{region}",
            region=region,
            alias=None if region == self.environment.home_region else region,
            allowed_account_ids=[self.account],  # credentials of another account change nothing
            assume_role=self._assume_role(),
            default_tags=[AwsProviderDefaultTags(tags=self.tags)],
            s3_use_path_style=True if self.settings.stand_in else None,
        )

    def _assume_role(self) -> list[AwsProviderAssumeRole] | None:
        """The role that Terraform assumes; none in the environment's own account."""
        if self._consumer is None:
            return None
        home = aws_partition(self.environment.home_region)
        arn = f"arn:{home}:iam::{self.account}:role/{self._consumer.deploy_role}"
        return [AwsProviderAssumeRole(role_arn=arn, session_name=f"bakery-{self.environment.name}")]
