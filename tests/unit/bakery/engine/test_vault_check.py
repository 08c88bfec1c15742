"""What definitions need from Vault, and what is said of each need, with a Vault that notes what it is asked."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from bakery.clouds import definitions
from bakery.engine import vault_check as vaultcheck
from bakery.engine.duties import Duty
from bakery.engine.vault_check import Need, NeedCheck
from bakery.host.errors import BakeryError, NotFoundError, OutageError, UsageError
from bakery.model.definition import Definitions

COMMON = """\
name: {name}
description: A page
os: debian-12
arch: x86_64
version: "1.0"
base:
  qemu: {{debootstrap: {{suite: bookworm}}}}
"""
SECRETS = """\
secrets:
  password:
    path: secret/data/bakery/web
    key: password
  user:
    path: secret/data/bakery/web
    key: user
"""
TARGETS = """\
targets: [{targets}]
distribution:
  aws:
    regions: [eu-central-1]
    credentials: aws/sts/bake
  vsphere:
    server: vcenter.example.com
    library: images
    credentials: secret/data/bakery/targets/vsphere
  azure:
    tenant: 00000000-0000-0000-0000-000000000000
    subscription: 00000000-0000-0000-0000-000000000000
    resource_group: images
    gallery: images
    regions: [westeurope]
    storage_account: images
    credentials: azure/creds/bake
