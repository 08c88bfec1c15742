"""The stack vault-config: the duties of vault/duties/, engines without keys, nothing secret; mistakes in its part."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bakery.host.errors import UsageError
from bakery_stacks import config
from bakery_stacks.stacks.vault_config import duties
from bakery_stacks.stacks.vault_config.settings import DUTIES, VaultConfig

Stack = dict[str, Any]
ROOT = Path(__file__).parents[5]
# Arguments of any provider's resource that would carry a secret. Policies name paths, and IDs are none.
SECRET = ("password", "secret_key", "client_secret", "access_key", "private", "credential", "pem_bundle", "data_json")
GOOD = """\
name: test
account: "123456789012"
home_region: eu-west-1
regions: [eu-west-1]
catalog: s3://a-bucket/some/prefix
channel: stable
state: {bucket: state-bucket, prefix: test}
topic: news
vault_config:
  address: https://vault.example.com
  gitlab:
    url: https://gitlab.example.com
    project_id: "7"
    audience: https://vault.example.com
    duties: [validate, publish]
  aws:
    bake:
      role_arn: arn:aws:iam::123456789012:role/bakery-bake
    publish:
      role_arn: arn:aws:iam::123456789012:role/bakery-publish
    apply:
      role_arn: arn:aws:iam::123456789012:role/bakery-apply
      ttl: 30m
  azure:
    tenant: 11111111-1111-1111-1111-111111111111
    subscription: 22222222-2222-2222-2222-222222222222
    ttl: 1h
  autopilot:
    nodes: 3
    dead_after: 10m
  snapshot_role_arn: arn:aws:iam::123456789012:role/bakery-test-vault
