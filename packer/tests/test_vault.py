"""The Vault image: nothing to tell, a server that starts with its configuration, and memory that is never swapped."""

import json

from testinfra.host import Host

# Storage in memory and no TLS: for this look only.
CONFIGURATION = 'storage "inmem" {} listener "tcp" { address = "127.0.0.1:8200" tls_disable = true }'
STATUS = "VAULT_ADDR=http://127.0.0.1:8200 vault status -format=json"
UNITS = ("vault-node-metadata", "vault-node-disks", "vault-node-tls", "vault-node-snapshot", "vault-node-report")
IPC_LOCK = 1 << 14  # CAP_IPC_LOCK of linux/capability.h


def test_there_is_no_configuration(host: Host) -> None:
    folder = host.file("/etc/vault.d")
    assert (folder.user, folder.group, folder.mode) == ("root", "vault", 0o750)
    with host.sudo():
        assert folder.listdir() == []


def test_the_unit_waits_for_it(host: Host) -> None:
    assert host.service("vault").is_enabled
    assert not host.service("vault").is_running


def test_a_machine_that_is_no_node_starts_nothing_of_one(host: Host) -> None:
    assert host.service("vault-node.target").is_enabled
    assert not host.file("/etc/vault-node/settings.json").exists
    for unit in UNITS:
        results = host.check_output("systemctl show --property=ConditionResult,ActiveState --value %s", unit).split()
        assert results == ["inactive", "no"]
    assert not host.mount_point("/var/lib/vault").exists


def test_the_units_of_a_node_are_sound(host: Host) -> None:
    done = host.run(f"systemd-analyze verify vault-node.target {' '.join(f'{unit}.service' for unit in UNITS)}")
    assert "vault" not in done.stderr, done.stderr


def test_the_rules_that_guard_the_role_are_sound(host: Host) -> None:
    with host.sudo():
        assert host.run("nft --check --file /usr/local/lib/vault-node/metadata.nft").rc == 0


def test_audit_logs_are_rotated_each_day(host: Host) -> None:
    assert host.service("logrotate.timer").is_enabled
    done = host.run("logrotate --debug /etc/logrotate.d/vault")
    assert "error" not in done.stderr, done.stderr


def test_memory_is_never_swapped_even_where_it_is_not_locked(host: Host) -> None:
    assert host.check_output("systemctl show --property=MemorySwapMax --value vault") == "0"


def test_the_program_has_no_capability_of_its_own(host: Host) -> None:
    assert host.run("getfattr --name=security.capability /usr/local/bin/vault").rc != 0
    assert host.check_output("vault version").startswith("Vault v")


def test_it_starts_with_its_configuration_and_locks_its_memory(host: Host) -> None:
    with host.sudo():
        host.check_output("printf '%%s' %s >/etc/vault.d/test.hcl", CONFIGURATION)
        host.check_output("systemctl start vault")
        main = host.check_output("systemctl show --property=MainPID --value vault")
        status = dict(line.split(":\t", 1) for line in host.file(f"/proc/{main}/status").content_string.splitlines())
        owner = host.check_output("stat --format=%%U /proc/%s", main)
    assert json.loads(host.run(STATUS).stdout)["initialized"] is False
    assert owner == "vault"
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == IPC_LOCK
    assert int(status["VmLck"].split()[0]) > 0