"""


@dataclass
class FakeVault:
    """Knows secrets by path and which of them may be read; an error as a secret is raised."""

    secrets: dict[str, Any]
    may: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def engines(self) -> dict[str, str]:
        self.asked.append("engines")
        return {"secret/": "kv-v2", "old/": "kv", "aws/": "aws"}

    def may_read(self, path: str) -> bool:
        self.asked.append(f"may {path}")
        return path in self.may

    def read(self, path: str, key: str) -> str:
        self.asked.append(f"read {path} {key}")
        found = self.secrets.get(path)
        if isinstance(found, BakeryError):
            raise found
        if not found or key not in found:
            raise NotFoundError(f"{path} has no {key}", hint="write it")
        return str(found[key])


def load(folder: Path, **texts: str) -> Definitions:
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(COMMON.format(name=name) + text)
    return definitions.load(folder)


def check(vault: FakeVault, *needs: Need) -> list[NeedCheck]:
    return vaultcheck.check(vault, needs)  # type: ignore[arg-type]


def need(path: str, *keys: str) -> Need:
    return Need("web.yaml:8", "web", "secrets.x", path, keys or ("password",))


def result(vault: FakeVault, path: str, *keys: str) -> tuple[str, str, str]:
    (found,) = check(vault, need(path, *keys))
    return found.answer, found.problem, found.hint


def test_secrets_with_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "web.yaml"
    assert vaultcheck.needs(load(tmp_path, web=SECRETS), []) == [
        Need(f"{file}:10", "web", "secrets.password", "secret/data/bakery/web", ("password",), mode="vm"),
        Need(f"{file}:13", "web", "secrets.user", "secret/data/bakery/web", ("user",), mode="vm"),
    ]


@pytest.mark.parametrize(
    ("targets", "paths"),
    [
        ("local", {}),
        ("aws", {"aws/sts/bake": ("access_key", "secret_key")}),
        ("vsphere", {"secret/data/bakery/targets/vsphere": ("username", "password")}),
        ("local, azure", {"azure/creds/bake": ("client_id", "client_secret")}),
    ],
)
def test_credentials_of_the_targets_that_are_used(tmp_path: Path, targets: str, paths: dict[str, Any]) -> None:
    found = vaultcheck.needs(load(tmp_path, web=TARGETS.format(targets=targets)), [])
    assert {need.path: need.keys for need in found} == paths


def test_where_credentials_stand(tmp_path: Path) -> None:
    (found,) = vaultcheck.needs(load(tmp_path, web=TARGETS.format(targets="aws")), [])
    assert (found.where, found.name) == (f"{tmp_path}/web.yaml:12", "distribution.aws.credentials")


def test_credentials_from_the_environment_are_not_in_vault(tmp_path: Path) -> None:
    text = TARGETS.format(targets="aws").replace("    credentials: aws/sts/bake\n", "")
    assert vaultcheck.needs(load(tmp_path, web=text), []) == []


def test_named_images_only(tmp_path: Path) -> None:
    definitions = load(tmp_path, web=SECRETS, api=SECRETS, base="")
    assert {need.image for need in vaultcheck.needs(definitions, ["web", "base"])} == {"web"}
    assert {need.image for need in vaultcheck.needs(definitions, [])} == {"web", "api"}
    with pytest.raises(UsageError, match="no image named 'wbe'"):
        vaultcheck.needs(definitions, ["wbe"])


@pytest.mark.parametrize(
    ("duty", "names"),
    [
        ("validate", []),
        ("bake-private", ["secrets.password", "secrets.user"]),
        ("bake-public", []),
        ("verify", ["secrets.password", "secrets.user"]),
        ("publish", [f"distribution.{target}.credentials" for target in ("aws", "vsphere", "azure")]),
        ("apply", []),
    ],
)
def test_a_duty_needs_what_its_jobs_work_with(tmp_path: Path, duty: Duty, names: list[str]) -> None:
    """An image that QEMU makes for all targets."""
    text = SECRETS + TARGETS.format(targets="local, aws, vsphere, azure")
    assert [need.name for need in vaultcheck.needs(load(tmp_path, web=text), [], duty)] == names


def test_a_builder_at_a_target_needs_its_credentials(tmp_path: Path) -> None:
    text = SECRETS + TARGETS.format(targets="local, aws, vsphere")
    ami = "base:\n  aws: {ami: {name: debian-12-*, owner: '136693071363'}}\n"
    load(tmp_path, web=text)
    file = tmp_path / "web.yaml"
    file.write_text(file.read_text().replace("base:\n", ami))
    loaded = definitions.load(tmp_path)
    secrets = ["secrets.password", "secrets.user"]
    found = {
        duty: [need.name for need in vaultcheck.needs(loaded, [], duty)] for duty in ("bake-private", "bake-public")
    }
    assert found == {"bake-private": secrets, "bake-public": [*secrets, "distribution.aws.credentials"]}


def test_a_build_has_credentials_of_its_own(tmp_path: Path) -> None:
    text = TARGETS.format(targets="aws").replace("sts/bake", "sts/publish\n    build_credentials: aws/sts/bake")
    load(tmp_path, web=text)
    file = tmp_path / "web.yaml"
    ami = "base:\n  aws: {ami: {name: debian-12-*, owner: '136693071363'}}\n"
    qemu = definitions.load(tmp_path)
    assert [need.path for need in vaultcheck.needs(qemu, [])] == ["aws/sts/publish"], "nothing is built there"
    file.write_text(file.read_text().replace("base:\n  qemu: {debootstrap: {suite: bookworm}}\n", ami))
    built = definitions.load(tmp_path)
    duties: dict[Duty | None, list[str]] = {
        "bake-public": ["aws/sts/bake"],
        "publish": ["aws/sts/publish"],
        "verify": [],
        None: ["aws/sts/bake", "aws/sts/publish"],
    }
    for duty, paths in duties.items():
        assert [need.path for need in vaultcheck.needs(built, [], duty)] == paths
    (need,) = vaultcheck.needs(built, [], "bake-public")
    assert need.name == "distribution.aws.build_credentials"
    assert need.where.startswith(f"{file}:")


def test_a_secret_that_is_there() -> None:
    vault = FakeVault({"secret/data/web": {"password": "canary"}, "old/web": {"password": "canary"}})
    assert result(vault, "secret/data/web") == ("can be read", "", "")
    assert result(vault, "/old/web/") == ("can be read", "", "")


def test_a_finding_says_whose_it_is() -> None:
    (found,) = check(FakeVault({"old/web": {"password": "canary"}}), need("old/web"))
    assert found == NeedCheck("web.yaml:8", "web", "secrets.x", "old/web", "can be read", "", "")


def test_the_problems_of_all_keys() -> None:
    vault = FakeVault({"old/web": {"other": "x"}})
    assert result(vault, "old/web", "user", "password") == (
        "",
        "old/web has no user; old/web has no password",
        "write it",
    )


def test_one_problem_of_all_keys_is_said_once() -> None:
    vault = FakeVault({"old/web": BakeryError("Vault denies access to old/web", hint="ask")})
    assert result(vault, "old/web", "user", "password") == ("", "Vault denies access to old/web", "ask")


def test_a_path_without_data_is_not_even_read() -> None:
    vault = FakeVault({"secret/web": {"password": "x"}})
    _, problem, hint = result(vault, "secret/web")
    assert (problem, hint) == (
        "secret/web is not an API path: this secrets engine keeps versions",
        "write it as secret/data/web",
    )
    assert vault.asked == ["engines"]


def test_what_an_engine_would_make_is_never_read() -> None:
    vault = FakeVault({}, may={"aws/sts/bake"})
    assert result(vault, "aws/sts/bake", "access_key", "secret_key") == ("can be created by the aws engine", "", "")
    assert result(vault, "aws/sts/other")[1] == "Vault denies access to aws/sts/other"
    assert not [asked for asked in vault.asked if asked.startswith("read")]


def test_what_no_engine_of_ours_has_is_never_read() -> None:
    vault = FakeVault({"nowhere/web": {"password": "x"}}, may={"nowhere/web"})
    assert result(vault, "nowhere/web")[1] == "there is no secrets engine at nowhere/web"
    assert result(vault, "hidden/web")[1] == "Vault denies access to hidden/web"
    assert not [asked for asked in vault.asked if asked.startswith("read")]


def test_what_several_images_share_is_asked_for_once() -> None:
    vault = FakeVault({"old/web": {"password": "x"}})
    found = check(vault, need("old/web"), need("old/none"), need("old/web"), need("old/none"))
    assert [bool(finding.answer) for finding in found] == [True, False, True, False]
    assert vault.asked == ["engines", "read old/web password", "read old/none password"]


def test_an_outage_ends_it() -> None:
    vault = FakeVault({"old/web": OutageError("Vault is sealed")})
    with pytest.raises(OutageError, match="is sealed"):
        check(vault, need("old/web", "user", "password"), need("old/other"))
    assert vault.asked == ["engines", "read old/web user"]


def test_webhooks_of_notices_are_read_by_the_duties_that_send_them() -> None:
    recipients = "arn:aws:sns:eu-central-1:123456789012:images secret/data/bakery/notifications/chat"
    need = Need("BAKERY_NOTIFY", "", "notices", "secret/data/bakery/notifications/chat", ("url",))
    duties: tuple[Duty | None, ...] = (None, "bake-private", "bake-public", "publish", "apply", "validate")
    assert [vaultcheck.webhooks(recipients, duty) for duty in duties] == [[need]] * 4 + [[]] * 2
    assert vaultcheck.webhooks("") == []


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        (
            "aws/sts/bake",
            "aws/sts/bake is in an engine of the kind aws, but",
        ),
        ("auth/token/lookup-self", "there is no secrets engine at auth/token/lookup-self"),
    ],
)
def test_a_secret_outside_of_the_engines_that_store_values_is_refused(path: str, problem: str) -> None:
    (answer,) = vaultcheck.check(FakeVault({}, may={path}), [replace(need(path), mode="vm")])  # type: ignore[arg-type]
    assert not answer.answer
    assert answer.problem.startswith(problem)
