"""Logins to Vault: GitLab's jobs for their duties, and the machines that take snapshots."""

from urllib.parse import urlsplit

from cdktf_cdktf_provider_vault.auth_backend import AuthBackend
from cdktf_cdktf_provider_vault.aws_auth_backend_client import AwsAuthBackendClient
from cdktf_cdktf_provider_vault.aws_auth_backend_role import AwsAuthBackendRole
from cdktf_cdktf_provider_vault.jwt_auth_backend import JwtAuthBackend
from cdktf_cdktf_provider_vault.jwt_auth_backend_role import JwtAuthBackendRole
from cdktf_cdktf_provider_vault.policy import Policy
from constructs import Construct

from bakery_stacks.config import Environment
from bakery_stacks.stacks.vault.settings import SNAPSHOT_ROLE
from bakery_stacks.stacks.vault_config import duties
from bakery_stacks.stacks.vault_config.duties import PREFIX
from bakery_stacks.stacks.vault_config.settings import Duty, GitLab, to_seconds

SNAPSHOT_SECONDS = 900  # enough for one snapshot; Vault streams some 100 MB/s


class GitLabDuties(Construct):
    """The JWT method with a role for each duty, and the policies of the roles."""

    def __init__(self, scope: Construct, name: str, *, gitlab: GitLab) -> None:
        super().__init__(scope, name)
        self._backend = JwtAuthBackend(
            self,
            "jwt",
            path="jwt",
            type="jwt",
            description="Jobs of GitLab",
            oidc_discovery_url=gitlab.url,
            oidc_discovery_ca_pem=gitlab.ca_pem,
            bound_issuer=gitlab.url,
        )
        self._policies: dict[str, str] = {}
        self.roles = {duty: self._make_role(duty, duties.duty_role(duty, gitlab)) for duty in gitlab.duties}

    def _make_role(self, duty: Duty, role: duties.Role) -> str:
        """The name of a duty's role."""
        resource = JwtAuthBackendRole(
            self,
            f"role-{duty}",
            backend=self._backend.path,
            role_name=f"{PREFIX}{duty}",
            role_type=role.role_type,
            user_claim=role.user_claim,
            bound_audiences=list(role.bound_audiences),
            bound_claims_type=role.bound_claims_type,
            bound_claims={claim: _one_text(values) for claim, values in role.bound_claims.items()},
            token_policies=[self._make_policy(name) for name in role.token_policies],
            token_no_default_policy=role.token_no_default_policy,
            token_ttl=to_seconds(role.token_ttl),
            token_explicit_max_ttl=to_seconds(role.token_explicit_max_ttl),
            token_type=role.token_type,
        )
        return resource.role_name

    def _make_policy(self, name: str) -> str:
        """A reference to the policy, created on first use. Terraform then creates it before the role."""
        if name not in self._policies:
            resource = Policy(
                self, f"policy-{name}", name=name, policy=duties.duty_policy(name, self._backend.accessor)
            )
            self._policies[name] = resource.name
        return self._policies[name]


class SnapshotLogin(Construct):
    """A role for machines that prove their IAM role by a signed call of STS. They need no secret."""

    def __init__(
        self, scope: Construct, name: str, *, environment: Environment, address: str, role_arn: str, sts: str
    ) -> None:
        super().__init__(scope, name)
        policy = Policy(self, "policy", name=SNAPSHOT_ROLE, policy=duties.snapshot_policy())
        backend = AuthBackend(self, "aws", type="aws", path="aws", description="Machines by their IAM role")
        AwsAuthBackendClient(
            self,
            "client",
            backend=backend.path,
            sts_endpoint=sts,
            sts_region=environment.home_region,
            # Vault refuses a call that was signed for another server.
            iam_server_id_header_value=urlsplit(address).hostname,
        )
        AwsAuthBackendRole(
            self,
            "role",
            backend=backend.path,
            role=SNAPSHOT_ROLE,
            auth_type="iam",
            bound_iam_principal_arns=[role_arn],
            # Roles are compared by name: to look up IDs, Vault would need a right in IAM and a connection to it.
            resolve_aws_unique_ids=False,
            token_policies=[policy.name],
            token_no_default_policy=True,
            token_ttl=SNAPSHOT_SECONDS,
            token_explicit_max_ttl=SNAPSHOT_SECONDS,
            token_type="service",  # noqa: S106 - a kind, no token
        )


def _one_text(values: str | tuple[str, ...]) -> str:
    """The claim as one text, which the provider splits at commas."""
    return values if isinstance(values, str) else ",".join(values)
