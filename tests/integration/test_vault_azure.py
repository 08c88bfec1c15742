"""Vault's Azure engine, the real one, set up as docs/how-to/log-in-from-gitlab.md says, in front of the Azure stand-in.

It cannot be told other addresses than those of Microsoft's own clouds, so that a proxy leads them to the stand-in.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from bakery.clouds import REMOTE
from bakery.clouds.azure.session import connect
from bakery.clouds.azure.settings import AzureDistribution
from bakery.demo.stand_ins.vault import VaultServer
from bakery.host.errors import BakeryError, OutageError
from doubles.azure import world
from doubles.azure.client import StandIn
from doubles.gitlab import GitLab, gitlab
from doubles.vault import vault_server
from integration.duties import azure_for_vault, job_token, login, set_up, set_up_azure

pytestmark = pytest.mark.integration

BAKE = "azure/creds/bake"
HOUR = 3600
PLACE = AzureDistribution(
    tenant=world.TENANT,
    subscription=world.SUBSCRIPTION,
    resource_group=world.RESOURCE_GROUP,
    gallery=world.GALLERY,
    regions=("westeurope",),
    storage_account=world.STORAGE_ACCOUNT,
    credentials=BAKE,
)


@dataclass(frozen=True)
class Engine:
    """A Vault whose Azure engine reaches nothing but the stand-in."""

    server: VaultServer
    azure: StandIn

    def passwords(self) -> list[datetime]:
        """When the secrets that the application has besides its own run out, asked as Vault does."""
        form = {"grant_type": "client_credentials", "client_id": world.VAULT_ID, "client_secret": world.VAULT_SECRET}
        scope = {"scope": "https://graph.microsoft.com/.default"}
        token = self._ask("POST", f"{world.TENANT}/oauth2/v2.0/token", data=form | scope)["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        found = self._ask("GET", f"v1.0/applications/{world.APPLICATION}", headers=headers)
        return [datetime.fromisoformat(password["endDateTime"]) for password in found["passwordCredentials"]]

    def _ask(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        answer = requests.request(
            method, f"{self.azure.url}/{path}", verify=str(self.azure.certificate), timeout=30, **request
        )
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture(scope="module")
def ci() -> Iterator[GitLab]:
    with gitlab() as found:
        yield found


@pytest.fixture(scope="module")
def engine(ci: GitLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("azure")
    with azure_for_vault(folder) as (azure, env), vault_server(folder / "vault", env=env) as server:
        set_up(server, ci)
        set_up_azure(server)
        yield Engine(server, azure)


@pytest.fixture
def azure(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """The stand-in as at its start, where the environment leads every client, with no login of its own."""
    engine.azure.control("POST", "reset")
    for name in [name for name in os.environ if name.startswith(("AZURE_", "VAULT_"))]:
        monkeypatch.delenv(name)
    for name, value in engine.azure.environment().items():
        monkeypatch.setenv(name, value)
    return engine.azure


def log_in(fields: Mapping[str, str]) -> str:
    """As publishing does, up to the first answer: the gallery's name."""
    session = connect(PLACE, fields)
    return str(session.compute.galleries.get(world.RESOURCE_GROUP, world.GALLERY).name)


@pytest.mark.parametrize("duty", ["bake-public", "publish"])
def test_a_duty_logs_in_with_a_secret_that_was_made_for_it(
    engine: Engine, azure: StandIn, ci: GitLab, duty: str
) -> None:
    with login(engine.server, duty, job_token(ci, duty)) as vault:
        fields = vault.fields(BAKE)
        assert set(fields) == {"client_id", "client_secret"}
        assert fields["client_id"] == world.CLIENT_ID
        assert fields["client_secret"].startswith("canary-")
        assert log_in(fields) == world.GALLERY
    assert azure.calls().count("Applications_AddPassword") == 1


def test_packer_gets_it_by_its_environment(engine: Engine, azure: StandIn, ci: GitLab) -> None:
    with login(engine.server, "bake-public", job_token(ci, "bake-public")) as vault:
        fields = vault.fields(BAKE)
    secrets = {"PKR_VAR_client_id": fields["client_id"], "PKR_VAR_client_secret": fields["client_secret"]}
    assert REMOTE["azure"].environment(fields) == secrets


def test_the_secret_ends_with_the_session(engine: Engine, azure: StandIn, ci: GitLab) -> None:
    with login(engine.server, "publish", job_token(ci, "publish")) as vault:
        fields = vault.fields(BAKE)
        assert len(engine.passwords()) == 1
    for _ in range(50):  # Vault revokes the leases of a revoked token a moment later
        if not engine.passwords():
            break
        time.sleep(0.1)
    assert engine.passwords() == []
    with pytest.raises(Exception, match="AADSTS7000215"):
        log_in(fields)


def test_the_secret_runs_out_in_an_hour_whatever_becomes_of_vault(engine: Engine, azure: StandIn, ci: GitLab) -> None:
    with login(engine.server, "publish", job_token(ci, "publish")) as vault:
        vault.fields(BAKE)
        (ends,) = engine.passwords()
        (lease,) = engine.server.client.list(f"sys/leases/lookup/{BAKE}")["data"]["keys"]
        about = engine.server.client.sys.read_lease(f"{BAKE}/{lease}")["data"]
    assert (ends - datetime.now(UTC)).total_seconds() == pytest.approx(HOUR, abs=30)
    assert about["ttl"] == pytest.approx(HOUR, abs=30)


def test_an_azure_that_refuses(engine: Engine, azure: StandIn, ci: GitLab) -> None:
    azure.fault("Applications_AddPassword", error="Authorization_RequestDenied", status=403, times=100)
    with login(engine.server, "publish", job_token(ci, "publish")) as vault, pytest.raises(OutageError) as caught:
        vault.fields(BAKE)
    assert caught.value.message.startswith(f"Vault failed at {BAKE}: ")
    assert "error updating credentials" in caught.value.message


def test_a_duty_without_it(engine: Engine, azure: StandIn, ci: GitLab) -> None:
    with login(engine.server, "apply", job_token(ci, "apply")) as vault, pytest.raises(BakeryError, match="denies"):
        vault.fields(BAKE)
    assert "Applications_AddPassword" not in azure.calls()


def test_the_engine_knows_no_other_cloud_than_microsofts_own(engine: Engine, tmp_path: Path) -> None:
    """Which is why it takes a proxy here; should it change, the proxy can go."""
    wrong = {"tenant_id": "t", "subscription_id": "s", "environment": "StandIn"}
    answer = requests.post(
        f"{engine.server.address}/v1/azure/config",
        data=json.dumps(wrong),
        headers={"X-Vault-Token": engine.server.token},
        timeout=30,
    )
    assert answer.status_code == 400
    assert 'no cloud configuration matching the name \\"STANDIN\\"' in answer.text
