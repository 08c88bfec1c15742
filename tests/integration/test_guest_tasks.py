"""Tasks of many kinds in a guest, whose interpreter they share: Ansible's own strategy starts one for each."""

import io
import tarfile
from pathlib import Path

import pytest

from bakery.bake import bake
from bakery.bake.request import BakeContext, BakeRequest
from bakery.engine import toolbox
from bakery.host.events import silent
from bakery.machine import disk_image
from bakery.machine.disk_image import BaseDisk
from bakery.machine.filesystem import root_of
from bakery.model.project import Project
from bakery.model.resources import SHIPPED
from doubles.packer import define

# 80 s of an emulated guest. The bakes of test_saved_boot.py, test_locks.py and test_roles.py use the same interpreter.
pytestmark = [pytest.mark.integration, pytest.mark.soak, pytest.mark.guest]

LARGE = 8 << 20  # bytes: a file that is sent in many pieces
TASKS = """\
- name: Make a user
  ansible.builtin.user: {name: worker}

- name: Work as this user
  become: true
  become_user: worker
  ansible.builtin.command: id -un
  register: result_user
  changed_when: false

- name: Run a script of the role
  ansible.builtin.script: hello.sh
  register: result_script

- name: Use a module and a filter of the role
  own_module: {name: thing}
  register: result_module

- name: Set the environment
  ansible.builtin.shell: echo $COLOUR
  environment: {COLOUR: blue}
  register: result_environment
  changed_when: false

- name: Start a command
  ansible.builtin.command: sleep 2
  async: 300
  poll: 0
  register: result_job
  changed_when: true

- name: Wait for it
  ansible.builtin.async_status: {jid: "{{ result_job.ansible_job_id }}"}
  register: result_end
  until: result_end.finished
  retries: 60
  delay: 1

- name: Write lines
  ansible.builtin.lineinfile: {path: /etc/lines, line: "{{ item }}", create: true, mode: "0644"}
  loop: [a, b]

- name: Unpack an archive of the role
  ansible.builtin.unarchive: {src: archive.tar.gz, dest: /opt}

- name: Send a large file
  ansible.builtin.copy: {src: large, dest: /opt/large, mode: "0644"}

- name: Let apt keep its lists elsewhere
  ansible.builtin.copy: {content: 'Dir::State::lists "/opt/lists/";', dest: /etc/apt/apt.conf.d/lists, mode: "0644"}

- name: Make the folder for them
  ansible.builtin.file: {path: /opt/lists/partial, state: directory, mode: "0755"}

- name: Use apt, which a task before has used with other settings
  ansible.builtin.apt: {update_cache: true, cache_valid_time: 0}

- name: Look for its lists
  ansible.builtin.stat: {path: /opt/lists/lock}
  register: result_lists

- name: Take the settings back
  ansible.builtin.file: {path: /etc/apt/apt.conf.d/lists, state: absent}

- name: Print much
  ansible.builtin.command: seq 1 100000
  register: result_output
  changed_when: false

- name: Look on the machine that bakes
  delegate_to: localhost
  ansible.builtin.stat: {path: "{{ playbook_dir }}"}
  register: result_folder

- name: Write down the results
  ansible.builtin.template: {src: results.j2, dest: /etc/results, owner: worker, mode: "0640"}
  notify: Write another line
"""
RESULTS = """\
{{ result_user.stdout }}
{{ result_script.stdout | trim }}
{{ result_module.said | twice }}
{{ result_environment.stdout }}
{{ result_output.stdout_lines | length }}
{{ result_folder.stat.exists }}
{{ result_lists.stat.exists }}
"""
EXPECTED = "worker\nhello\nthingthing\nblue\n100000\nTrue\nTrue\n"
HANDLERS = """\
- name: Write another line
  ansible.builtin.lineinfile: {path: /etc/lines, line: handled}
"""
MODULE = """\
from ansible.module_utils.basic import AnsibleModule

module = AnsibleModule(argument_spec={"name": {"type": "str"}})
module.exit_json(changed=False, said=module.params["name"])
"""
FILTERS = """\
class FilterModule:
    def filters(self):
        return {"twice": lambda text: text + text}
"""


def write_role(role: Path) -> None:
    texts = {
        "tasks/main.yml": TASKS,
        "handlers/main.yml": HANDLERS,
        "templates/results.j2": RESULTS,
        "library/own_module.py": MODULE,
        "filter_plugins/own_filters.py": FILTERS,
        "files/hello.sh": "#!/bin/sh\necho hello\n",
        "files/large": "0123456\n" * (LARGE // 8),
        "meta/bakery.yml": "modes: [vm]\n",
    }
    for name, text in texts.items():
        (role / name).parent.mkdir(parents=True, exist_ok=True)
        (role / name).write_text(text)
    with tarfile.open(role / "files" / "archive.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("inside")
        member.size = 7
        archive.addfile(member, io.BytesIO(b"inside\n"))


def test_they_work_as_with_an_interpreter_for_each(tmp_path: Path, base_disk: BaseDisk) -> None:
    root = tmp_path / "project"
    project = Project(root, root / "packer" / "images", tmp_path / "workspace", SHIPPED)
    write_role(root / "ansible" / "roles" / "many")
    image = define(
        os="debian-13", mode="vm", updates="none", software={"packages": ["sudo"], "roles": [{"name": "many"}]}
    )
    context = BakeContext(project, toolbox.toolchain(project), None, silent)
    artifact = bake(BakeRequest(image, "1.0.0", {}, "k" * 64), base_disk, context)
    with disk_image.as_raw(Path(artifact.disk.path)) as raw:
        system = root_of(raw)
        assert system
        assert system.read("/etc/results") == EXPECTED
        assert system.read("/etc/lines") == "a\nb\nhandled\n"
        assert system.read("/opt/inside") == "inside\n"
        found = system.find("/opt/large")
        assert found and found.size == LARGE
    assert "mitogen" not in Path(artifact.log).read_text(errors="replace").lower(), "it has nothing to say"
