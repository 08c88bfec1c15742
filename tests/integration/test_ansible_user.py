"""Where root bakes, Ansible runs as the user nobody: what code of a role tries on the machine that bakes."""

import json
import os
import socket
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bakery.bake import separation
from bakery.clouds.job import Job, Toolchain
from bakery.host.events import Event, silent
from bakery.model.project import Project
from doubles.packer import define

SYSTEM_PYTHON = Path("/usr/bin/python3")
HERE = sysconfig.get_python_version()

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can start Ansible as another user: run the tests as root"),
]

# In place of ansible-playbook. Its arguments: a file for the report, and what to open, list and connect to.
ATTACKER = """#!/usr/bin/python3 -I
import json, os, socket, sys
if sys.argv[1] == "--version":
    sys.exit(0)
report, *targets = sys.argv[1:]
reached = []
for target in targets:
    try:
        if target.endswith(".sock"):
            socket.socket(socket.AF_UNIX).connect(target)
        elif os.path.isdir(target):
            os.listdir(target)
        else:
            open(target, "rb").read(1)
    except OSError:
        continue
    reached.append(target)
seen = []
for process in filter(str.isdigit, os.listdir("/proc")):
    try:
        seen.append("LOGIN" in open(f"/proc/{process}/environ").read())
    except OSError:
        pass
with open(report, "w") as file:
    json.dump({"user": os.getuid(), "reached": reached, "login": any(seen), "groups": os.getgroups()}, file)
sys.exit(7)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder on whose way other users are: those of pytest are for root alone."""
    with tempfile.TemporaryDirectory(prefix="bakery-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def job(folder: Path) -> Job:
    """A build at a target, in a workspace that is for root alone."""
    playbooks = folder / "project" / "ansible" / "playbooks"
    playbooks.mkdir(parents=True)
    (playbooks / "bake.yml").write_text("[]\n")
    (playbooks.parent / "roles" / "nginx").mkdir(parents=True)
    ansible = folder / "ansible-playbook"
    ansible.write_text(ATTACKER)
    ansible.chmod(0o755)
    workspace = folder / "workspace"
    scratch = workspace / "drafts" / "1.0.0"
    scratch.mkdir(parents=True)
    workspace.chmod(0o700)
    project = Project(folder / "project", folder / "project" / "packer" / "images", workspace)
    toolchain = Toolchain(folder / "packer", folder / "plugins", ansible, "tcg", {})
    made = Job(project, define(), "1.0.0", "aws", None, toolchain, scratch, workspace / "bake.log", silent)
    made.ansible_files.mkdir(mode=0o700)
    return made


def run_attacker(job: Job, temporary: Path, *targets: Path) -> dict[str, Any]:
    """What a role reaches if Packer starts it with a login in its environment."""
    command: list[str | Path] = [separation.separate_ansible(job), job.ansible_files / "report", *targets]
    environment = {**os.environ, "TMPDIR": str(temporary), "LOGIN": "of Packer"}
    words: list[str | Path] = ["sh", "-c", 'env -u LOGIN "$@"; exit "$?"', "sh", *command]
    assert subprocess.run(words, env=environment, check=False, timeout=60).returncode == 7
    return dict(json.loads((job.ansible_files / "report").read_text()))


def test_a_role_reaches_its_own_files_alone(job: Job, folder: Path) -> None:
    job.project.workspace.joinpath("key").write_text("of the bakery")
    job.ansible_files.joinpath("ansible.json").write_text("{}")
    temporary = folder / "temporary"
    temporary.mkdir(mode=0o700)
    temporary.joinpath("ansible-key").write_text("of the build")
    temporary.joinpath("ansible-key").chmod(0o600)
    plugin = temporary / "packer-plugin.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(plugin))
        listening.listen()
        plugin.chmod(0o777)
        own = [job.ansible_files, job.ansible_files / "ansible.json", temporary / "ansible-key"]
        others = [job.project.workspace, job.project.workspace / "key", job.scratch / "ansible-playbook", plugin]
        others.append(Path("/etc/shadow"))
        report = run_attacker(job, temporary, *own, *others)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(plugin))
    assert report == {"user": 65534, "reached": [str(path) for path in own], "login": False, "groups": []}
    assert job.project.workspace.joinpath("key").read_text() == "of the bakery", "the view ends with the command"


def test_as_root_it_would_reach_all(job: Job, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the test before would show nothing."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    job.project.workspace.joinpath("key").write_text("of the bakery")
    targets = [job.project.workspace / "key", Path("/etc/shadow")]
    assert run_attacker(job, folder, *targets)["reached"] == [str(path) for path in targets]


def test_a_project_that_nobody_else_can_read_is_named(job: Job, folder: Path) -> None:
    events: list[Event] = []
    (folder / "project" / "ansible" / "roles" / "nginx" / "secret.yml").touch(mode=0o600)
    wrapper = separation.separate_ansible(replace(job, report=events.append))
    assert "as_nobody" not in wrapper.read_text()
    (event,) = events
    role = job.project.resources.role("nginx")
    reason = f"head: cannot open '{role}/secret.yml' for reading: Permission denied"
    assert event.text == f"roles run as root of this machine: {reason}"


@pytest.mark.skipif(
    subprocess.run([SYSTEM_PYTHON, "--version"], capture_output=True, text=True, check=False).stdout[7:11] != HERE,
    reason=f"the modules here are for Python {HERE}, and {SYSTEM_PYTHON}, which every user can start, is another",
)
def test_real_ansible_works_as_nobody(job: Job, folder: Path) -> None:
    """With temporary files, a task on this machine and a report, also after Ansible ran as root."""
    remote = Path("/dev/shm/ansible")
    remote.mkdir(mode=0o700, exist_ok=True)
    ansible = folder / "ansible-playbook"
    packages = sysconfig.get_path("purelib")
    ansible.write_text(
        f"#!{SYSTEM_PYTHON}\nimport sys\nsys.path.insert(0, {packages!r})\n"
        "from ansible.cli.playbook import main\nsys.exit(main())\n"
    )
    temporary = folder / "temporary"
    temporary.mkdir(mode=0o700)
    (temporary / "play.yml").write_text(
        "- hosts: localhost\n  gather_facts: false\n"
        "  vars: {ansible_python_interpreter: /usr/bin/python3}\n  tasks:\n"
        "    - ansible.builtin.tempfile: {state: file}\n      register: temporary\n"
        "    - ansible.builtin.command: id -un\n      register: user\n"
        "    - ansible.builtin.copy:\n"
        f"        content: '{{{{ user.stdout }}}} {{{{ temporary.path | dirname }}}}'\n"
        f"        dest: {job.test_report}\n"
    )
    done = subprocess.run(
        [separation.separate_ansible(job), "-i", "localhost,", "-c", "local", temporary / "play.yml"],
        env={"PATH": os.environ["PATH"], "TMPDIR": str(temporary), "ANSIBLE_HOME": str(temporary / "ansible")}
        | {"ANSIBLE_REMOTE_TMP": str(remote)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert job.test_report.read_text() == f"nobody {job.ansible_files}/tmp"
