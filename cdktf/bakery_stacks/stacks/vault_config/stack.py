"""The stack for what is in Vault: engines, logins, policies, audit devices. It holds no secret and needs none.

The provider logs in with VAULT_TOKEN from the environment. The cluster is another stack: this one needs its address to
answer, and one must be able to go without the other.
"""

from cdktf_cdktf_provider_vault.audit import Audit
from cdktf_cdktf_provider_vault.provider import VaultProvider
from cdktf_cdktf_provider_vault.raft_autopilot import RaftAutopilot
from constructs import Construct

from bakery_stacks.base import BakeryStack
from bakery_stacks.config import Settings, partition
from bakery_stacks.stacks.vault_config.engines import (
    SIGNING_KEY,
    AwsCredentials,
    AzureCredentials,
    KeptSecrets,
    Signatures,
)
from bakery_stacks.stacks.vault_config.logins import GitLabDuties, SnapshotLogin
from bakery_stacks.stacks.vault_config.settings import Autopilot, VaultConfig, seconds

DNS = {"aws-cn": "amazonaws.com.cn"}  # partition -> domain of its endpoints, where it is not AWS's usual one


class VaultConfigStack(BakeryStack):
    """Deployed by an administrator of Vault (vault/administrator.hcl), never by a pipeline: it says what those may."""

    def __init__(self, scope: Construct, settings: Settings, section: VaultConfig) -> None:
        super().__init__(scope, "vault-config", settings)
        # A child of the administrator's token would need one more right, and guards leases, of which there are none.
        VaultProvider(self, "vault", address=section.address, skip_child_token=True)
        self._audit(section.audit_log)
        KeptSecrets(self, "secret", lifecycle=self.keep())
        signatures = Signatures(self, "transit", lifecycle=self.keep())
        duties = GitLabDuties(self, "gitlab", gitlab=section.gitlab)
        self._clouds(section)
        if section.autopilot:
            self._autopilot(section.autopilot)
        if section.snapshot_role_arn:
            self._snapshots(section.address, section.snapshot_role_arn)
        self.output("duties", duties.roles, "duty -> role at auth/jwt: `VAULT_ROLE` of a job")
        self.output("signing_key", f"transit/keys/{SIGNING_KEY}", "what manifests are signed with")
        self.output("public_keys", signatures.public_keys, "its versions: they check signatures without Vault")

    def _audit(self, log: str) -> None:
        """Vault stops to serve when no device takes its entries, and these two do not fail together.

        The journal, which has the second one, makes room for itself; the file is rotated, and its disk is watched.
        """
        Audit(
            self, "audit-file", type="file", path="file", options={"file_path": log}, description="Kept on the machine"
        )
        Audit(
            self,
            "audit-stdout",
            type="file",
            path="stdout",
            options={"file_path": "stdout"},
            description="The machine's journal",
        )

    def _clouds(self, section: VaultConfig) -> None:
        if section.aws:
            aws = AwsCredentials(
                self, "aws", engine=section.aws, region=self.environment.home_region, sts=self._sts_endpoint
            )
            self.output("aws_credentials", aws.roles, "paths for `credentials` of definitions")
        if section.azure:
            AzureCredentials(self, "azure", engine=section.azure)

    def _autopilot(self, autopilot: Autopilot) -> None:
        """A dead server counts as a voter until it is removed: two of them, and three live ones have no majority."""
        RaftAutopilot(
            self,
            "autopilot",
            cleanup_dead_servers=True,
            # Never below the cluster's size: a dead server goes when its replacement votes, not before.
            min_quorum=autopilot.nodes,
            dead_server_last_contact_threshold=_go(seconds(autopilot.dead_after)),
        )

    def _snapshots(self, address: str, role_arn: str) -> None:
        SnapshotLogin(
            self,
            "snapshot",
            environment=self.environment,
            address=address,
            role_arn=role_arn,
            sts=self._sts_endpoint,
        )

    @property
    def _sts_endpoint(self) -> str:
        region = self.environment.home_region
        return f"https://sts.{region}.{DNS.get(partition(region), 'amazonaws.com')}"


def _go(total: int) -> str:
    """Seconds as Vault writes them back, or each plan would show a change: 600 -> 10m0s."""
    hours, minutes = divmod(total // 60, 60)
    return f"{hours}h{minutes}m{total % 60}s" if hours else f"{minutes}m{total % 60}s"