"""


@pytest.fixture(scope="session")
def stack(stacks: dict[str, Stack]) -> Stack:
    return stacks["vault-config"]


def load(folder: Path, text: str) -> VaultConfig:
    (folder / "test.yaml").write_text(text)
    found = config.load_settings(folder, {"BAKERY_ENVIRONMENT": "test"}).environment.vault_config
    assert found
    return found


def named(stack: Stack, kind: str, key: str = "name") -> dict[str, Any]:
    return {resource[key]: resource for resource in stack["resource"][kind].values()}


def test_terraform_logs_in_by_its_environment(stack: Stack) -> None:
    assert stack["provider"] == {"vault": [{"address": "https://vault.example.com:8200", "skip_child_token": True}]}
    assert list(stack["terraform"]["required_providers"]) == ["vault"]
    assert stack["terraform"]["backend"]["s3"]["key"] == "bakery/prod/vault-config.tfstate"


def test_no_argument_carries_a_secret(stack: Stack) -> None:
    """Nor does any data source read one: what is read is in the state too."""
    assert "data" not in stack
    found = [
        f"{kind}.{argument}"
        for kind, resources in stack["resource"].items()
        for resource in resources.values()
        for argument in resource
        if any(word in argument for word in SECRET)
    ]
    # This one says what kind of credentials Vault shall make.
    assert set(found) == {"vault_aws_secret_backend_role.credential_type"}


def test_every_duty_has_its_files_role_and_policy(stack: Stack) -> None:
    files = {path.stem for path in (ROOT / "vault" / "duties").glob("*.json")}
    assert files == {path.stem for path in (ROOT / "vault" / "duties").glob("*.hcl")} == set(DUTIES)
    roles = named(stack, "vault_jwt_auth_backend_role", "role_name")
    policies = named(stack, "vault_policy")
    assert set(roles) == {f"bakery-{duty}" for duty in DUTIES}
    for duty in DUTIES:
        text = (ROOT / "vault" / "duties" / f"{duty}.hcl").read_text()
        [method] = stack["resource"]["vault_jwt_auth_backend"]
        accessor = f"${{vault_jwt_auth_backend.{method}.accessor}}"
        assert policies[f"bakery-{duty}"]["policy"] == text.replace("JWT_ACCESSOR", accessor)


def test_every_role_is_bound_to_project_and_audience(stack: Stack) -> None:
    for name, role in named(stack, "vault_jwt_auth_backend_role", "role_name").items():
        claims = role["bound_claims"]
        assert role["bound_audiences"] == [f"https://vault.example.com/{name.removeprefix('bakery-')}"], name
        assert claims["project_id"] == "7", name
        assert role["token_ttl"] == role["token_explicit_max_ttl"] > 0, name
        assert role["token_no_default_policy"] is True, name
        if name != "bakery-validate":
            assert (claims["ref_protected"], claims["ref_type"]) == ("true", "branch"), name
            assert claims["environment"] in ("bakery/*", name), name
            assert "merge_request_event" not in claims["pipeline_source"], name


def test_the_scripts_know_the_same_duties() -> None:
    script = (ROOT / "vault" / "set-up.sh").read_text()
    assert f"for duty in {' '.join(DUTIES)}; do" in script


def test_kept_things_survive_a_destroy(stack: Stack) -> None:
    for kind in ("vault_mount", "vault_transit_secret_backend_key"):
        for resource in stack["resource"][kind].values():
            assert resource["lifecycle"] == {"prevent_destroy": True}
    for key in stack["resource"]["vault_transit_secret_backend_key"].values():
        assert (key["type"], key["exportable"], key["deletion_allowed"]) == ("ed25519", False, False)


def test_each_duty_that_signs_has_a_key_and_may_sign_with_no_other(stack: Stack) -> None:
    keys = {key["name"] for key in stack["resource"]["vault_transit_secret_backend_key"].values()}
    assert keys == {f"bakery-{duty}" for duty in ("bake-private", "bake-public", "verify", "publish")}
    for name, policy in named(stack, "vault_policy").items():
        signs = set(re.findall(r'path "transit/sign/([^"]*)"', policy["policy"]))
        assert signs == ({name} & keys), name


def test_roles_of_aws_last_an_hour_at_most(stack: Stack) -> None:
    for role in stack["resource"]["vault_aws_secret_backend_role"].values():
        assert role["credential_type"] == "assumed_role"
        assert role["default_sts_ttl"] == role["max_sts_ttl"] <= 3600


def test_there_are_two_audit_devices(stack: Stack) -> None:
    files = [device["options"]["file_path"] for device in stack["resource"]["vault_audit"].values()]
    assert sorted(files) == ["/var/log/vault/audit.log", "stdout"]


def test_a_dead_server_is_forgotten_once_it_is_replaced(stack: Stack) -> None:
    [autopilot] = stack["resource"]["vault_raft_autopilot"].values()
    assert autopilot == {
        "cleanup_dead_servers": True,
        "min_quorum": 3,
        "dead_server_last_contact_threshold": "10m0s",
    }


def test_only_some_duties_can_be_chosen(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD).gitlab.duties == ("validate", "publish")


def test_a_role_gets_its_values_as_json(tmp_path: Path) -> None:
    gitlab = load(tmp_path, GOOD).gitlab
    role = duties.duty_role("publish", gitlab)
    assert role.bound_claims["project_id"] == "7"
    assert "PROJECT_ID" not in json.dumps(role.model_dump())


@pytest.mark.parametrize(
    ("old", "new", "line", "message", "hint"),
    [
        ("address: https://", "address: http://", 10, "is not encrypted", "http:// is for addresses of this machine"),
        ("url: https://gitlab", "url: http://gitlab", 12, "is not encrypted", "write https://"),
        ("url: https://gitlab", "url: gitlab", 12, "'vault_config.gitlab.url' is 'gitlab.example.com'", "https://"),
        ('"7"', "7", 13, "must be text, not the number 7", "quote it"),
        ('"7"', "group/images", 13, "'vault_config.gitlab.project_id' is 'group/images'", "42"),
        ("publish]", "publsh]", 15, "is 'publsh'; it must be", "did you mean 'publish'?"),
        ("[validate, publish]", "[]", 15, "it needs 1 or more", "duties that jobs"),
        ("ttl: 30m", "ttl: 2h", 23, "no session of 2h", "choose 15m to 1h"),
        ("ttl: 30m", "ttl: 5m", 23, "no session of 5m", "choose 15m to 1h"),
        ("ttl: 30m", "ttl: 1 hour", 23, "'vault_config.aws.apply.ttl' is '1 hour'", "10m"),
        ("ttl: 1h", "ttl: 3h", 27, "longer than the job's token", "choose 1h or less"),
        (
            "nodes: 3",
            "nodes: 4",
            29,
            "'vault_config.autopilot.nodes' is 4; it must be 3 or 5",
            "servers of the cluster",
        ),
        ("dead_after: 10m", "dead_after: 30s", 30, "does not accept 30s", "choose 1m or more"),
        ("012:role/bakery-bake", "013:role/bakery-bake", 18, "is not of account 123456789012", "name a role"),
        ("aws:iam::123456789012:role/bakery-a", "aws-cn:iam::123456789012:role/bakery-a", 22, "partition", "begin it"),
        (
            "012:role/bakery-test-vault",
            "013:role/bakery-test-vault",
            31,
            "is not of account 123456789012",
            "name a role",
        ),
        ("role/bakery-test", "user/bakery-test", 31, "it must be the ARN of an IAM role", "arn:aws:iam::"),
        ("  autopilot:", "  autopilt:", 28, "unknown key 'vault_config.autopilt'", "did you mean 'autopilot'?"),
        ("1111-111111111111", "1111-11111111111", 25, "'vault_config.azure.tenant' is", "11111111-2222"),
    ],
)
def test_a_mistake_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, message: str, hint: str
) -> None:
    assert GOOD.count(old) == 1
    with pytest.raises(UsageError) as caught:
        load(tmp_path, GOOD.replace(old, new))
    assert message in caught.value.message
    assert caught.value.where == f"{tmp_path}/test.yaml:{line}"
    assert hint in caught.value.hint


CLUSTER = """\
network:
  cidr: 10.0.0.0/16
  subnets: {eu-west-1a: 10.0.0.0/20, eu-west-1b: 10.0.16.0/20, eu-west-1c: 10.0.32.0/20}
