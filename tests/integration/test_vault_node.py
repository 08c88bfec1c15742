"""A node of the vault stack: the real image, booted with what the stack tells it, in front of the AWS stand-in."""

import json
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bakery.bake import bake
from bakery.bake.request import BakeContext, BakeRequest
from bakery.clouds.definitions import Definition
from bakery.engine import toolbox
from bakery.host import files
from bakery.host.events import silent
from bakery.machine.disk_image import BaseDisk
from bakery.model.project import Project
from bakery_stacks.stacks.vault.settings import API_PORT, SNAPSHOT_ROLE
from doubles.guests import VAULT_NODE_ADDRESS
from integration import vault_node
from integration.vault_node import CLUSTER, NAME, NODE_ROLE, PROGRAM, ROOT, Cloud, Node, until

# 344 s of a processor: its boots are long. test_roles.py boots the role as well, without a cloud around it.
pytestmark = [pytest.mark.integration, pytest.mark.root, pytest.mark.guest, pytest.mark.soak]

IMAGE = {
    "name": "vault",
    "description": "A Vault node",
    "os": "debian-13",
    "arch": "x86_64",
    "version": "1.0",
    "mode": "chroot",
    "base": {"qemu": {"image": "debian-13"}},
    "tests": ["base"],
}
# What the vault-config stack makes for the nodes' own login.
POLICY = """
path "sys/storage/raft/snapshot" { capabilities = ["read"] }
path "sys/storage/raft/autopilot/state" { capabilities = ["read"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
"""


@dataclass(frozen=True)
class Initialized:
    """What `vault operator init` gave."""

    answer: dict[str, Any]

    @property
    def token(self) -> str:
        return str(self.answer["root_token"])


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with vault_node.cloud() as made:
        yield made


