"""The stack vault-config, synthesised for a real Vault of a test and put on it by the provider's stand-in."""

import json
from pathlib import Path
from typing import Any

from bakery.demo.stand_ins.vault import VaultServer
from bakery_stacks.config import Environment, Settings, State
from bakery_stacks.program import new_app
from bakery_stacks.stacks.vault_config.settings import AssumedRole, AwsEngine, AzureEngine, GitLab, VaultConfig
from bakery_stacks.stacks.vault_config.stack import VaultConfigStack
from doubles import gitlab
from doubles.aws.client import HOME_REGION
from doubles.azure import world
from doubles.vault_provider import VaultProvider
from integration.duties import APPLY_ROLE, AUDIENCE, BAKE_ROLE, IMAGES_ACCOUNT, PUBLISH_ROLE, administer

AZURE = AzureEngine(tenant=world.TENANT, subscription=world.SUBSCRIPTION, client_id=world.VAULT_ID)


def section(address: str, ci: gitlab.GitLab, folder: Path, **change: Any) -> VaultConfig:
    """For one project of a GitLab; the audit device's file is in the folder."""
    return VaultConfig(
        address=address,
        gitlab=GitLab(url=ci.url, project_id="7", audience=AUDIENCE),
        audit_log=str(folder / "audit.log"),
        aws=AwsEngine(
            bake=AssumedRole(role_arn=BAKE_ROLE),
            publish=AssumedRole(role_arn=PUBLISH_ROLE),
            apply=AssumedRole(role_arn=APPLY_ROLE),
        ),
    ).model_copy(update=change)


def synthesise(found: VaultConfig, outdir: Path) -> dict[str, Any]:
    """The stack as Terraform gets it."""
    environment = Environment(
        name="tested",
        account=IMAGES_ACCOUNT,
        home_region=HOME_REGION,
        regions=(HOME_REGION,),
        catalog="s3://tested-catalog/catalog",
        channel="stable",
        state=State(bucket="tested-state", prefix="tested"),
        topic="images",
        vault_config=found,
    )
    app = new_app(outdir)
    VaultConfigStack(app, Settings(environment, environment.catalog, stand_in=False), found)
    app.synth()
    return dict(_plain(json.loads((outdir / "stacks" / "vault-config" / "cdk.tf.json").read_bytes())))


def take_away_kv(server: VaultServer) -> None:
    """A server in dev mode has an engine at secret/ to begin with; a real one has not."""
    server.client.sys.disable_secrets_engine("secret")


def deploy_with_clouds(server: VaultServer, ci: gitlab.GitLab, folder: Path) -> VaultProvider:
    """As docs/how-to/configure-vault.md says for Azure: the engine, Vault's own secret by hand, and then the role."""
    take_away_kv(server)
    provider = VaultProvider(server.client)
    provider.apply(synthesise(section(server.address, ci, folder, azure=AZURE), folder / "first"))
    administer(server, "vault", "write", "azure/config", "client_secret=-", stdin=world.VAULT_SECRET)
    engine = AZURE.model_copy(update={"application_object_id": world.APPLICATION})
    provider.apply(synthesise(section(server.address, ci, folder, azure=engine), folder / "second"))
    return provider


def _plain(node: Any) -> Any:
    """Without cdktf's own remarks."""
    if isinstance(node, dict):
        return {key: _plain(value) for key, value in node.items() if key != "//"}
    return [_plain(item) for item in node] if isinstance(node, list) else node
