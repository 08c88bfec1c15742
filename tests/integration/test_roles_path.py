"""Ansible finds the very roles that `Resources` names: a user's own before a shipped one of the same name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bakery.model.resources import Resources

pytestmark = pytest.mark.integration

PLAYBOOK = Path(sys.executable).parent / "ansible-playbook"


def write_role(root: Path, name: str, text: str) -> None:
    tasks = root / "ansible" / "roles" / name / "tasks" / "main.yml"
    tasks.parent.mkdir(parents=True)
    tasks.write_text(text)


def run(resources: Resources, play: str, home: Path) -> str:
    """What a play says that lies where bake.yml does."""
    playbook = resources.playbooks / "play.yml"
    playbook.write_text(play)
    environment = {
        "ANSIBLE_ROLES_PATH": resources.roles_path,
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "ANSIBLE_HOME": str(home),
        "HOME": str(home),
    }
    command: list[str | Path] = [PLAYBOOK, "--inventory", "localhost,", "--connection", "local", playbook]
    done = subprocess.run(
        command,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,  # Ansible refuses one that does not block, which a caller of the tests may have
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


def test_the_users_role_comes_first(tmp_path: Path) -> None:
    resources = Resources(tmp_path / "project", tmp_path / "shipped")
    (resources.shipped / "ansible" / "playbooks").mkdir(parents=True)
    write_role(resources.project, "seal", "- debug: {msg: sealed by the project}\n")
    write_role(resources.shipped, "seal", "- debug: {msg: sealed by the bakery}\n")
    write_role(resources.shipped, "web", "- include_role: {name: seal}\n")
    play = "- {hosts: all, gather_facts: false, tasks: [{include_role: {name: web}}]}\n"
    said = run(resources, play, tmp_path)
    assert "sealed by the project" in said
    assert "sealed by the bakery" not in said


def test_no_roles_lie_beside_the_shipped_playbooks() -> None:
    """Ansible would look there first, and a user's role would not be found."""
    playbooks = Path(__file__).parents[2] / "ansible" / "playbooks"
    assert (playbooks / "bake.yml").is_file()
    assert not (playbooks / "roles").exists()


def test_a_role_of_the_users_installs_what_a_vendor_publishes(tmp_path: Path) -> None:
    """By the shipped role `vendor_file`, which checks the arguments that it gets."""
    shipped = Path(__file__).parents[2]
    project = Resources(tmp_path / "project", shipped)
    (project.project / "ansible" / "playbooks").mkdir(parents=True)
    program = tmp_path / "published"
    program.write_text("#!/bin/sh\n")
    digest = subprocess.run(["sha256sum", program], capture_output=True, text=True, check=True).stdout.split()[0]
    target = tmp_path / "installed"
    write_role(
        project.project,
        "mine",
        "- include_role: {name: vendor_file}\n"
        "  vars:\n"
        f"    vendor_file_url: {program.as_uri()}\n"
        f"    vendor_file_sha256: {digest}\n"
        "    vendor_file_install: program\n"
        f"    vendor_file_program: ../../..{target}\n",  # below /usr/local/bin
    )
    play = "- {hosts: all, gather_facts: false, tasks: [{include_role: {name: mine}}]}\n"
    run(project, play, tmp_path)
    assert target.read_bytes() == program.read_bytes()
    assert os.access(target, os.X_OK)
    assert not list(tmp_path.glob("bakery-*")), "the controller keeps nothing"
