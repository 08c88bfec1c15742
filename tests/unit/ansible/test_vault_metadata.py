"""The guard of a Vault node's credentials: it is installed, and the server does not start without it."""

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROLE = Path(__file__).parents[3] / "ansible" / "roles" / "vault"
UNIT = "vault-node-metadata.service"


def test_the_server_waits_for_the_guard() -> None:
    unit = (ROLE / "templates" / "vault.service.j2").read_text()
    assert f"Requires={UNIT}" in unit.splitlines()
    [after] = re.findall(r"^After=(.*)$", unit, re.MULTILINE)
    assert UNIT in after.split()


@pytest.mark.parametrize("address", ["ip daddr 169.254.169.254", "ip6 daddr fd00:ec2::254"])
def test_only_these_users_have_the_role(address: str) -> None:
    rules = (ROLE / "files" / "metadata.nft").read_text()
    [users] = re.findall(re.escape(address) + r" meta skuid != \{ (.*) \} reject", rules)
    assert users.split(", ") == ["root", "vault", "61184-65519"]


def test_the_guard_is_installed_with_its_program() -> None:
    tasks = YAML(typ="safe", pure=True).load((ROLE / "tasks" / "main.yml").read_text())
    [units] = [task["loop"] for task in tasks if task["name"] == "Write the units of nodes"]
    assert "-metadata.service" in units
    assert (ROLE / "files" / UNIT).read_text().endswith("nft --file /usr/local/lib/vault-node/metadata.nft\n")
    [rules] = [task for task in tasks if task.get("ansible.builtin.copy", {}).get("src") == "metadata.nft"]
    assert rules["ansible.builtin.copy"]["dest"] == "/usr/local/lib/vault-node/"
    for family in ("Debian", "RedHat"):
        assert "nftables" in (ROLE / "vars" / f"{family}.yml").read_text()
