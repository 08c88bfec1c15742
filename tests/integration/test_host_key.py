"""The host key of a build's machine: the settings with which the real Ansible starts ssh for our templates."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bakery.clouds.local.builder import find_strategies
from bakery.engine import toolbox
from bakery.machine import ssh
from bakery.model.project import Project

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "packer" / "templates"
PLACE = {"HostAlias": "image", "Host": "192.0.2.7", "User": "admin", "Port": "2222"}
# Writes down its arguments and fails, as ssh does with a machine that it cannot reach.
SSH = '#!/bin/sh\n[ "$1" != -V ] || exit 0\nprintf "%s\\n" "$@" >"{record}"\nexit 255\n'


def read_inventory(folder: Path, known_hosts: Path, key: Path) -> str:
    """The inventory of the templates, as Packer computes it."""
    source = folder / "template"
    source.mkdir()
    for name in ("common.pkr.hcl", "ansible.pkr.hcl"):
        (source / name).write_text((TEMPLATES / name).read_text())
    values: dict[str, object] = dict.fromkeys(("image", "version", "artifact_name", "description", "manifest"), "web")
    values |= {"tags": {}, "secrets": {}, "ansible_vars": "x", "ansible_playbook": "x", "ansible_folder": "x"}
    values |= {"ssh_host_key": str(key), "ssh_known_hosts": str(known_hosts)}
    (folder / "variables.json").write_text(json.dumps(values))
    project = Project(ROOT, ROOT / "packer" / "images", folder)
    environment = {"PACKER_PLUGIN_PATH": str(project.plugins), "CHECKPOINT_DISABLE": "1"}
    answer = subprocess.run(
        [toolbox.find(project, "packer"), "console", f"-var-file={folder / 'variables.json'}", source],
        input="local.pinned_inventory\n",
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    for name, value in PLACE.items():
        answer = answer.replace(f"{{{{ .{name} }}}}", value)
    return answer


@pytest.mark.parametrize("strategy", ["linear", "mitogen_linear"], ids=["machines at targets", "guests here"])
def test_ansible_talks_to_the_machine_of_the_bake_alone(tmp_path: Path, strategy: str) -> None:
    host_key = ssh.make_host_key(tmp_path)
    (tmp_path / "inventory").write_text(read_inventory(tmp_path, host_key.known_hosts, host_key.path) + "\n")
    record = tmp_path / "arguments"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ssh").write_text(SSH.format(record=record))
    (tmp_path / "bin" / "ssh").chmod(0o755)
    environment = {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "ANSIBLE_CONFIG": str(ROOT / "ansible" / "playbooks" / "ansible.cfg"),
        "ANSIBLE_HOME": str(tmp_path / "ansible"),
        "ANSIBLE_STRATEGY": strategy,
        "ANSIBLE_STRATEGY_PLUGINS": str(find_strategies()),
    }
    ansible = Path(sys.executable).with_name("ansible")
    run = subprocess.run(
        [ansible, "-i", tmp_path / "inventory", "image", "-m", "raw", "-a", "true"],
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,  # Ansible refuses one that does not block, which a caller of the tests may have
        capture_output=True,
        text=True,
        check=False,
    )
    assert record.exists(), run.stdout + run.stderr
    arguments = record.read_text().splitlines()
    options = arguments[: arguments.index(PLACE["Host"])]
    answer = subprocess.check_output(["ssh", "-G", *options, PLACE["Host"]], text=True)
    settings = dict(line.split(" ", 1) for line in answer.splitlines() if " " in line)
    assert settings["stricthostkeychecking"] == "true"
    assert settings["userknownhostsfile"] == str(host_key.known_hosts)
    assert settings["globalknownhostsfile"] == "/dev/null"
    assert settings["hostkeyalias"] == "image"
    found = subprocess.check_output(["ssh-keygen", "-F", "image", "-f", host_key.known_hosts], text=True)
    assert host_key.path.with_name("host_key.pub").read_text().split()[1] in found
