"""Programs in the root of an image that is baked without a guest: none sees a secret of the controller."""

import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bakery.host.waiting import wait_until
from bakery.machine.ext import ExtReader
from bakery.machine.filesystem import root_of
from doubles.disks import write_disk

pytestmark = [pytest.mark.integration, pytest.mark.root]

TEMPLATE = Path(__file__).parents[2] / "packer" / "templates" / "chroot"
SECRET = "canary-8d0c5f37-pass"
PROGRAMS = ("sh", "cat", "env", "readlink", "tr")
# The attacker: a program that runs as root in the image, such as a package's script, and reads what it can.
PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.raw: env
      register: own
    - ansible.builtin.raw: cat /proc/[0-9]*/environ | tr '\\0' '\\n'
      register: others
    - ansible.builtin.copy:
        content: "{{ {'own': own.stdout, 'others': others.stdout} | to_json }}"
        dest: "{{ report }}"
        mode: "0600"
      delegate_to: localhost
      vars: {ansible_connection: local, ansible_python_interpreter: "{{ ansible_playbook_python }}"}
"""


def write_root(tree: Path) -> None:
    """A root file system with a shell, its tools and their libraries."""
    for name in ("bin", "dev", "etc", "proc", "run", "sys", "tmp", "usr/sbin"):
        (tree / name).mkdir(parents=True)
    for name in PROGRAMS:
        program = shutil.which(name)
        assert program
        shutil.copy(Path(program).resolve(), tree / "bin" / name)
        for library in re.findall(r"/\S+", subprocess.check_output(["ldd", program], text=True)):
            target = tree / library.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(Path(library).resolve(), target)


def run_in_image(folder: Path, play: str = PLAY, **environment: str) -> None:
    """Run a play in a disk's root by the template's script, as Packer does."""
    write_root(folder / "tree")
    write_disk(folder / "tree", folder / "base.qcow2")
    (folder / "output").mkdir()
    (folder / "play.yml").write_text(play)
    (folder / "vars.json").write_text(json.dumps({"report": str(folder / "report.json")}))
    given = {
        "BASE_DISK": folder / "base.qcow2",
        "OUTPUT": folder / "output",
        "PID_FILE": folder / "holder.pid",
        "FOLDER": TEMPLATE,
        "ANSIBLE_PLAYBOOK": Path(sys.executable).with_name("ansible-playbook"),
        "ANSIBLE_HOME": folder / "ansible",
        "PLAYBOOK": folder / "play.yml",
        "ANSIBLE_VARS": folder / "vars.json",
    }
    variables = {name: str(value) for name, value in given.items()}
    environment = {**os.environ, **variables, **environment}
    subprocess.run([TEMPLATE / "chroot.sh"], env=environment, stdin=subprocess.DEVNULL, check=True)


def test_no_program_in_the_image_sees_a_secret(tmp_path: Path) -> None:
    run_in_image(tmp_path, NGINX_STATUS_PASSWORD=SECRET, http_proxy="http://proxy.example.com:3128")
    found = json.loads((tmp_path / "report.json").read_text())
    assert SECRET not in found["own"]
    assert SECRET not in found["others"]
    names = {line.partition("=")[0] for line in found["own"].splitlines()}
    assert {"PATH", "SYSTEMD_OFFLINE", "debian_chroot"} <= names
    assert "http_proxy=http://proxy.example.com:3128" in found["own"], "a package manager may need it"
    assert "debian_chroot=bakery" in found["others"], "it reads what it can see"


WRITE = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.raw: echo written >/etc/last
    - ansible.builtin.command: touch {{ report }}
      delegate_to: localhost
      vars: {ansible_connection: local, ansible_python_interpreter: "{{ ansible_playbook_python }}"}
    - ansible.builtin.pause: {seconds: 2}
"""


def test_the_bake_waits_for_a_process_elsewhere_that_uses_the_disk(tmp_path: Path) -> None:
    """With mounts of its own it does not hinder the bake, and the last one that uses a file system writes it."""
    with ThreadPoolExecutor() as pool:
        bake = pool.submit(run_in_image, tmp_path, WRITE)
        assert wait_until(lambda: (tmp_path / "report.json").exists() or None, 60, 0.1)
        holder = (tmp_path / "holder.pid").read_text().strip()
        use = ("unshare", "--mount", "--propagation", "private", "sh", "-c", 'cd "$1"; sleep 5', "sh")
        root = tmp_path / "output" / "root"
        with subprocess.Popen(["nsenter", f"--mount=/proc/{holder}/ns/mnt", *use, root]) as other:
            bake.result()
            system = root_of(tmp_path / "output" / "disk.raw")
            assert system
            with ExtReader(system.raw, system.partition) as reader:
                assert reader.is_unmounted
                assert b"/etc/last" in {path for path, _ in reader.walk()}
            assert other.wait() == 0
