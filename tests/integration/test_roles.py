"""The roles, baked for real: what each leaves on a Debian disk, and that a second bake changes nothing."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest.mock import patch
from zipfile import ZipFile

import pytest

from bakery.bake import bake
from bakery.bake.request import BakeContext, BakeRequest
from bakery.clouds.definitions import Definition
from bakery.clouds.job import Toolchain
from bakery.engine import toolbox
from bakery.host import files
from bakery.host.errors import BakeryError
from bakery.host.events import silent
from bakery.machine import disk_image, network
from bakery.machine.disk_image import BaseDisk
from bakery.machine.filesystem import FileSystem, root_of
from bakery.model import documents
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Artifact, Base
from bakery.model.project import Project
from bakery.verify import verify
from doubles.disks import describe_disk
from doubles.serving import at_work
from integration.bases import prepare_base

pytestmark = [pytest.mark.integration, pytest.mark.root]

ROOT = Path(__file__).parents[2]
VAULT = ROOT / ".bakery" / "tools" / "bin" / "vault"
# Stands in for the runner, which can be had from its vendor only: it starts, and stays.
RUNNER = '#!/bin/sh\n[ "$1" = --version ] || exec sleep infinity\n'
# Stands in for Amazon's agent, and has registered with its service by the time that it is installed.
AGENT = {
    "DEBIAN/control": "Package: amazon-ssm-agent\nVersion: 3.3.0.0-1\nArchitecture: amd64\n"
    "Maintainer: Amazon <nobody@example.com>\nDescription: Stands in for it\n",
    "DEBIAN/postinst": "#!/bin/sh\nmkdir -p /var/lib/amazon/ssm/Vault\n"
    "echo i-0 >/var/lib/amazon/ssm/Vault/RegistrationKey\n",
    "lib/systemd/system/amazon-ssm-agent.service": "[Service]\nExecStart=/usr/bin/amazon-ssm-agent\n"
    "[Install]\nWantedBy=multi-user.target\n",
    "usr/bin/amazon-ssm-agent": '#!/bin/sh\n[ "$1" = -version ] || exec sleep infinity\n',
}
# A wheel is a .zip of a certain layout.
WHEEL = {
    "greeting.py": "print('hello')\n",
    "greeting-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n",
    "greeting-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "greeting-1.0.dist-info/RECORD": "",
}
IDENTITY = {"name": "roles", "description": "Roles under test", "arch": "x86_64", "version": "1.0"}


@dataclass(frozen=True)
class RoleBakery:
    """Files on loopback, where vendors would be, and a bakery that gets its software there."""

    system: str
    base: BaseDisk
    url: str
    folder: Path
    project: Project
    toolchain: Toolchain

    @property
    def roles(self) -> dict[str, dict[str, object]]:
        """Each role with variables that make it do all it can."""
        return {
            "python_app": {"python_app_requirements": ["--no-index", f"--find-links={self.url}", "greeting==1.0"]},
            "vault": {
                "vault_url": f"{self.url}vault.zip",
                "vault_sha256": files.sha256(self.folder / "vault.zip"),
            },
            "gitlab_runner": {
                "gitlab_runner_url": (self.folder / "runner").as_uri(),
                "gitlab_runner_sha256": files.sha256(self.folder / "runner"),
                "gitlab_runner_aws_plugin_url": (self.folder / "runner").as_uri(),
                "gitlab_runner_aws_plugin_sha256": files.sha256(self.folder / "runner"),
            },
            "ssm_agent": {
                "ssm_agent_url": f"{self.url}agent.deb",
                "ssm_agent_sha256": files.sha256(self.folder / "agent.deb"),
            },
        }

    def define(self, **roles: dict[str, object]) -> ImageDefinition:
        """An image with roles and their variables."""
        software = {"roles": [{"name": name, "vars": given} for name, given in roles.items()]}
        tests = ["base", "cloud", *(name.removeprefix("python_") for name in roles)]
        base = {"os": self.system, "base": {"qemu": {"image": self.system}}}
        return Definition.model_validate(
            {**IDENTITY, **base, "mode": "chroot", "software": software, "tests": tests}, strict=False
        )

    def bake(self, image: ImageDefinition, version: str, base: BaseDisk | None = None) -> Artifact:
        context = BakeContext(self.project, self.toolchain, None, silent)
        return bake(BakeRequest(image, version, {}, "k" * 64), base or self.base, context)


@dataclass(frozen=True)
class Baked:
    """An image and its disk."""

    image: ImageDefinition
    artifact: Artifact


def package(contents: dict[str, str], deb: Path) -> None:
    """A Debian package; what starts with an interpreter's name is a program."""
    for name, text in contents.items():
        path = deb.with_suffix("") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if text.startswith("#!") else 0o644)
    command: list[str | Path] = ["dpkg-deb", "--root-owner-group", "-Znone", "--build", deb.with_suffix(""), deb]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


