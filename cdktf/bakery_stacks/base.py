"""What every stack has: its own state with a lock, one provider per region, tags on everything."""

from typing import Any

from bakery_stacks.bindings import AwsProvider, AwsProviderDefaultTags, Construct, S3Backend, TerraformStack
from bakery_stacks.config import Settings

TERRAFORM = ">= 1.10"  # the first release whose S3 backend locks by itself (use_lockfile)


class BakeryStack(TerraformStack):
    """A stack of one environment, called like its state key."""

    def __init__(self, scope: Construct, name: str, settings: Settings) -> None:
        super().__init__(scope, name)
        self.settings = settings
        self.environment = settings.environment
        self._name = name
        self._providers: dict[str, AwsProvider] = {}
        self._keep_state()
        self.provider(self.environment.home_region)

    def provider(self, region: str) -> Any:
        """The provider of a region, made when first asked for; the home region's is the default one."""
        if region not in self._providers:
            self._providers[region] = self._make_provider(region)
        return self._providers[region]

    def _make_provider(self, region: str) -> AwsProvider:
        identity = {"bakery:environment": self.environment.name, "bakery:stack": self._name}
        return AwsProvider(
            self,
            f"aws-{region}",
            region=region,
            alias=None if region == self.environment.home_region else region,
            allowed_account_ids=[self.environment.account],  # the wrong credentials touch nothing
            default_tags=[AwsProviderDefaultTags(tags={**self.environment.tags, **identity})],
            s3_use_path_style=True if self.settings.stand_in else None,
        )

    def _keep_state(self) -> None:
        state = self.environment.state
        S3Backend(
            self,
            bucket=state.bucket,
            key=f"{state.prefix}/{self._name}.tfstate",
            region=self.environment.home_region,
            encrypt=True,
            allowed_account_ids=[self.environment.account],
            use_path_style=True if self.settings.stand_in else None,
        )
        # cdktf 0.21 knows neither setting.
        self.add_override("terraform.backend.s3.use_lockfile", True)
        self.add_override("terraform.required_version", TERRAFORM)
