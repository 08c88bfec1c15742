"""Variables of roles in a definition: Ansible takes their text as data."""

import subprocess
import sys
from pathlib import Path

import pytest

from bakery.bake.variables import ansible_variables
from bakery.clouds.job import Job, Toolchain
from bakery.host.events import silent
from bakery.model.definition import ImageDefinition
from bakery.model.project import Project

pytestmark = pytest.mark.integration

PLAY = """
- hosts: localhost
  connection: local
  gather_facts: false
  vars: {ansible_python_interpreter: "{{ ansible_playbook_python }}"}
  tasks:
    - ansible.builtin.include_role: {name: "{{ software_role }}"}
      loop: "{{ software_roles }}"
      loop_control: {loop_var: software_role}
"""
TASKS = """
- ansible.builtin.copy: {content: "{{ motd_text }}|{{ motd_lines | first }}", dest: "{{ report }}", mode: "0600"}
  when: software_updates != 'none'
"""


def run_role(folder: Path, text: str, declared: str) -> str:
    """The text that a role writes for a variable, run by Ansible with the variables of a bake."""
    role = folder / "ansible" / "roles" / "motd"
    (role / "tasks").mkdir(parents=True)
    (role / "tasks" / "main.yml").write_text(TASKS)
    (role / "meta").mkdir()
    (role / "meta" / "bakery.yml").write_text(declared)
    definition = ImageDefinition.model_validate(
        {
            "name": "web",
            "description": "A web server",
            "os": "debian-12",
            "arch": "x86_64",
            "version": "1.0",
            "base": {"qemu": {"image": "debian-12"}},
            "software": {"roles": ({"name": "motd", "vars": {"motd_text": text, "motd_lines": [text]}},)},
        }
    )
    project = Project(folder, folder, folder)
    toolchain = Toolchain(folder, folder, folder, "tcg", {})
    job = Job(project, definition, "1.0.0", "qemu", None, toolchain, folder, folder / "log", silent)
    (folder / "vars.json").write_bytes(ansible_variables(job))
    (folder / "play.yml").write_text(PLAY)
    command: list[str | Path] = [Path(sys.executable).with_name("ansible-playbook"), "play.yml", "-e", "@vars.json"]
    done = subprocess.run(
        [*command, "-e", f"report={folder / 'report'}"],
        cwd=folder,
        stdin=subprocess.DEVNULL,  # Ansible refuses one that does not block, which a caller of the tests may have
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return (folder / "report").read_text()


def test_a_template_in_a_definition_runs_nothing(tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    text = f"{{{{ lookup('pipe', 'touch {proof}; id') }}}}"
    # The role's folder is found as a bake finds it: beside the play.
    (tmp_path / "roles").symlink_to(tmp_path / "ansible" / "roles")
    assert run_role(tmp_path, text, "modes: [vm]\n") == f"{text}|{text}"
    assert not proof.exists()


def test_a_role_may_take_templates(tmp_path: Path) -> None:
    (tmp_path / "roles").symlink_to(tmp_path / "ansible" / "roles")
    assert run_role(tmp_path, "{{ 6 * 7 }}", "templates: true\n") == "42|42"
