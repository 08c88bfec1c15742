"""What the scripts of vault/ and the stack vault-config set up, on a real Vault: who may log in for which duty, and
what each duty may read. Both have to stand every test.

The engines that make credentials are the real ones too, in front of the stand-ins for AWS and Azure.
"""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from itertools import product
from typing import Any

import hvac
import pytest

from bakery.demo.stand_ins.vault import VaultServer
from bakery.host.errors import BakeryError
from doubles.aws.client import running
from doubles.gitlab import GitLab, gitlab
from doubles.vault import vault_server
from integration.duties import (
    AUDIENCE,
    FILES,
    azure_for_vault,
    log_in_at_aws,
    login,
    set_up,
    set_up_aws,
    set_up_azure,
)
from integration.vault_stack import deploy_with_clouds

pytestmark = pytest.mark.integration

IMAGE = "secret/data/bakery/web"
VSPHERE = "secret/data/bakery/targets/vsphere"
STATIC_AWS = "secret/data/bakery/targets/aws"
STATIC_AZURE = "secret/data/bakery/targets/azure"
REGISTRY = "secret/data/bakery/runner/registry"
WEBHOOK = "secret/data/bakery/notifications/chat"
AWS = "aws/sts/bake"
AZURE = "azure/creds/bake"
APPLY = "aws/sts/apply"
MAY_READ = {
    "validate": set(),
    "bake-private": {IMAGE, VSPHERE, WEBHOOK},
    "bake-public": {IMAGE, STATIC_AWS, STATIC_AZURE, AWS, AZURE, WEBHOOK},
    "publish": {VSPHERE, STATIC_AWS, STATIC_AZURE, AWS, AZURE, WEBHOOK},
    "apply": {APPLY},
    "runner-image": {REGISTRY},
}
SECRETS = (IMAGE, VSPHERE, STATIC_AWS, STATIC_AZURE, REGISTRY, WEBHOOK, AWS, AZURE, APPLY)
OTHERS = (
    "secret/data/other",
    "secret/data/bakery/web/deeper",
    "secret/data/bakery/targets/aws/deeper",
    "secret/data/bakery/runner/other",
    "secret/data/bakery/notifications/chat/deeper",
    "secret/metadata/bakery",
    "secret/metadata/bakery/web",
    "secret/delete/bakery/web",
    "aws/creds/bake",
    "aws/sts/other",
    "aws/config/root",
    "azure/creds/other",
    "auth/token/create",
    "auth/jwt/role/bakery-validate",
    "sys/policies/acl/bakery-bake-public",
    "sys/leases/lookup",
    "cubbyhole/mine",
)
OWN = {
    "auth/token/lookup-self": ["read"],
    "auth/token/revoke-self": ["update"],
    "sys/capabilities-self": ["update"],
}
SECONDS = {
    "validate": 900,
    "bake-private": 7200,
    "bake-public": 3600,
    "publish": 3600,
    "apply": 3600,
    "runner-image": 900,
}
OWN_LOGIN = ("access_key=AKIAVAULT", "secret_key=-")
BEYOND_VALIDATE = [duty for duty in MAY_READ if duty != "validate"]


@pytest.fixture(scope="module")
def ci() -> Iterator[GitLab]:
    with gitlab() as running:
        yield running


@pytest.fixture(scope="module", params=["scripts", "stack"])
def server(
    request: pytest.FixtureRequest, ci: GitLab, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VaultServer]:
    folder = tmp_path_factory.mktemp("vault")
    with azure_for_vault(folder) as (_, env), running() as aws, vault_server(folder, env=env) as found:
        if request.param == "scripts":
            set_up(found, ci)
            set_up_aws(found, aws, *OWN_LOGIN, stdin="vaults-own-secret")
            set_up_azure(found)
        else:
            deploy_with_clouds(found, ci, folder)
            log_in_at_aws(found, aws, *OWN_LOGIN, stdin="vaults-own-secret")
        for path in (*SECRETS, *OTHERS):
            if path.startswith("secret/data/"):
                found.put(path, {"key": "x"})
        yield found