@pytest.fixture(scope="module")
def node(cloud: Cloud, base_disk: BaseDisk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """One boot for all tests; the server answers, and knows nothing yet."""
    project = Project(ROOT, ROOT / "packer" / "images", tmp_path_factory.mktemp("workspace"))
    toolchain = toolbox.toolchain(project)
    role = {"name": "vault", "vars": {"vault_url": PROGRAM.as_uri(), "vault_sha256": files.sha256(PROGRAM)}}
    image = Definition.model_validate({**IMAGE, "software": {"roles": [role]}}, strict=False)
    request = BakeRequest(image, "1.0.0", {}, "k" * 64)
    artifact = bake(request, base_disk, BakeContext(project, toolchain, None, silent))
    folder = tmp_path_factory.mktemp("node")
    with vault_node.node(cloud, Path(artifact.disk.path), folder, toolchain.accelerator) as booted:
        until(booted.status)
        yield booted


@pytest.fixture(scope="module")
def initialized(node: Node) -> Initialized:
    """As a person does it once: docs/how-to/run-a-vault-cluster.md."""
    shares = ("-recovery-shares=1", "-recovery-threshold=1")
    found = Initialized(json.loads(node.vault("operator", "init", "-format=json", *shares).stdout))
    until(lambda: node.status().get("is_self"))
    return found


@pytest.fixture(scope="module")
def trusted(node: Node, cloud: Cloud, initialized: Initialized) -> Initialized:
    """With a login for nodes, as the vault-config stack makes it, at the stand-in's STS."""
    token = initialized.token
    node.vault("auth", "enable", "aws", token=token)
    server = (f"iam_server_id_header_value={NAME}", f"sts_endpoint={cloud.url(cloud.double.url)}")
    node.vault("write", "auth/aws/config/client", *server, f"sts_region={cloud.region}", token=token)
    node.vault("write", "sys/policy/bakery-snapshot", f"policy={POLICY}", token=token)
    who = ("auth_type=iam", f"bound_iam_principal_arn={NODE_ROLE}", "resolve_aws_unique_ids=false")
    rights = ("token_policies=bakery-snapshot", "token_no_default_policy=true", "token_ttl=10m")
    node.vault("write", f"auth/aws/role/{SNAPSHOT_ROLE}", *who, *rights, token=token)
    return initialized


def mounts(node: Node) -> dict[str, dict[str, Any]]:
    """Of the two disks, by where they are."""
    columns = "TARGET,LABEL,FSTYPE,SIZE,OPTIONS"
    found = json.loads(node.says(f"findmnt --json --bytes --types ext4 --output {columns}"))["filesystems"]
    flat = [one for top in found for one in (top, *top.get("children", []))]
    return {one["target"]: one for one in flat if (one["label"] or "").startswith("vault-")}


def serial(cloud: Cloud) -> int:
    """Of the certificate that a client sees, and believes, at the node."""
    context = ssl.create_default_context(cadata=cloud.authority.pem)
    with (
        socket.create_connection((VAULT_NODE_ADDRESS, API_PORT), timeout=30) as connection,
        context.wrap_socket(connection, server_hostname=NAME) as secured,
    ):
        return int(str((secured.getpeercert() or {})["serialNumber"]), 16)


def main_process(node: Node) -> str:
    return node.says("systemctl show --property=MainPID --value vault.service")


def test_the_bigger_disk_is_for_data_and_the_other_for_audit_logs(node: Node) -> None:
    found = mounts(node)
    assert {path: one["label"] for path, one in found.items()} == {
        "/var/lib/vault": "vault-data",
        "/var/log/vault": "vault-audit",
    }
    assert found["/var/lib/vault"]["size"] > found["/var/log/vault"]["size"]
    for path, one in found.items():
        assert {"noexec", "nodev", "nosuid", "rw"} <= set(one["options"].split(","))
        assert node.says(f"sudo stat --format='%U:%G %a' {path}") == "vault:vault 700"


def test_the_key_is_for_vault_alone(node: Node) -> None:
    listed = node.says("stat --format='%n %U:%G %a' /etc/vault-node/tls/*.pem")
    assert listed.splitlines() == [
        "/etc/vault-node/tls/authority.pem root:vault 644",
        "/etc/vault-node/tls/chain.pem root:vault 644",
        "/etc/vault-node/tls/key.pem root:vault 640",
    ]


def test_it_unseals_by_the_key_of_the_stack(node: Node, cloud: Cloud, initialized: Initialized) -> None:
    assert (node.status()["sealed"], node.status()["type"]) == (False, "awskms")
    assert len(initialized.answer["recovery_keys_b64"]) == 1
    assert node.status()["cluster_name"] == CLUSTER
    assert "Encrypt" in cloud.double.actions()


def test_after_a_restart_it_is_unsealed_again(node: Node, initialized: Initialized) -> None:
    before = main_process(node)
    node.ssh("sudo systemctl restart vault.service")
    until(lambda: node.status().get("is_self"))
    assert main_process(node) != before
    node.vault("token", "lookup", token=initialized.token)


def test_on_a_later_boot_the_disks_are_known_by_label(node: Node, initialized: Initialized) -> None:
    before = mounts(node)
    node.ssh("sudo systemctl stop vault.service vault-node-disks.service")
    node.ssh("sudo umount /var/lib/vault /var/log/vault")
    node.ssh("sudo systemctl start vault.service")
    assert mounts(node) == before
    until(lambda: node.status().get("is_self"))
    node.vault("token", "lookup", token=initialized.token)


def test_a_new_certificate_is_taken_over_without_a_restart(node: Node, cloud: Cloud) -> None:
    before, issued = main_process(node), cloud.authority.issue(NAME)
    cloud.certify(issued)
    node.ssh("sudo systemctl start vault-node-tls.service")
    until(lambda: serial(cloud) == issued.serial)
    assert main_process(node) == before


def test_a_certificate_that_clients_would_refuse_is_not_taken_over(node: Node, cloud: Cloud) -> None:
    before = serial(cloud)
    cloud.certify(cloud.authority.issue("another.example.internal"))
    assert node.ssh("sudo systemctl start vault-node-tls.service", check=False).returncode != 0
    assert f"the certificate for {NAME} is not taken" in node.says("sudo journalctl --unit=vault-node-tls --lines=5")
    assert serial(cloud) == before


def test_a_snapshot_is_saved_to_the_locked_bucket(node: Node, cloud: Cloud, trusted: Initialized) -> None:
    node.ssh("sudo systemctl start vault-node-snapshot.service")
    (name,) = cloud.snapshots()
    assert name.startswith(f"{CLUSTER}/20") and name.endswith("Z.snap")
    found = cloud.saved(name)
    assert found["ServerSideEncryption"] == "aws:kms"
    assert found["ObjectLockMode"] == "COMPLIANCE"
    assert found["Body"].read(2) == b"\x1f\x8b"  # an archive of gzip
    assert cloud.metrics()["SnapshotSaved"] == {1}
    node.ssh("sudo systemctl start vault-node-snapshot.service")
    assert cloud.snapshots() == [name], "one for each span of hours"


def test_the_token_of_a_snapshot_is_gone(node: Node, trusted: Initialized) -> None:
    """What is left is the root's."""
    node.ssh("sudo systemctl start vault-node-report.service")

    def tokens() -> list[str]:
        listed = node.vault("list", "-format=json", "auth/token/accessors", token=trusted.token).stdout
        return list(json.loads(listed))

    until(lambda: len(tokens()) == 1)  # a report may be on its way: there is one each minute


def test_a_new_audit_log_begins_where_the_old_one_is_rotated(node: Node, trusted: Initialized) -> None:
    log, rotate = "/var/log/vault/audit.log", "sudo logrotate --force /etc/logrotate.d/vault"
    node.vault("audit", "enable", "file", f"file_path={log}", token=trusted.token)
    node.ssh(rotate)

    def new() -> str:
        """Owner and mode of the new one, once something is in it."""
        node.vault("token", "lookup", token=trusted.token)
        return node.says(f"sudo sh -c 'test ! -s {log} || stat --format=\"%U %a\" {log}'")

    assert until(new) == "vault 600"
    old = node.says("sudo sh -c 'ls /var/log/vault/audit.log-*'")
    before = node.says(f"sudo stat --format=%s {old}")
    node.vault("token", "lookup", token=trusted.token)
    assert node.says(f"sudo stat --format=%s {old}") == before
    node.vault("audit", "disable", "file", token=trusted.token)


def test_it_reports_how_full_its_disks_are(node: Node, cloud: Cloud) -> None:
    node.ssh("sudo systemctl start vault-node-report.service")
    metrics = cloud.metrics()
    assert all(0 < used < 100 for name in ("DataDiskUsed", "AuditDiskUsed") for used in metrics[name])


def test_the_leader_reports_what_the_cluster_lacks(node: Node, cloud: Cloud, trusted: Initialized) -> None:
    node.ssh("sudo systemctl start vault-node-report.service")
    metrics = cloud.metrics()
    assert 0 in metrics["Sealed"]
    assert metrics["VotersMissing"] == {1}  # it cannot lose its only node, and three could lose one


def test_no_unit_failed(node: Node) -> None:
    failed = node.says("systemctl list-units --failed --plain --no-legend")
    assert {line.split()[0] for line in failed.splitlines()} <= {"vault-node-tls.service"}  # by the test above
