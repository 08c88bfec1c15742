"""A real Vault cluster with the stack vault-config on it loses a server, and then everything.

docs/how-to/restore-vault.md is about the second; what it tells people to run is what runs here.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bakery.demo.stand_ins.vault import VaultServer
from bakery_stacks.stacks.vault_config.settings import Autopilot
from doubles.gitlab import GitLab, gitlab
from doubles.vault_cluster import NAME, Cluster, seal_and_authority, until
from doubles.vault_provider import VaultProvider
from integration.duties import FILES
from integration.vault_stack import section, synthesise

pytestmark = pytest.mark.integration

AUTOPILOT = Autopilot(nodes=3, dead_after="1m")  # Vault's shortest
DEAD_SECONDS = 120  # that minute, and a round of autopilot, which takes 10 s
THREE = ("one", "two", "three")


@pytest.fixture(scope="module")
def ci() -> Iterator[GitLab]:
    with gitlab() as found:
        yield found


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[VaultServer, Path]]:
    with seal_and_authority(tmp_path_factory.mktemp("lasting")) as found:
        yield found


@pytest.fixture(scope="module")
def cluster(lasting: tuple[VaultServer, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three servers that vote."""
    seal, authority = lasting
    found = Cluster(tmp_path_factory.mktemp("cluster"), authority, seal)
    try:
        found.start(*THREE)
        found.initialise()
        yield found
    finally:
        found.stop()


@pytest.fixture(scope="module")
def stack(cluster: Cluster, ci: GitLab) -> dict[str, Any]:
    found = section(cluster.env()["VAULT_ADDR"], ci, cluster.folder, autopilot=AUTOPILOT)
    return synthesise(found, cluster.folder / "out")


@pytest.fixture(scope="module")
def provider(cluster: Cluster, stack: dict[str, Any]) -> VaultProvider:
    """With the stack on the cluster."""
    found = VaultProvider(cluster.client())
    found.apply(stack)
    return found


def take_snapshot(cluster: Cluster) -> Path:
    """By a token that may do nothing else, as the machines' timer has it."""
    cluster.vault("policy", "write", "bakery-snapshot", FILES / "snapshot.hcl")
    words = ("-policy=bakery-snapshot", "-no-default-policy", "-ttl=1m", "-field=token")
    token = cluster.vault("token", "create", *words).strip()
    path = cluster.folder / "vault.snap"
    cluster.vault("operator", "raft", "snapshot", "save", path, token=token)
    with pytest.raises(subprocess.CalledProcessError, match="non-zero"):
        cluster.vault("kv", "get", "secret/bakery/web", token=token)
    return path


def password(cluster: Cluster) -> str:
    return cluster.vault("kv", "get", "-field=password", "secret/bakery/web")


def write(cluster: Cluster) -> str:
    return cluster.vault("kv", "put", "secret/bakery/audited", "password=x")


def restore(cluster: Cluster, snapshot: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [FILES / "restore.sh", snapshot], env=cluster.env(token=""), capture_output=True, text=True, check=False
    )


def test_a_dead_server_is_replaced_and_all_is_restored_from_a_snapshot(
    cluster: Cluster, provider: VaultProvider, stack: dict[str, Any], lasting: tuple[VaultServer, Path]
) -> None:
    assert provider.plan(stack) == []
    cluster.vault("kv", "put", "secret/bakery/web", "password=canary")
    snapshot = take_snapshot(cluster)
    until("a write", lambda: cluster.vault("kv", "put", "secret/bakery/web", "password=later"))
    dead = cluster.leader()
    dead.kill()
    until("another leader", lambda: cluster.leader() is not dead)
    assert password(cluster) == "later"
    cluster.vault("kv", "put", "secret/bakery/web", "password=without")
    cluster.start("four")
    until("the new server's vote", lambda: "four" in cluster.voters())
    assert dead.name in cluster.servers(), "it stays listed until it is taken for dead"

    # The minute that this takes is enough to restore the snapshot, into a cluster that never heard of the first one.
    new = Cluster(cluster.folder / "new", lasting[1], lasting[0])
    try:
        new.start("five")
        done = restore(new, snapshot)
        assert done.returncode == 0, done.stderr
        new.token = cluster.token  # the old root's is good there now
        assert until("the data", lambda: password(new)) == "canary"
        new.restart(new.nodes[0])  # until then, it speaks to others with the keys that raft had before
        until("its data again", lambda: password(new))
        new.start("six", "seven")
        until("three voters", lambda: new.voters() == {"five", "six", "seven"})
        assert new.listed() == {"five", "six", "seven"}
        assert VaultProvider(new.client(), provider.state).plan(stack) == []
        refused = restore(new, snapshot)
        assert refused.returncode == 1
        assert "is not a new cluster" in refused.stderr
    finally:
        new.stop()

    until("its removal", lambda: dead.name not in cluster.servers(), DEAD_SECONDS)
    assert cluster.voters() == {*THREE, "four"} - {dead.name}
    assert password(cluster) == "without"


def test_a_server_joins_only_where_the_certificate_has_the_name(cluster: Cluster) -> None:
    cluster.start("stranger", joined="vault.example.org")
    stranger = cluster.nodes.pop()
    try:
        until("its refusal", lambda: f"valid for {NAME}, not vault.example.org" in stranger.log)
        until("a list without it", lambda: "stranger" not in cluster.servers())
    finally:
        stranger.kill()


@pytest.mark.parametrize("setting", ["dead_server_last_contact_threshold=59s", "min_quorum=2"])
def test_vault_refuses_what_an_environment_cannot_say(cluster: Cluster, setting: str) -> None:
    good = {"dead_server_last_contact_threshold": "1m", "min_quorum": "3", "cleanup_dead_servers": "true"}
    name, value = setting.split("=")
    words = [f"{key}={found}" for key, found in {**good, name: value}.items()]
    path = "sys/storage/raft/autopilot/configuration"
    with pytest.raises(subprocess.CalledProcessError) as caught:
        cluster.vault("write", path, *words)
    assert "Errors:" in caught.value.stderr


@pytest.mark.usefixtures("provider")
def test_one_audit_device_is_enough_and_none_is_not(cluster: Cluster) -> None:
    log = cluster.folder / "audit.log"
    log.unlink()
    log.symlink_to("/dev/full")
    try:
        cluster.reload()
        until("a full disk", lambda: write(cluster) and "no space left on device" in cluster.leader().log)
        with pytest.raises(subprocess.CalledProcessError):
            cluster.vault("audit", "disable", "stdout")  # done, but its end could be written down nowhere
        with pytest.raises(subprocess.CalledProcessError):
            write(cluster)
    finally:
        log.unlink()
        cluster.reload()
    until("an empty disk", lambda: write(cluster))


def test_a_damaged_snapshot_stops_before_anything_is_touched(tmp_path: Path) -> None:
    damaged = tmp_path / "vault.snap"
    damaged.write_bytes(b"no snapshot")
    tools = FILES.parent / ".bakery" / "tools" / "bin"
    env = {"PATH": f"{tools}:{os.environ['PATH']}", "VAULT_ADDR": "http://127.0.0.1:1"}
    done = subprocess.run([FILES / "restore.sh", damaged], env=env, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "Error" in done.stderr
    assert "127.0.0.1:1" not in done.stderr