vault:
  nodes: 3 # of the cluster
  certificate: {name: vault.example.com, chain: /v/chain, key: /v/key, authority: /v/authority}
  snapshots: {bucket: snapshots}
"""


def test_it_goes_with_the_cluster(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD + CLUSTER).autopilot


@pytest.mark.parametrize(
    ("old", "new", "line", "message", "hint"),
    [
        ("nodes: 3 # of", "nodes: 5 # of", 29, "autopilot.nodes: the cluster has 5 nodes", "write 5, too"),
        ("dead_after: 10m", "dead_after: 15m", 30, "until an alarm stops the refresh", "choose 14m"),
        ("  autopilot:\n    nodes: 3\n    dead_after: 10m\n", "", 9, "no setting removes the nodes", "nodes: 3"),
        ("role/bakery-test-vault", "role/vault", 31, "not the role of the cluster's nodes", "role/bakery-test-vault"),
        ("name: vault.example.com", "name: vault.example.org", 10, "is known as vault.example.org", "write https://"),
    ],
)
def test_what_does_not_go_with_the_cluster(
    tmp_path: Path, old: str, new: str, line: int, message: str, hint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path, (GOOD + CLUSTER).replace(old, new))
    assert message in caught.value.message
    assert caught.value.where == f"{tmp_path}/test.yaml:{line}"
    assert hint in caught.value.hint


@pytest.mark.parametrize("address", ["http://127.0.0.1:8200", "http://localhost:8200", "http://[::1]:8200"])
def test_a_trial_on_this_machine_needs_no_tls(tmp_path: Path, address: str) -> None:
    assert load(tmp_path, GOOD.replace("https://vault.example.com\n  g", f"{address}\n  g")).address == address
