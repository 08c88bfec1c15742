"""Vault's engines: secrets, the keys that sign documents, credentials of clouds for one job."""

from cdktf import TerraformResourceLifecycle
from cdktf_cdktf_provider_vault.aws_secret_backend import AwsSecretBackend
from cdktf_cdktf_provider_vault.aws_secret_backend_role import AwsSecretBackendRole
from cdktf_cdktf_provider_vault.azure_secret_backend import AzureSecretBackend
from cdktf_cdktf_provider_vault.azure_secret_backend_role import AzureSecretBackendRole
from cdktf_cdktf_provider_vault.mount import Mount
from cdktf_cdktf_provider_vault.transit_secret_backend_key import TransitSecretBackendKey
from constructs import Construct

from bakery_stacks.stacks.vault_config.duties import PREFIX
from bakery_stacks.stacks.vault_config.settings import AssumedRole, AwsEngine, AzureEngine, Duty, to_seconds

SIGNERS: tuple[Duty, ...] = ("bake-private", "bake-public", "verify", "publish")  # duties that sign what they make


class KvSecrets(Construct):
    """Version 2 of the KV engine at secret/. People write its content, and Terraform has none of it."""

    def __init__(self, scope: Construct, name: str, *, lifecycle: TerraformResourceLifecycle | None) -> None:
        super().__init__(scope, name)
        Mount(
            self,
            "kv",
            path="secret",
            type="kv",
            options={"version": "2"},
            description="Secrets of images and targets",
            lifecycle=lifecycle,
        )


class SigningEngine(Construct):
    """The transit engine with a key for each duty that signs. No key leaves Vault."""

    def __init__(self, scope: Construct, name: str, *, lifecycle: TerraformResourceLifecycle | None) -> None:
        super().__init__(scope, name)
        mount = Mount(
            self,
            "transit",
            path="transit",
            type="transit",
            description="Signatures of documents",
            lifecycle=lifecycle,
        )
        keys = {duty: self._make_key(mount.path, duty, lifecycle) for duty in SIGNERS}
        self.keys = {duty: key.name for duty, key in keys.items()}
        self.public_keys = {duty: f"${{{key.fqn}.keys}}" for duty, key in keys.items()}

    def _make_key(
        self, backend: str, duty: Duty, lifecycle: TerraformResourceLifecycle | None
    ) -> TransitSecretBackendKey:
        return TransitSecretBackendKey(
            self,
            f"key-{duty}",
            backend=backend,
            name=f"{PREFIX}{duty}",
            type="ed25519",
            exportable=False,
            allow_plaintext_backup=False,
            # If Terraform refuses destroy, Vault also refuses every request to delete the key.
            deletion_allowed=lifecycle is None,
            lifecycle=lifecycle,
        )


class AwsCredentials(Construct):
    """The AWS engine, with a role of Vault for each role of AWS. It needs no key: Vault's machines have a role."""

    def __init__(self, scope: Construct, name: str, *, engine: AwsEngine, region: str, sts: str) -> None:
        super().__init__(scope, name)
        backend = AwsSecretBackend(
            self,
            "aws",
            path="aws",
            description="Credentials of AWS",
            region=region,
            # The endpoint of the region: a VPC with endpoints only cannot reach the global one.
            sts_endpoint=sts,
            sts_region=region,
        )
        self.roles = [
            self._make_role(backend.path, "bake", engine.bake),
            self._make_role(backend.path, "publish", engine.publish),
            self._make_role(backend.path, "apply", engine.apply),
        ]

    def _make_role(self, backend: str, name: str, role: AssumedRole) -> str:
        """The path of the credentials."""
        AwsSecretBackendRole(
            self,
            name,
            backend=backend,
            name=name,
            credential_type="assumed_role",
            role_arns=[role.role_arn],
            default_sts_ttl=to_seconds(role.ttl),
            max_sts_ttl=to_seconds(role.ttl),
        )
        return f"aws/sts/{name}"


class AzureCredentials(Construct):
    """The Azure engine and, once it can log in, a role whose client secrets end with the job."""

    def __init__(self, scope: Construct, name: str, *, engine: AzureEngine) -> None:
        super().__init__(scope, name)
        backend = AzureSecretBackend(
            self,
            "azure",
            path="azure",
            description="Credentials of Azure",
            tenant_id=engine.tenant,
            subscription_id=engine.subscription,
            client_id=engine.client_id,
            identity_token_audience=engine.identity_token_audience,
        )
        if engine.application_object_id:
            AzureSecretBackendRole(
                self,
                "bake",
                backend=backend.path,
                role="bake",
                application_object_id=engine.application_object_id,
                ttl=f"{to_seconds(engine.ttl)}",
                max_ttl=f"{to_seconds(engine.ttl)}",
                # Without it, Azure accepts the secret for ten years if Vault cannot remove it.
                explicit_max_ttl=f"{to_seconds(engine.ttl)}",
            )