# test_patching.py bakes and boots Debian 12 in `make test`.
@pytest.fixture(scope="module", params=["debian-13", pytest.param("debian-12", marks=pytest.mark.soak)])
def system(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def shop(system: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoleBakery]:
    folder = tmp_path_factory.mktemp("shop")
    with ZipFile(folder / "vault.zip", "w") as archive:
        archive.write(VAULT, "vault")
    with ZipFile(folder / "greeting-1.0-py3-none-any.whl", "w") as archive:
        for name, text in WHEEL.items():
            archive.writestr(name, text)
    (folder / "runner").write_text(RUNNER)
    package(AGENT, folder / "agent.deb")
    project = Project(ROOT, ROOT / "packer" / "images", tmp_path_factory.mktemp("workspace"))
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with (
        at_work(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as server,
        patch.dict(os.environ, {network.PORTS: str(server.server_port)}),  # bakes may reach it
    ):
        url = f"http://127.0.0.1:{server.server_port}/"
        yield RoleBakery(system, prepare_base(system), url, folder, project, toolbox.toolchain(project))


@pytest.fixture(scope="module")
def baked(shop: RoleBakery) -> Baked:
    """All roles on one disk."""
    image = shop.define(**shop.roles)
    return Baked(image, shop.bake(image, "1.0.0"))


@pytest.fixture(scope="module")
def root(baked: Baked) -> Iterator[FileSystem]:
    """What is on that disk."""
    with root_on(baked.artifact) as found:
        yield found


@contextmanager
def root_on(artifact: Artifact) -> Iterator[FileSystem]:
    with disk_image.as_raw(Path(artifact.disk.path)) as raw:
        found = root_of(raw)
        assert found
        yield found


def on_top(artifact: Artifact) -> BaseDisk:
    sha256 = artifact.disk.sha256
    return BaseDisk(Path(artifact.disk.path), Base(artifact.image, artifact.version, sha256), sha256)


def mode(root: FileSystem, path: str) -> str:
    entry = root.find(path)
    assert entry, path
    return oct(entry.mode & 0o7777)


def wanted(root: FileSystem, unit: str) -> bool:
    """Whether systemd starts it at boot."""
    entry = root.find(f"/etc/systemd/system/multi-user.target.wants/{unit}")
    return bool(entry and entry.is_link)


def look_at_python_app(root: FileSystem) -> None:
    assert wanted(root, "app.service")
    unit = root.read("/etc/systemd/system/app.service")
    assert "ExecStart=/opt/app/venv/bin/python -m app\n" in unit
    assert "User=app\n" in unit
    (library,) = [path for path, _ in root.walk("/opt/app/venv/lib") if path.endswith("/greeting.py")]
    assert root.read(library) == WHEEL["greeting.py"]
    assert root.find("/opt/app/src") is None
    assert "app:x:" in root.read("/etc/passwd")


def look_at_vault(root: FileSystem) -> None:
    assert wanted(root, "vault.service")
    assert mode(root, "/usr/local/bin/vault") == "0o755"
    assert mode(root, "/etc/vault.d") == "0o750"
    assert root.list("/etc/vault.d") == []
    unit = root.read("/etc/systemd/system/vault.service")
    assert "LimitMEMLOCK=infinity\n" in unit
    assert "AmbientCapabilities=CAP_IPC_LOCK\n" in unit
    assert wanted(root, "vault-node.target")
    for name in ("node", "disks", "tls", "snapshot", "report"):
        assert mode(root, f"/usr/local/lib/vault-node/{name}.py") == "0o644"
    assert mode(root, "/usr/local/bin/bakery-fetch-parameter") == "0o755"
    assert root.list("/etc/vault-node") == []
    assert root.find("/usr/lib/python3/dist-packages/boto3")
    assert mode(root, "/etc/logrotate.d/vault") == "0o644"
    assert root.find("/usr/sbin/logrotate")


def look_at_gitlab_runner(root: FileSystem) -> None:
    assert wanted(root, "gitlab-runner.path")
    assert wanted(root, "gitlab-runner-configure.service")
    for program in ("fleeting-plugin-aws", "bakery-fetch-parameter", "gitlab-runner-configure"):
        assert mode(root, f"/usr/local/bin/{program}") == "0o755"
    assert root.read("/usr/local/bin/gitlab-runner") == RUNNER
    assert mode(root, "/etc/gitlab-runner") == "0o700"
    assert root.list("/etc/gitlab-runner") == []
    assert root.list("/home/gitlab-runner") == []
    assert "ExecStart=/usr/local/bin/gitlab-runner run " in root.read("/etc/systemd/system/gitlab-runner.service")
    assert root.find("/usr/bin/git")


def look_at_ssm_agent(root: FileSystem) -> None:
    assert wanted(root, "amazon-ssm-agent.service")
    assert "Package: amazon-ssm-agent\nStatus: install ok installed\n" in root.read("/var/lib/dpkg/status")
    assert root.list("/var/lib/amazon/ssm") == []


LOOKS = {
    "python_app": look_at_python_app,
    "vault": look_at_vault,
    "gitlab_runner": look_at_gitlab_runner,
    "ssm_agent": look_at_ssm_agent,
}


@pytest.mark.parametrize("role", LOOKS)
def test_a_role_leaves_what_it_promises(root: FileSystem, role: str) -> None:
    LOOKS[role](root)


def test_a_second_bake_on_top_changes_nothing_but_the_seal(shop: RoleBakery, baked: Baked) -> None:
    again = shop.bake(baked.image, "1.0.1", on_top(baked.artifact))
    recap = next(line for line in Path(again.log).read_text().splitlines() if "unreachable=0" in line)
    assert "changed=1 " in recap and "failed=0" in recap


@pytest.mark.soak
@pytest.mark.parametrize("role", LOOKS)
def test_a_role_needs_no_other(shop: RoleBakery, role: str) -> None:
    image = shop.define(**{role: shop.roles[role]}).model_copy(update={"name": role.replace("_", "-")})
    with root_on(shop.bake(image, "1.0.0")) as root:
        LOOKS[role](root)


def test_a_wrong_checksum_ends_the_bake(shop: RoleBakery) -> None:
    image = shop.define(vault={**shop.roles["vault"], "vault_sha256": "0" * 64})
    with pytest.raises(BakeryError, match="Fetch the vendor's file") as caught:
        shop.bake(image.model_copy(update={"name": "damaged"}), "1.0.0")
    assert "checksum" in caught.value.message
    assert not list(shop.project.workspace.glob("artifacts/damaged-*"))


@pytest.mark.guest
def test_all_of_them_work_in_a_booted_image(shop: RoleBakery, baked: Baked, tmp_path: Path) -> None:
    """One boot for all: their tests look at different things. What `verify` itself promises is checked as well."""
    disk = Path(baked.artifact.disk.path)
    before = sorted(disk.parent.iterdir())
    verdict = verify(shop.project, baked.image, baked.artifact, disk, ["correct horse battery staple"], silent)
    assert [(check.name, check.detail) for check in verdict.checks if not check.passed] == []
    names = {check.name for check in verdict.checks}
    assert {"test_app", "test_vault", "test_gitlab_runner", "test_ssm_agent", "test_cloud"} <= {
        name.partition(":")[0] for name in names
    }
    assert {"no SSH host keys", "no secret on the disk", "all services run", "test_base: test_release"} <= names
    assert verdict.sha256 == baked.artifact.disk.sha256
    assert describe_disk(disk)[0] == baked.artifact.disk
    assert sorted(disk.parent.iterdir()) == before
    (logs,) = shop.project.logs.glob("*-verify-*")
    assert sorted(path.name for path in logs.iterdir()) == ["qemu.log", "serial.log", "tests.log"]
    documents.save(verdict, tmp_path / "verdict.json")
    assert documents.load(documents.Verdict, tmp_path / "verdict.json") == verdict
