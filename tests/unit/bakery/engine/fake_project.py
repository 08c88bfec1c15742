"""A project on disk with one definition, its roles and its templates, for tests of the inputs of a bake."""

import json
from pathlib import Path
from typing import Any

from bakery.clouds.definitions import Definition
from bakery.engine.fingerprint import Fingerprints
from bakery.model.inputs import Inputs
from bakery.model.project import Project

TOOLS = {"packer": "1.11.2", "qemu-img": "7.2.0"}
MACHINE = {"type": "pc", "memory_mib": "2048"}
FILES = {
    "ansible/playbooks/ansible.cfg": "[defaults]\n",
    "ansible/.ansible-lint": "profile: production\n",
    "ansible/playbooks/bake.yml": "- hosts: all\n",
    "ansible/playbooks/bake-windows.yml": "- hosts: all\n",
    "ansible/playbooks/requirements.yml": "collections: []\n",
    "ansible/playbooks/filter_plugins/names.py": "",
    "ansible/roles/nginx/tasks/main.yml": (
        '- ansible.builtin.include_vars: "{{ ansible_facts.os_family }}.yml"\n- include_role: {name: tls}\n'
    ),
    "ansible/roles/nginx/vars/main.yml": "{}\n",
    **{f"ansible/roles/nginx/vars/{family}.yml": "{}\n" for family in ("Debian", "RedHat", "Windows")},
    "ansible/roles/nginx/meta/bakery.yml": "modes: [vm]\n",
    "ansible/roles/nginx/meta/argument_specs.yml": "argument_specs: {}\n",
    "ansible/roles/nginx/tasks/deep/site.yaml": "- ansible.builtin.import_role:\n    # why\n    name: site\n",
    "ansible/roles/nginx/handlers/main.yml": "- include_role: name=restart\n",
    "ansible/roles/nginx/meta/main.yml": "dependencies: [common, {role: users}, {name: time}]\n",
    "ansible/roles/nginx/files/run.sh": "#!/bin/sh\n",
    "ansible/roles/common/meta/main.yml": "dependencies: [deep]\n",
    "ansible/roles/common/tasks/main.yml": "[]\n",
    **{
        f"ansible/roles/{name}/tasks/main.yml": f"# {name}\n[]\n"
        for name in ("tls", "site", "restart", "users", "time", "deep", "seal", "unrelated")
    },
    "packer/templates/qemu/image.pkr.hcl": 'source "qemu" "image" {\n}\n',
    "packer/templates/qemu/linux.pkr.hcl": "build {\n}\n",
    "packer/templates/qemu/linux/user-data": "#cloud-config\n",
    "packer/templates/qemu/windows.pkr.hcl": 'build {\n  source "qemu.image" {\n  }\n}\n',
    "packer/templates/qemu/windows/unattend.xml": "<unattend/>\n",
    "packer/templates/aws/image.pkr.hcl": "locals {}\n",
    "packer/templates/chroot/chroot.pkr.hcl": "source {}\n",
    "packer/base/debian/customize.sh": "#!/bin/sh\n",
    "packer/images/own/mine.pkr.hcl": "source {}\n",
    "packer/tests/test_web.py": "",
    "elsewhere/motd": "hello\n",
    "elsewhere/pages/index.html": "hello\n",
}
IMAGE: dict[str, Any] = {
    "name": "web",
    "description": "A web server",
    "os": "debian-12",
    "arch": "x86_64",
    "version": "1.0",
    "base": {"qemu": {"image": "debian-12"}},
    "software": {"packages": ["curl"], "roles": [{"name": "nginx", "vars": {"port": 8080, "sites": {"a": 1, "b": 2}}}]},
    "secrets": {"token": {"path": "secret/data/web", "key": "token"}},
}


class FakeProject:
    """A project on disk, one definition in it, and the inputs that they give."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.shipped = root / "shipped"
        self.image = json.loads(json.dumps(IMAGE))
        self.tools = dict(TOOLS)
        self.machine = dict(MACHINE)
        self.base = "b" * 64
        for name, text in FILES.items():
            self.write(name, text)
        for name in ("motd", "pages"):
            (root / "ansible/roles/nginx/files" / name).symlink_to(f"../../../../elsewhere/{name}")

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def fingerprints(self) -> Fingerprints:
        project = Project(self.root, self.root / "packer/images", self.root / ".bakery", self.shipped)
        return Fingerprints(project, self.tools, self.machine)

    def inputs(self) -> Inputs:
        image = Definition.model_validate_json(json.dumps(self.image))
        return self.fingerprints().inputs(image, self.root / "packer/images/web.yaml", self.base)
