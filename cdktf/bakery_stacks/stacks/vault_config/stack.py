"""The stack for the content of Vault: engines, logins, policies, audit devices. It holds no secret and needs none.

The provider logs in with VAULT_TOKEN from the environment. The cluster is another stack: it has to answer before this
one can be deployed, and each can be destroyed without the other.
"""

from cdktf_cdktf_provider_vault.audit import Audit
from cdktf_cdktf_provider_vault.provider import VaultProvider
from cdktf_cdktf_provider_vault.raft_autopilot import RaftAutopilot
from constructs import Construct

from bakery_stacks.base import BakeryStack
from bakery_stacks.config import Settings, dns_suffix
from bakery_stacks.stacks.vault_config.engines import (
    AwsCredentials,
    AzureCredentials,
    KvSecrets,
    SigningEngine,
)
from bakery_stacks.stacks.vault_config.logins import GitLabDuties, SnapshotLogin
from bakery_stacks.stacks.vault_config.settings import Autopilot, VaultConfig, to_seconds


class VaultConfigStack(BakeryStack):
    """An administrator of Vault deploys this stack (vault/administrator.hcl): it grants the rights of pipelines."""

    def __init__(self, scope: Construct, settings: Settings, section: VaultConfig) -> None:
        super().__init__(scope, "vault-config", settings)
        region = self.environment.home_region
        sts_endpoint = f"https://sts.{region}.{dns_suffix(region)}"
        # A child token would need one more right, and only helps with leases, which this stack does not use.
        VaultProvider(self, "vault", address=section.address, skip_child_token=True)
        add_audit_devices(self, section.audit_log)
        KvSecrets(self, "secret", lifecycle=self.data_lifecycle())
        signatures = SigningEngine(self, "transit", lifecycle=self.data_lifecycle())
        duties = GitLabDuties(self, "gitlab", gitlab=section.gitlab)
        if section.aws:
            credentials = AwsCredentials(self, "aws", engine=section.aws, region=region, sts=sts_endpoint)
            self.output("aws_credentials", credentials.roles, "paths for `credentials` of definitions")
        if section.azure:
            AzureCredentials(self, "azure", engine=section.azure)
        if section.autopilot:
            set_autopilot(self, section.autopilot)
        if section.snapshot_role_arn:
            SnapshotLogin(
                self,
                "snapshot",
                environment=self.environment,
                address=section.address,
                role_arn=section.snapshot_role_arn,
                sts=sts_endpoint,
            )
        self.output("duties", duties.roles, "duty -> role at auth/jwt: `VAULT_ROLE` of a job")
        self.output("signing_keys", signatures.keys, "duty -> key at transit/ that signs what its jobs make")
        self.output(
            "public_keys", signatures.public_keys, "duty -> public keys by version, to check signatures without Vault"
        )


def add_audit_devices(stack: BakeryStack, log: str) -> None:
    """Vault stops serving if no device accepts its entries, and these two do not fail together.

    The second one writes to the journal, which deletes old entries; the file is rotated, and an alarm watches its disk.
    """
    Audit(stack, "audit-file", type="file", path="file", options={"file_path": log}, description="Kept on the machine")
    Audit(
        stack,
        "audit-stdout",
        type="file",
        path="stdout",
        options={"file_path": "stdout"},
        description="The machine's journal",
    )


def set_autopilot(stack: BakeryStack, autopilot: Autopilot) -> None:
    """A dead server counts as a voter until it is removed, so that live servers can lose their majority."""
    RaftAutopilot(
        stack,
        "autopilot",
        cleanup_dead_servers=True,
        # The size of the cluster: a dead server is removed when its replacement votes, not before.
        min_quorum=autopilot.nodes,
        dead_server_last_contact_threshold=go_duration(to_seconds(autopilot.dead_after)),
    )


def go_duration(total: int) -> str:
    """Seconds in the form that Vault returns, or each plan would show a change: 600 -> 10m0s."""
    hours, minutes = divmod(total // 60, 60)
    return f"{hours}h{minutes}m{total % 60}s" if hours else f"{minutes}m{total % 60}s"
