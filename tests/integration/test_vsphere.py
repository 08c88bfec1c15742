"""Builds by Packer in vSphere: a clone with a real Packer and guest; what has no double is only validated."""

from pathlib import Path
from typing import Any

import pytest

from bakery.bake import remote, validator
from bakery.bake.request import BakeContext, BakeRequest
from bakery.clouds.definitions import Definition
from bakery.clouds.vsphere import notes
from bakery.clouds.vsphere.session import SoapSession
from bakery.clouds.vsphere.target import VsphereTarget
from bakery.clouds.vsphere.template import find_base
from bakery.engine import toolbox
from bakery.host.errors import BakeryError
from bakery.host.events import silent
from bakery.host.vault import Vault
from bakery.model.definition import ImageDefinition
from bakery.model.project import Project
from doubles.guests import VCENTER_ADDRESS
from doubles.vault import vault_server
from doubles.vcenter.client import LIBRARY, PASSWORD, USER, running
from doubles.vcenter.guests import guests
from integration.bases import prepare_base

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
NAME = "web-1.0.0-x86_64"
SECRET = "canary-5e1f08b2-pass"
LOGIN = {"username": USER, "password": PASSWORD}
TEMPLATE = "DC0_C0_RP0_VM0"  # of the stand-in's inventory
PRESEED = """\
d-i passwd/user-fullname string ${user}
d-i passwd/user-password password ${password}
d-i preseed/late_command string echo '${public_key}' >/target/root/.ssh/authorized_keys
"""


def define(base: dict[str, Any], server: str = "vcenter.example.net", **changes: Any) -> ImageDefinition:
    site = {"datacenter": "DC0", "cluster": "DC0_C0", "datastore": "LocalDS_0", "network": "VM Network"}
    return Definition.model_validate(
        {
            "name": "web",
            "description": "A web server",
            "os": "debian-12",
            "arch": "x86_64",
            "version": "1.0",
            "base": {"vsphere": base},
            "targets": ("vsphere",),
            "distribution": {
                "vsphere": {"server": server, "library": LIBRARY, "build": site, "credentials": "secret/data/vcenter"}
            },
        }
        | changes
    )


WINDOWS: dict[str, Any] = {
    "os": "windows-2022",
    "secrets": {"build_password": {"path": "secret/data/windows", "key": "password"}},
}
ISO = {"path": "[LocalDS_0] iso/os.iso", "answers": "answers", "boot_command": ("<esc><wait>", "auto<enter>")}
DEFINITIONS = {
    "vsphere-clone.linux": define({"template": "debian-12"}),
    "vsphere-clone.windows": define({"template": "windows-2022", "user": "Administrator"}, **WINDOWS),
    "vsphere-iso.linux": define({"iso": ISO}),
    "vsphere-iso.windows": define({"iso": ISO, "user": "Administrator"}, **WINDOWS),
}


@pytest.mark.parametrize("source", DEFINITIONS)
def test_is_valid(tmp_path: Path, source: str) -> None:
    """Packer's own validator with the real plugin; nothing here boots the last three."""
    (tmp_path / "answers").mkdir()
    (tmp_path / "answers" / "preseed.cfg").write_text(PRESEED)
    project = Project(ROOT, tmp_path, tmp_path / "workspace")
    (template,) = validator.select_templates([DEFINITIONS[source]])
    assert template.source == source
    validator.validate_template(project, template, toolbox.toolchain(project))


@pytest.mark.soak  # 368 s of a processor; test_double_vcenter.py and test_publish_vsphere.py need no guest
@pytest.mark.guest
@pytest.mark.root
def test_packer_clones_and_hands_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packer, its plugin, Ansible, the guest and Vault are real; vCenter is the stand-in."""
    project = Project(ROOT, ROOT / "packer" / "images", tmp_path)
    toolchain = toolbox.toolchain(project)
    with (
        running(guest=VCENTER_ADDRESS) as vcenter,
        vault_server(tmp_path / "vault") as server,
        Vault.login(server.env) as vault,
        guests(vcenter, prepare_base("debian-12").path, tmp_path / "guests", toolchain.accelerator),
    ):
        monkeypatch.setenv("VSPHERE_CACERT", str(vcenter.authority))
        server.put("secret/data/bakery/web", {"status_password": SECRET})
        definition = define(
            {"template": TEMPLATE},
            vcenter.server,
            software={"roles": ({"name": "nginx", "vars": {"nginx_message": "Baked to order."}},)},
            secrets={"nginx_status_password": {"path": "secret/data/bakery/web", "key": "status_password"}},
            tests=("cloud", "web"),
        )
        login = {"username": USER, "password": PASSWORD}
        request = BakeRequest(definition, "1.0.0", {"base:vsphere": TEMPLATE}, "k" * 64)
        build = remote.build(request, "vsphere", None, login, BakeContext(project, toolchain, vault, silent))
        assert build.ids == {LIBRARY: NAME}
        assert len(build.checks) > 2 and all(check.passed for check in build.checks)
        publication = VsphereTarget(definition, login).adopt(build, silent)
        item = vcenter.items()[NAME]
        assert publication.locations[0].id == item["id"]
        assert notes.read(item["description"])["bakery:sha256"] == build.identity
        names = [machine["name"] for machine in vcenter.control("GET", "machines")]
        assert not [name for name in names if name.startswith("web-")], "the machine of the build is gone"
    for path in tmp_path.rglob("*.*"):
        if path.is_file() and path.suffix in (".log", ".json", ".console"):
            content = path.read_bytes()
            assert SECRET.encode() not in content, path
            assert f"password={PASSWORD}".encode() not in content, path


class TestTemplate:
    """What vCenter says of a template, over its SOAP API."""

    def definition(self, server: str, template: str) -> ImageDefinition:
        return define({"template": template}, server)

    def test_changes_its_identity_when_it_is_reconfigured(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with running() as vcenter:
            monkeypatch.setenv("VSPHERE_CACERT", str(vcenter.authority))
            definition = self.definition(vcenter.server, TEMPLATE)
            first, again = (find_base(definition, LOGIN) for _ in range(2))
            assert first == again and first.name == f"template {TEMPLATE}"
            assert find_base(self.definition(vcenter.server, f"/DC0/vm/{TEMPLATE}"), LOGIN).identity == first.identity
            other = find_base(self.definition(vcenter.server, "DC0_C0_RP0_VM1"), LOGIN)
            assert other.identity != first.identity, "each machine has an identity of its own"
            _reconfigure(vcenter.server, TEMPLATE)
            assert find_base(definition, LOGIN).identity != first.identity
            with pytest.raises(BakeryError, match="vCenter has no machine or template DC0/vm/nothing"):
                find_base(self.definition(vcenter.server, "nothing"), LOGIN)
            with pytest.raises(BakeryError, match="vCenter refuses Login") as caught:
                find_base(definition, LOGIN | {"password": SECRET})
            assert SECRET not in f"{caught.value.message} {caught.value.detail}"


def _reconfigure(server: str, template: str) -> None:
    """Give a machine another description, as its owner would after patching it."""
    credentials = f"<userName>{USER}</userName><password>{PASSWORD}</password>"
    session = SoapSession(server)
    session.call("Login", "SessionManager", "SessionManager", credentials)
    path = f"<inventoryPath>DC0/vm/{template}</inventoryPath>"
    (machine,) = session.call("FindByInventoryPath", "SearchIndex", "SearchIndex", path)
    spec = "<spec><annotation>patched</annotation></spec>"
    session.call("ReconfigVM_Task", str(machine.text), "VirtualMachine", spec)
