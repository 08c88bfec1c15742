"""The role nginx: its hash of a password can be computed by nobody beforehand."""

import json
import os
import subprocess
import sys
from pathlib import Path
from shutil import which
from typing import Any

import pytest
from ruamel.yaml import YAML

TASKS = Path(__file__).parents[3] / "ansible" / "roles" / "nginx" / "tasks" / "main.yml"
PASSWORD = "canary-51c0b2aa-pass"
FILE = "/etc/nginx/status.htpasswd"


def hashing_task(file: Path) -> dict[str, Any]:
    """The role's task, with another password file."""
    (block,) = [task["block"] for task in YAML(typ="safe").load(TASKS) if "block" in task]
    (task,) = [task for task in block if task["name"] == "Hash the password of the status page"]
    command = task["ansible.builtin.shell"]
    assert FILE in command["cmd"]
    command["cmd"] = command["cmd"].replace(FILE, str(file))
    return dict(task)


def hash_password(file: Path) -> str:
    """Run the command of the role's task."""
    command = hashing_task(file)["ansible.builtin.shell"]["cmd"]
    return subprocess.check_output(["sh", "-c", command], input=f"{PASSWORD}\n", text=True).strip()


def test_two_images_get_different_salts(tmp_path: Path) -> None:
    first, second = hash_password(tmp_path / "none"), hash_password(tmp_path / "none")
    assert first.startswith("$6$") and second.startswith("$6$")
    assert first.split("$")[2] != second.split("$")[2]


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "status.htpasswd"
    first = hash_password(file)
    file.write_text(f"status:{first}\n")
    assert hash_password(file) == first


def test_a_lost_output_is_no_empty_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Ansible loses it at times: with exit code 0, and nothing printed."""
    openssl, lost = tmp_path / "openssl", tmp_path / "lost"
    openssl.write_text(f'#!/bin/sh\n[ -e {lost} ] || {{ : >{lost}; exit 0; }}\nexec {which("openssl")} "$@"\n')
    openssl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"nginx_status_password": PASSWORD, "ansible_python_interpreter": sys.executable},
        "tasks": [
            hashing_task(tmp_path / "none"),
            {"ansible.builtin.copy": {"content": "{{ nginx_status_hash.stdout }}", "dest": f"{tmp_path}/hash"}},
        ],
    }
    (tmp_path / "play.json").write_text(json.dumps([play]))
    program = Path(sys.executable).with_name("ansible-playbook")
    subprocess.run([program, "-i", "localhost,", tmp_path / "play.json"], check=True, capture_output=True)
    assert lost.exists()
    assert (tmp_path / "hash").read_text().startswith("$6$")