def refusal(server: VaultServer, duty: str, token: str) -> str:
    with pytest.raises(BakeryError, match="Vault refused the JWT login") as caught:
        login(server, duty, token)
    return caught.value.detail


def role(server: VaultServer, duty: str) -> dict[str, Any]:
    found: dict[str, Any] = server.client.auth.jwt.read_role(f"bakery-{duty}")["data"]
    return found


@pytest.mark.parametrize("duty", MAY_READ)
def test_a_duty_reads_its_secrets_and_no_others(server: VaultServer, ci: GitLab, duty: str) -> None:
    read = set()
    with login(server, duty, ci.job(AUDIENCE)) as vault:
        for path in (*SECRETS, *OTHERS):
            try:
                vault.fields(path)
            except BakeryError as error:
                assert "Vault denies access" in error.message, path  # and not because nothing is there
            else:
                read.add(path)
    assert read == MAY_READ[duty]


@pytest.mark.parametrize("duty", MAY_READ)
def test_a_duty_may_nothing_but_read(server: VaultServer, ci: GitLab, duty: str) -> None:
    with login(server, duty, ci.job(AUDIENCE)) as vault:
        paths = [*SECRETS, *OTHERS, *OWN]
        found = server.client.sys.get_capabilities(paths, token=vault.token)["data"]
    expected = {path: ["read"] if path in MAY_READ[duty] else ["deny"] for path in (*SECRETS, *OTHERS)} | OWN
    assert {path: found[path] for path in paths} == expected


@pytest.mark.parametrize("duty", MAY_READ)
def test_a_token_ends_with_its_phase(server: VaultServer, ci: GitLab, duty: str) -> None:
    with login(server, duty, ci.job(AUDIENCE)) as vault:
        own = hvac.Client(url=server.address, token=vault.token)
        about = own.auth.token.lookup_self()["data"]
        with pytest.raises(hvac.exceptions.Forbidden):
            own.auth.token.renew_self()
    assert (about["explicit_max_ttl"], about["type"]) == (SECONDS[duty], "service")
    assert about["policies"] == sorted({"bakery-validate", f"bakery-{duty}"})
    with pytest.raises(hvac.exceptions.Forbidden, match="invalid token"):
        own.auth.token.lookup_self()


def test_a_project_is_one_entity_whoever_starts_the_job(server: VaultServer, ci: GitLab) -> None:
    entities = set()
    for duty, user in product(MAY_READ, ("ada", "grace")):
        with login(server, duty, ci.job(AUDIENCE, user_login=user)) as vault:
            about = hvac.Client(url=server.address, token=vault.token).auth.token.lookup_self()["data"]
            entities.add(about["entity_id"])
    assert len(entities) == 1


@pytest.mark.parametrize("duty", MAY_READ)
@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"audience": "https://elsewhere.example.com"}, "invalid audience (aud) claim"),
        ({"project_id": "8"}, 'claim "project_id" does not match'),
        ({"seconds": -400}, "token is expired"),  # Vault allows 150 s for clocks that differ
        ({"nbf": int(time.time()) + 86400}, "token not yet valid"),
        ({"iss": "https://gitlab.example.org"}, "invalid issuer (iss) claim"),
    ],
    ids=["audience", "project", "expired", "not-yet-valid", "issuer"],
)
def test_refused_for_every_duty(
    server: VaultServer, ci: GitLab, duty: str, claims: dict[str, Any], reason: str
) -> None:
    token = ci.job(**{"audience": AUDIENCE, **claims})
    detail = refusal(server, duty, token)
    assert reason in detail
    assert token not in detail


@pytest.mark.parametrize("duty", MAY_READ)
def test_a_key_that_is_not_gitlabs(server: VaultServer, ci: GitLab, duty: str) -> None:
    forged = GitLab(ci.url).job(AUDIENCE)
    assert "failed to verify id token signature" in refusal(server, duty, forged)


