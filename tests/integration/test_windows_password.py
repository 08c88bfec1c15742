"""The password of a Windows build: the real Packer and its plugin start Ansible, and no command line shows it.

A server answers as WinRM does, so that Packer takes it for a machine. `ansible-playbook` writes down its arguments.
"""

import base64
import json
import os
import re
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bakery.engine import toolbox
from bakery.model.project import Project
from doubles.serving import at_work

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "packer" / "templates"
PASSWORD = "canary-7a1d0e55-pass"
# The answers of WS-Management for one shell and one command (MS-WSMV); Packer waits for this line.
SHELL = "<w:SelectorSet><w:Selector Name='ShellId'>1</w:Selector></w:SelectorSet>"
COMMAND = "<rsp:CommandResponse><rsp:CommandId>2</rsp:CommandId></rsp:CommandResponse>"
OUTPUT = base64.b64encode(b"WinRM connected.\n").decode()
RECEIVE = f"""<rsp:ReceiveResponse><rsp:Stream Name="stdout" CommandId="2">{OUTPUT}</rsp:Stream>
<rsp:CommandState CommandId="2" State="http://schemas.microsoft.com/wbem/wsman/1/windows/shell/CommandState/Done">
<rsp:ExitCode>0</rsp:ExitCode></rsp:CommandState></rsp:ReceiveResponse>"""
ANSWERS = {"transfer/Create": SHELL, "shell/Command": COMMAND, "shell/Receive": RECEIVE}
ENVELOPE = """<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"
 xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
 xmlns:rsp="http://schemas.microsoft.com/wbem/wsman/1/windows/shell"><s:Header><a:Action>{action}</a:Action></s:Header><s:Body>{body}</s:Body></s:Envelope>"""
BUILD = """
source "null" "image" {
  communicator   = "winrm"
  winrm_host     = "127.0.0.1"
  winrm_port     = PORT
  winrm_username = "Administrator"
  winrm_password = lookup(local.secrets, "BUILD_PASSWORD", "")
}
build {
  source "null.image" { name = "windows" }
  PROVISIONER
}
"""
ANSIBLE = """#!{python} -IS
import json, os, pathlib, sys
found = dict(argv=sys.argv, password=os.environ.get("BUILD_PASSWORD", ""))
pathlib.Path({record!r}).write_text(json.dumps(found))
"""


class WinRm(BaseHTTPRequestHandler):
    """Answers each request as if one shell ran one command."""

    def do_POST(self) -> None:
        request = self.rfile.read(int(self.headers["Content-Length"])).decode()
        action = re.search(r"Action[^>]*>([^<]+)</", request)
        assert action
        body = next((answer for end, answer in ANSWERS.items() if action[1].endswith(end)), "")
        content = ENVELOPE.format(action=f"{action[1]}Response", body=body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/soap+xml;charset=UTF-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def provisioner(template: str) -> str:
    """The block of a template that runs Ansible."""
    text = (TEMPLATES / template / "windows.pkr.hcl").read_text()
    block = re.search(r'  provisioner "ansible" \{\n.*?\n  \}\n', text, re.DOTALL)
    assert block
    return block[0].replace("var.user", '"Administrator"').replace("local.no_login, ", "")


def build(folder: Path, template: str, plain: bool = False) -> dict[str, object]:
    """What ansible-playbook was given; with `plain` the block has no word against the plugin's habit."""
    record, playbook = folder / "record.json", folder / "ansible-playbook"
    playbook.write_text(ANSIBLE.format(python=sys.executable, record=str(record)))
    playbook.chmod(0o755)
    source = folder / "template"
    source.mkdir()
    for name in ("common.pkr.hcl", "ansible.pkr.hcl"):
        (source / name).write_text((TEMPLATES / name).read_text())
    (folder / "key").touch()
    (folder / "key.pub").touch()
    block = provisioner(template)
    if plain:
        block = block.replace("local.no_password_argument", "[]")
    project = Project(ROOT, ROOT / "packer" / "images", folder)
    values: dict[str, object] = dict.fromkeys(("image", "version", "artifact_name", "description", "manifest"), "web")
    values |= {"tags": {}, "secrets": {}, "ansible_vars": str(folder / "vars.json")}
    values |= {"ansible_playbook": str(playbook), "ansible_folder": str(ROOT / "ansible" / "playbooks")}
    values |= {"ssh_host_key": str(folder / "key"), "ssh_known_hosts": str(folder / "known_hosts")}
    (folder / "variables.json").write_text(json.dumps(values))
    environment = {
        "PACKER_PLUGIN_PATH": str(project.plugins),
        "CHECKPOINT_DISABLE": "1",
        "PKR_VAR_secret_values": json.dumps({"BUILD_PASSWORD": PASSWORD}),
        "HOME": str(folder),
    }
    with at_work(ThreadingHTTPServer(("127.0.0.1", 0), WinRm)) as server:
        text = BUILD.replace("PORT", str(server.server_port)).replace("PROVISIONER", block.lstrip())
        (source / "windows.pkr.hcl").write_text(text.replace("${build.Password}", "${local.secrets.BUILD_PASSWORD}"))
        packer = toolbox.find(project, "packer")
        command: list[str | Path] = [packer, "build", "-color=false", f"-var-file={folder / 'variables.json'}", source]
        run = subprocess.run(
            command, env=os.environ | environment, capture_output=True, text=True, timeout=60, check=False
        )
    assert run.returncode == 0, run.stdout + run.stderr
    assert PASSWORD not in run.stdout + run.stderr
    return dict(json.loads(record.read_text()))


@pytest.mark.parametrize("template", ["aws", "azure", "qemu", "vsphere"])
def test_ansible_gets_it_in_the_environment_alone(tmp_path: Path, template: str) -> None:
    given = build(tmp_path, template)
    assert given["password"] == PASSWORD
    assert PASSWORD not in json.dumps(given["argv"])


def test_the_plugin_would_show_it(tmp_path: Path) -> None:
    """Otherwise the tests above would show nothing."""
    assert f"ansible_password={PASSWORD}" in json.dumps(build(tmp_path, "qemu", plain=True)["argv"])
