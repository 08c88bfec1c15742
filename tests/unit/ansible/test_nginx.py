"""The role nginx: its hash of a password can be computed by nobody beforehand."""

import subprocess
from pathlib import Path

from ruamel.yaml import YAML

TASKS = Path(__file__).parents[3] / "ansible" / "roles" / "nginx" / "tasks" / "main.yml"
PASSWORD = "canary-51c0b2aa-pass"
FILE = "/etc/nginx/status.htpasswd"


def hash_password(file: Path) -> str:
    """Run the command of the role's task, with another password file."""
    (block,) = [task["block"] for task in YAML(typ="safe").load(TASKS) if "block" in task]
    (task,) = [task for task in block if task["name"] == "Hash the password of the status page"]
    command = task["ansible.builtin.shell"]["cmd"]
    assert FILE in command
    command = command.replace(FILE, str(file))
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