@pytest.mark.parametrize("duty", BEYOND_VALIDATE)
@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"ref": "feature", "ref_protected": "false"}, "ref_protected"),
        ({"ref": "v1", "ref_type": "tag"}, "ref_type"),
        # A merge request between two protected branches is protected itself, so it takes a rule of its own.
        ({"ref": "develop", "pipeline_source": "merge_request_event"}, "pipeline_source"),
        ({"ref": "feature", "ref_protected": "false", "pipeline_source": "merge_request_event"}, ""),
        ({"pipeline_source": "external_pull_request_event"}, "pipeline_source"),
        ({"ref_protected": 1}, "ref_protected"),
    ],
    ids=["unprotected", "tag", "merge-request", "unprotected-merge-request", "other-source", "not-text"],
)
def test_only_protected_branches_get_more_than_validate(
    server: VaultServer, ci: GitLab, duty: str, claims: dict[str, Any], reason: str
) -> None:
    token = ci.job(AUDIENCE, **claims)
    assert reason in refusal(server, duty, token)
    login(server, "validate", token).close()


@pytest.mark.parametrize("duty", BEYOND_VALIDATE)
@pytest.mark.parametrize("source", ["push", "web", "schedule", "api", "trigger"])
def test_every_way_to_start_a_pipeline_on_a_protected_branch(
    server: VaultServer, ci: GitLab, duty: str, source: str
) -> None:
    login(server, duty, ci.job(AUDIENCE, pipeline_source=source)).close()


def test_child_pipelines_bake_and_make_no_runner_image(server: VaultServer, ci: GitLab) -> None:
    token = ci.job(AUDIENCE, pipeline_source="parent_pipeline")
    for duty in BEYOND_VALIDATE:
        if duty != "runner-image":
            login(server, duty, token).close()
    assert "pipeline_source" in refusal(server, "runner-image", token)


def test_a_merge_request_from_a_fork(server: VaultServer, ci: GitLab) -> None:
    """It runs in our project, but its claims name the fork's."""
    token = ci.job(AUDIENCE, project_id="8", job_project_id="7", pipeline_source="merge_request_event")
    assert 'claim "project_id" does not match' in refusal(server, "validate", token)
    for duty in BEYOND_VALIDATE:
        refusal(server, duty, token)


def test_a_role_that_lost_its_audience(server: VaultServer, ci: GitLab) -> None:
    settings = json.loads((FILES / "duties" / "bake-private.json").read_text().replace("PROJECT_ID", "7"))
    del settings["bound_audiences"]
    server.client.write_data("auth/jwt/role/bakery-careless", data=settings)
    assert "audience" in refusal(server, "careless", ci.job(AUDIENCE))


def test_setting_up_again_mends_what_was_changed_by_hand(server: VaultServer, ci: GitLab) -> None:
    before = {duty: role(server, duty) for duty in MAY_READ}
    server.client.sys.create_or_update_policy("bakery-validate", 'path "*" { capabilities = ["read"] }')
    careless = {
        "role_type": "jwt",
        "bound_claims": {},
        "token_policies": ["bakery-publish"],
        "token_explicit_max_ttl": 0,
    }
    server.client.write_data("auth/jwt/role/bakery-apply", data=careless)
    assert role(server, "apply") != before["apply"]
    set_up(server, ci)
    assert {duty: role(server, duty) for duty in MAY_READ} == before
    with login(server, "validate", ci.job(AUDIENCE)) as vault, pytest.raises(BakeryError, match="denies"):
        vault.read(IMAGE, "key")


def test_setting_up_without_a_project_does_nothing() -> None:
    env = {"PATH": os.environ["PATH"], "GITLAB_URL": "https://gitlab.example.com", "VAULT_ADDR": "http://127.0.0.1:1"}
    done = subprocess.run([FILES / "set-up.sh"], env=env, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "PROJECT_ID: the number of the project" in done.stderr
