"""What the scripts of vault/ and the stack vault-config set up, on a real Vault: who may log in for which duty, and
what each duty may read. Both have to stand every test.

The engines that make credentials are the real ones too, in front of the stand-ins for AWS and Azure.
"""

import base64
import json
import os
import subprocess
import time
from collections.abc import Iterator
from itertools import permutations, product
from typing import Any

import hvac
import pytest

from bakery.demo.stand_ins.vault import VaultServer
from bakery.engine.duties import OF_AN_IMAGE
from bakery.host.errors import BakeryError
from doubles.aws.client import running
from doubles.gitlab import GitLab, gitlab
from doubles.vault import vault_server
from integration.duties import (
    AUDIENCE,
    FILES,
    azure_for_vault,
    job_token,
    log_in_at_aws,
    login,
    set_up,
    set_up_aws,
    set_up_azure,
)
from integration.vault_stack import deploy_with_clouds

pytestmark = pytest.mark.integration

IMAGE = "secret/data/bakery/web"
OTHER_IMAGE = "secret/data/bakery/app"
SHARED = "secret/data/bakery/shared/mirror"
VSPHERE = "secret/data/bakery/targets/vsphere"
STATIC_AWS = "secret/data/bakery/targets/aws"
BUILD_AWS = "secret/data/bakery/targets/aws-bake"
STATIC_AZURE = "secret/data/bakery/targets/azure"
REGISTRY = "secret/data/bakery/runner/registry"
PROPOSAL = "secret/data/bakery/runner/proposal"
WEBHOOK = "secret/data/bakery/notifications/chat"
BUILD = "aws/sts/bake"
AWS = "aws/sts/publish"
AZURE = "azure/creds/bake"
APPLY = "aws/sts/apply"
MAY_READ = {
    "validate": set(),
    "bake-private": {IMAGE, SHARED, VSPHERE, WEBHOOK},
    "bake-public": {IMAGE, SHARED, BUILD_AWS, STATIC_AZURE, BUILD, AZURE, WEBHOOK},
    "verify": {IMAGE, SHARED, WEBHOOK},
    "publish": {VSPHERE, STATIC_AWS, BUILD_AWS, STATIC_AZURE, AWS, AZURE, WEBHOOK},
    "apply": {APPLY},
    "runner-image": {REGISTRY, PROPOSAL},
}
SECRETS = (
    *(IMAGE, SHARED, VSPHERE, STATIC_AWS, BUILD_AWS, STATIC_AZURE, REGISTRY, PROPOSAL, WEBHOOK),
    *(BUILD, AWS, AZURE, APPLY),
)
SIGNERS = ("bake-private", "bake-public", "verify", "publish")
OTHERS = (
    OTHER_IMAGE,
    "secret/data/other",
    "secret/data/bakery/shared/mirror/deeper",
    "secret/data/bakery/shared",
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
    "transit/export/signing-key/bakery-publish",
    "transit/keys/bakery-publish/rotate",
)
OWN = {
    "auth/token/lookup-self": ["read"],
    "auth/token/revoke-self": ["update"],
    "sys/capabilities-self": ["update"],
    **{f"transit/keys/bakery-{duty}": ["read"] for duty in SIGNERS},
}
SECONDS = {
    "validate": 900,
    "bake-private": 7200,
    "bake-public": 3600,
    "verify": 7200,
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
    with login(server, duty, job_token(ci, duty)) as vault:
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
    with login(server, duty, job_token(ci, duty)) as vault:
        paths = [*SECRETS, *OTHERS, *OWN]
        found = server.client.sys.get_capabilities(paths, token=vault.token)["data"]
    expected = {path: ["read"] if path in MAY_READ[duty] else ["deny"] for path in (*SECRETS, *OTHERS)} | OWN
    signs = {f"transit/sign/bakery-{signer}": ["update" if signer == duty else "deny"] for signer in SIGNERS}
    with login(server, duty, job_token(ci, duty)) as vault:
        assert server.client.sys.get_capabilities([*signs], token=vault.token)["data"].items() >= signs.items()
    assert {path: found[path] for path in paths} == expected


@pytest.mark.parametrize("duty", MAY_READ)
def test_a_token_ends_with_its_phase(server: VaultServer, ci: GitLab, duty: str) -> None:
    with login(server, duty, job_token(ci, duty)) as vault:
        own = hvac.Client(url=server.address, token=vault.token)
        about = own.auth.token.lookup_self()["data"]
        with pytest.raises(hvac.exceptions.Forbidden):
            own.auth.token.renew_self()
    assert (about["explicit_max_ttl"], about["type"]) == (SECONDS[duty], "service")
    assert about["policies"] == sorted({"bakery-validate", f"bakery-{duty}"})
    with pytest.raises(hvac.exceptions.Forbidden, match="invalid token"):
        own.auth.token.lookup_self()


def entity_of(server: VaultServer, duty: str, token: str) -> str:
    with login(server, duty, token) as vault:
        found: str = hvac.Client(url=server.address, token=vault.token).auth.token.lookup_self()["data"]["entity_id"]
        return found


def test_a_project_is_one_entity_per_image_and_one_for_the_rest_whoever_starts_the_job(
    server: VaultServer, ci: GitLab
) -> None:
    images: set[str] = set()
    rest: set[str] = set()
    for duty, user in product(MAY_READ, ("ada", "grace")):
        entity = entity_of(server, duty, job_token(ci, duty, user_login=user))
        (images if duty in OF_AN_IMAGE else rest).add(entity)
    assert (len(images), len(rest)) == (1, 1)
    assert entity_of(server, "verify", job_token(ci, "verify", "app")) not in images | rest


@pytest.mark.parametrize("duty", OF_AN_IMAGE)
def test_a_job_reads_the_secrets_of_its_own_image_also_while_others_log_in(
    server: VaultServer, ci: GitLab, duty: str
) -> None:
    """A claim that Vault kept per project would be that of whoever logged in last."""
    with login(server, duty, job_token(ci, duty, "web")) as web, login(server, duty, job_token(ci, duty, "app")) as app:
        for vault, own, other in ((web, IMAGE, OTHER_IMAGE), (app, OTHER_IMAGE, IMAGE)):
            assert vault.read(own, "key") == "x"
            with pytest.raises(BakeryError, match="Vault denies access"):
                vault.read(other, "key")
            assert vault.read(SHARED, "key") == "x"


@pytest.mark.parametrize(("duty", "other"), list(permutations(MAY_READ, 2)))
def test_the_token_of_a_duty_opens_no_other(server: VaultServer, ci: GitLab, duty: str, other: str) -> None:
    """What a role or a package finds in the memory of its own job."""
    assert "audience" in refusal(server, other, job_token(ci, duty))


@pytest.mark.parametrize("duty", BEYOND_VALIDATE)
def test_the_audience_of_a_duty_is_not_enough(server: VaultServer, ci: GitLab, duty: str) -> None:
    """GitLab can protect an environment, and no audience."""
    elsewhere = job_token(ci, duty, environment="production")
    assert 'claim "environment" does not match' in refusal(server, duty, elsewhere)
    without = ci.job(f"{AUDIENCE}/{duty}")
    assert 'claim "environment"' in refusal(server, duty, without)


@pytest.mark.parametrize("duty", SIGNERS)
def test_a_duty_signs_with_its_own_key_alone(server: VaultServer, ci: GitLab, duty: str) -> None:
    with login(server, duty, job_token(ci, duty)) as vault:
        own = hvac.Client(url=server.address, token=vault.token)
        for signer in SIGNERS:
            signing = {"input": base64.b64encode(b"verdict").decode()}
            if signer == duty:
                made = own.write_data(f"transit/sign/bakery-{signer}", data=signing)["data"]["signature"]
                checked = server.client.write_data(
                    f"transit/verify/bakery-{signer}", data={**signing, "signature": made}
                )
                assert checked["data"]["valid"] is True
            else:
                with pytest.raises(hvac.exceptions.Forbidden):
                    own.write_data(f"transit/sign/bakery-{signer}", data=signing)
            assert own.read(f"transit/keys/bakery-{signer}")["data"]["type"] == "ed25519"


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
    token = job_token(ci, duty, **claims)
    detail = refusal(server, duty, token)
    assert reason in detail
    assert token not in detail


@pytest.mark.parametrize("duty", MAY_READ)
def test_a_key_that_is_not_gitlabs(server: VaultServer, ci: GitLab, duty: str) -> None:
    forged = job_token(GitLab(ci.url), duty)
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
    assert reason in refusal(server, duty, job_token(ci, duty, **claims))
    login(server, "validate", job_token(ci, "validate", **claims)).close()


@pytest.mark.parametrize("duty", BEYOND_VALIDATE)
@pytest.mark.parametrize("source", ["push", "web", "schedule", "api", "trigger"])
def test_every_way_to_start_a_pipeline_on_a_protected_branch(
    server: VaultServer, ci: GitLab, duty: str, source: str
) -> None:
    login(server, duty, job_token(ci, duty, pipeline_source=source)).close()


def test_child_pipelines_bake_and_make_no_runner_image(server: VaultServer, ci: GitLab) -> None:
    for duty in BEYOND_VALIDATE:
        token = job_token(ci, duty, pipeline_source="parent_pipeline")
        if duty != "runner-image":
            login(server, duty, token).close()
        else:
            assert "pipeline_source" in refusal(server, duty, token)


def test_a_merge_request_from_a_fork(server: VaultServer, ci: GitLab) -> None:
    """It runs in our project, but its claims name the fork's."""
    claims = {"project_id": "8", "job_project_id": "7", "pipeline_source": "merge_request_event"}
    assert 'claim "project_id" does not match' in refusal(server, "validate", job_token(ci, "validate", **claims))
    for duty in BEYOND_VALIDATE:
        refusal(server, duty, job_token(ci, duty, **claims))


def test_a_role_that_lost_its_audience(server: VaultServer, ci: GitLab) -> None:
    settings = json.loads((FILES / "duties" / "bake-private.json").read_text().replace("PROJECT_ID", "7"))
    del settings["bound_audiences"]
    server.client.write_data("auth/jwt/role/bakery-careless", data=settings)
    assert "audience" in refusal(server, "careless", job_token(ci, "bake-private"))


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
    with login(server, "validate", job_token(ci, "validate")) as vault, pytest.raises(BakeryError, match="denies"):
        vault.read(IMAGE, "key")


def test_setting_up_without_a_project_does_nothing() -> None:
    env = {"PATH": os.environ["PATH"], "GITLAB_URL": "https://gitlab.example.com", "VAULT_ADDR": "http://127.0.0.1:1"}
    done = subprocess.run([FILES / "set-up.sh"], env=env, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "PROJECT_ID: the number of the project" in done.stderr
