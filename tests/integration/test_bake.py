"""Bakes with the real tools: most without a guest, since that takes seconds instead of minutes."""

import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bakery.bake import bake
from bakery.bake.request import BakeContext, BakeRequest
from bakery.bake.task_times import read_task_times
from bakery.clouds import definitions
from bakery.clouds.job import Toolchain
from bakery.demo.stand_ins.vault import VaultServer
from bakery.engine import toolbox
from bakery.host import files, process
from bakery.host.errors import BakeryError, NotFoundError
from bakery.host.events import Event
from bakery.host.vault import Vault
from bakery.machine import disk_image, secret_search
from bakery.machine.disk_image import BaseDisk
from bakery.machine.filesystem import FileSystem, root_of
from bakery.machine.timeout import VARIABLE
from bakery.model import definition
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Artifact, Base
from bakery.model.project import Project
from bakery.verify import hygiene
from doubles.vault import vault_server

pytestmark = [pytest.mark.integration]
needs_root = pytest.mark.root

ROOT = Path(__file__).parents[2]
CANARY = "canary-9f3c51d7-pass"
SECONDS = 120.0  # a bake without a guest takes 12 on an idle machine


@dataclass
class Bakery:
    """Bakes `web` on a real base, in a workspace of its own."""

    project: Project
    toolchain: Toolchain
    base: BaseDisk
    vault: VaultServer
    events: list[Event] = field(default_factory=list)

    def define(self, **changes: object) -> ImageDefinition:
        return definitions.load(self.project.definitions).images["web"].model_copy(update=changes)

    def bake(self, image: ImageDefinition, version: str = "1.0.0", base: BaseDisk | None = None) -> Artifact:
        with Vault.login(self.vault.env) as vault:
            context = BakeContext(self.project, self.toolchain, vault, self.events.append)
            return bake(BakeRequest(image, version, {}, "k" * 64), base or self.base, context)


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VaultServer]:
    with vault_server(tmp_path_factory.mktemp("vault")) as server:
        server.put("secret/data/bakery/web", {"status_password": CANARY})
        yield server


@pytest.fixture(scope="module")
def make(vault: VaultServer, base_disk: BaseDisk, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Bakery]:
    """A bakery whose workspace is a folder; the accelerator is tried out once."""
    toolchain = toolbox.toolchain(at(tmp_path_factory.mktemp("tools")))
    return lambda workspace: Bakery(at(workspace), toolchain, base_disk, vault)


def at(workspace: Path) -> Project:
    return Project(ROOT, ROOT / "packer" / "images", workspace)


@pytest.fixture
def bakery(make: Callable[[Path], Bakery], tmp_path: Path) -> Bakery:
    return make(tmp_path)


class Sampler:
    """Collects the arguments of every process on the machine, as anybody on it can."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Sampler":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.01):
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(file.read_bytes())
                except OSError:
                    continue


@dataclass
class Baked:
    """A finished bake and what could be watched while it ran."""

    bakery: Bakery
    artifact: Artifact
    arguments: set[bytes]

    def assert_secret_is_nowhere(self) -> None:
        """Not in arguments, logs or documents; the raw disk is searched in every encoding, free blocks included."""
        assert any(b"ansible-playbook" in line for line in self.arguments), "the sampler saw the bake"
        assert not [line for line in self.arguments if CANARY.encode() in line]
        kept = [path for path in self.bakery.project.workspace.rglob("*") if path.is_file()]
        assert {".json", ".log", ".qcow2"} <= {path.suffix for path in kept}
        assert "[INFO] Packer version" in Path(self.artifact.log).read_text(), "Packer's debug log is in it"
        for path in kept:
            assert CANARY.encode() not in path.read_bytes(), path
        with disk_image.as_raw(Path(self.artifact.disk.path)) as raw:
            assert all(check.passed for check in secret_search.search(raw, [CANARY, self.bakery.vault.token]))

    def assert_sealed(self) -> None:
        with disk_image.as_raw(Path(self.artifact.disk.path)) as raw:
            assert [check for check in hygiene.check(raw, hygiene.RULES) if not check.passed] == []


def watched(bakery: Bakery, image: ImageDefinition) -> Baked:
    """Bake with Packer's debug log on and a look at everybody's arguments."""
    with pytest.MonkeyPatch.context() as patch, Sampler() as sampler:
        patch.setenv("PACKER_LOG", "1")
        patch.setattr(process, "PASSED_ON", (*process.PASSED_ON, "PACKER_LOG"))
        artifact = bakery.bake(image)
    return Baked(bakery, artifact, sampler.seen)


@pytest.fixture(scope="module")
def chroot(make: Callable[[Path], Bakery], tmp_path_factory: pytest.TempPathFactory) -> Baked:
    bakery = make(tmp_path_factory.mktemp("chroot"))
    return watched(bakery, bakery.define(mode="chroot"))


def contents(root: FileSystem, *folders: str) -> dict[str, str]:
    return {path: root.read(path) for folder in folders for path, entry in root.walk(folder) if not entry.is_link}


def read(artifact: Artifact, *folders: str) -> dict[str, str]:
    """Text of all files below folders of a disk."""
    with disk_image.as_raw(Path(artifact.disk.path)) as raw:
        root = root_of(raw)
        assert root
        return contents(root, *folders)


def leftovers(workspace: Path) -> list[str]:
    """What stays of a bake. The kernel lets go of a loop device a moment after its last user is gone."""
    deadline = time.monotonic() + 20
    while (found := _left_now(workspace)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def _left_now(workspace: Path) -> list[str]:
    """Processes, loop devices and mounts that have to do with a workspace, and half-made files in it."""
    name = os.fsencode(workspace)
    found = [str(path) for path in workspace.glob("artifacts/.*/*")]
    for proc in Path("/proc").glob("[0-9]*"):
        try:
            told = (proc / "cmdline").read_bytes() + (proc / "environ").read_bytes()
        except OSError:
            continue
        if name in told and int(proc.name) != os.getpid():
            found.append(told[:200].decode(errors="replace"))
    backing = (path.read_bytes() for path in Path("/sys/block").glob("loop*/loop/backing_file"))
    found += [path.decode() for path in backing if name in path]
    return found + [line for line in Path("/proc/mounts").read_text().splitlines() if str(workspace) in line]


@needs_root
def test_a_bake_without_a_guest(chroot: Baked) -> None:
    artifact = chroot.artifact
    assert (artifact.mode, artifact.disk.virtual_size) == ("chroot", 4 << 30)
    assert {"attach", "provision", "seal", "detach", "flatten"} <= set(artifact.seconds)
    assert files.sha256(Path(artifact.disk.path)) == artifact.disk.sha256
    assert disk_image.inspect(Path(artifact.disk.path)).get("backing-filename") is None
    told = [event.text for event in chroot.bakery.events]
    assert "nginx : Install nginx" in told
    assert read(artifact, "/var/www")["/var/www/html/index.html"].endswith("<p>Baked to order.</p>\n")
    assert leftovers(chroot.bakery.project.workspace) == []


@needs_root
def test_the_log_of_a_bake_without_a_guest_has_the_time_of_each_task(chroot: Baked) -> None:
    tasks, seconds = read_task_times(Path(chroot.artifact.log)), chroot.artifact.seconds
    assert {"nginx", "seal", ""} <= {task.role for task in tasks}
    assert 0 < sum(task.seconds for task in tasks) <= seconds["provision"] + seconds["seal"] + 1


@needs_root
def test_no_secret_of_a_bake_without_a_guest_is_left(chroot: Baked) -> None:
    chroot.assert_secret_is_nowhere()


@needs_root
def test_a_disk_baked_without_a_guest_is_sealed(chroot: Baked) -> None:
    chroot.assert_sealed()


@needs_root
def test_a_second_bake_on_top_changes_nothing_but_the_seal(chroot: Baked, bakery: Bakery) -> None:
    """Roles are idempotent; and a sealed disk, which has no package index, can be built on."""
    disk = Path(chroot.artifact.disk.path)
    sha256 = chroot.artifact.disk.sha256
    base = BaseDisk(disk, Base("web", "1.0.0", sha256), sha256)
    again = bakery.bake(bakery.define(mode="chroot"), base=base)
    recap = next(line for line in Path(again.log).read_text().splitlines() if "unreachable=0" in line)
    assert "changed=1 " in recap and "failed=0" in recap
    assert again.base.name == "web"


@needs_root
def test_a_role_that_fails_is_named_and_leaves_nothing(bakery: Bakery, tmp_path: Path) -> None:
    bakery.project = copied(tmp_path)
    broken = bakery.project.root / "ansible" / "roles" / "broken"
    (broken / "tasks").mkdir(parents=True)
    (broken / "meta").mkdir()
    (broken / "meta" / "bakery.yml").write_text("modes: [chroot]\n")
    (broken / "tasks" / "main.yml").write_text(
        "- name: Ask for the impossible\n  ansible.builtin.command: ls /no/such/file\n"
    )
    software = definition.Software(roles=(definition.RoleUse(name="broken"),))
    with pytest.raises(BakeryError) as caught:
        bakery.bake(bakery.define(mode="chroot", software=software))
    assert caught.value.message == "task 'broken : Ask for the impossible' failed: non-zero return code"
    assert caught.value.where == f"{broken}/tasks/main.yml:1"
    assert "No such file or directory" in caught.value.detail
    assert caught.value.log and caught.value.log.exists()
    assert leftovers(bakery.project.workspace) == []


@needs_root
def test_variables_of_the_wrong_type_are_refused_by_the_role(bakery: Bakery) -> None:
    software = definition.Software(roles=(definition.RoleUse(name="nginx", vars={"nginx_port": "http"}),))
    with pytest.raises(BakeryError, match="nginx_port"):
        bakery.bake(bakery.define(mode="chroot", software=software))


@needs_root
def test_a_template_that_packer_refuses(bakery: Bakery, tmp_path: Path) -> None:
    bakery.project = copied(tmp_path)
    template = bakery.project.resources.template("chroot") / "linux.pkr.hcl"
    template.write_text(template.read_text().replace("communicator", "comunicator"))
    with pytest.raises(BakeryError) as caught:
        bakery.bake(bakery.define(mode="chroot"))
    assert caught.value.message == "Packer refuses the template: Unsupported argument"
    line = template.read_text().splitlines().index('  comunicator = "none"') + 1
    assert caught.value.where == f"{template}:{line}"


def started(bakery: Bakery) -> multiprocessing.process.BaseProcess:
    """A bake in a process of its own that has come as far as its role."""
    child = multiprocessing.get_context("fork").Process(target=bakery.bake, args=(bakery.define(mode="chroot"),))
    child.start()
    wait_for(lambda: "Install nginx" in log(bakery.project.workspace), "the role to start")
    assert _left_now(bakery.project.workspace), "the bake is at work"
    return child


@needs_root
def test_ctrl_c_leaves_no_process_mount_or_file(bakery: Bakery) -> None:
    child = started(bakery)
    os.kill(child.pid or 0, signal.SIGINT)
    child.join(SECONDS)
    assert child.exitcode
    assert leftovers(bakery.project.workspace) == []
    assert not list(bakery.project.workspace.glob("artifacts/web-*"))


@needs_root
def test_a_killed_bake_and_the_next_one(bakery: Bakery) -> None:
    """Killed outright it cannot tidy up: the kernel ends processes and mounts, the next bake removes the files."""
    workspace = bakery.project.workspace
    child = started(bakery)
    child.kill()
    child.join(SECONDS)
    half_made = {str(path) for path in workspace.glob("artifacts/.web/.*")}
    assert half_made
    wait_for(lambda: set(_left_now(workspace)) == half_made, "processes and mounts to end")
    assert not list(workspace.glob("artifacts/web-*"))
    bakery.bake(bakery.define(mode="chroot"))
    assert leftovers(workspace) == []


@needs_root
def test_packer_killed_in_the_middle(bakery: Bakery) -> None:
    def kill() -> None:
        wait_for(lambda: "Install nginx" in log(bakery.project.workspace), "the role to start")
        for proc in Path("/proc").glob("[0-9]*"):
            command = _arguments(proc)
            if command[:1] == [str(bakery.toolchain.packer)] and str(bakery.project.workspace) in command[-2]:
                os.kill(int(proc.name), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(BakeryError, match=r"Packer was killed \(SIGKILL\)"):
        bakery.bake(bakery.define(mode="chroot"))
    killer.join()
    assert leftovers(bakery.project.workspace) == []


@needs_root
def test_a_disk_that_fills_up(bakery: Bakery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = tmp_path / "small"
    small.mkdir()
    monkeypatch.setattr(files, "require_space", lambda *_: None)
    process.run(["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", small])
    try:
        bakery.project = at(small)
        with pytest.raises(BakeryError, match="the disk filled up during the bake"):
            bakery.bake(bakery.define(mode="chroot"))
        assert not list(small.glob("artifacts/*/*"))
    finally:
        process.run(["umount", small])


def test_a_secret_that_is_not_there_stops_before_packer(bakery: Bakery) -> None:
    secret = definition.SecretRef(path="secret/data/bakery/wbe", key="status_password")
    with pytest.raises(NotFoundError, match="there is no secret at secret/data/bakery/wbe"):
        bakery.bake(bakery.define(secrets={"nginx_status_password": secret}))
    assert not bakery.project.logs.exists()
    assert bakery.events == []


def test_the_templates_are_formatted() -> None:
    packer = ROOT / ".bakery" / "tools" / "bin" / "packer"
    process.run([packer, "fmt", "-check", "-recursive", ROOT / "packer" / "templates"])


@pytest.mark.guest
def test_a_guest_that_never_answers(bakery: Bakery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = tmp_path / "empty.qcow2"
    process.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "64M"])
    empty = BaseDisk(disk, Base("empty", "1.0.0", files.sha256(disk)), files.sha256(disk))
    for timeout in ("10s", "40s", "160s", "640s"):  # a busy machine takes long to come to the firmware's last words
        monkeypatch.setenv(VARIABLE, timeout)
        with pytest.raises(BakeryError, match="the guest never answered on SSH") as caught:
            bakery.bake(bakery.define(), base=empty)
        if "BdsDxe" in caught.value.detail:
            break
    assert "BdsDxe" in caught.value.detail
    assert leftovers(bakery.project.workspace) == []


@pytest.mark.soak  # 283 s of a processor; chroot mode runs the same roles, and other tests here lose and stop guests
@pytest.mark.guest
@needs_root
def test_a_bake_in_a_guest(bakery: Bakery, chroot: Baked) -> None:
    """The default mode; and the role gives the same in both."""
    baked = watched(bakery, bakery.define())
    baked.assert_secret_is_nowhere()
    baked.assert_sealed()
    assert {"boot", "provision", "seal", "shutdown"} <= set(baked.artifact.seconds)
    guests = [
        line
        for line in baked.arguments
        if line.startswith(b"qemu-system") and str(bakery.project.workspace).encode() in line
    ]
    assert guests and all(b"hostfwd=tcp:127.0.0.1:" in line for line in guests), "SSH is open to this machine only"
    assert leftovers(bakery.project.workspace) == []
    alike = ("/etc/nginx", "/var/www")
    in_guest, in_chroot = read(baked.artifact, *alike), read(chroot.artifact, *alike)
    salted = "/etc/nginx/status.htpasswd"  # each bake takes a salt of its own
    hashes = {in_guest.pop(salted), in_chroot.pop(salted)}
    assert len(hashes) == 2 and all(each.startswith("status:$6$") for each in hashes)
    assert in_guest == in_chroot
    assert packages(baked.artifact) == packages(chroot.artifact)


def packages(artifact: Artifact) -> list[str]:
    """Names and versions in the package database."""
    status = read(artifact, "/var/lib/dpkg")["/var/lib/dpkg/status"]
    return [line for line in status.splitlines() if line.startswith(("Package:", "Status:", "Version:"))]


def copied(folder: Path) -> Project:
    """A copy of the project's roles and templates that a test may change."""
    for name in ("ansible", "packer"):
        shutil.copytree(ROOT / name, folder / "project" / name)
    return Project(folder / "project", folder / "project" / "packer" / "images", folder / "workspace")


def log(workspace: Path) -> str:
    return "".join(path.read_text() for path in workspace.glob("logs/*.log"))


def wait_for(true: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)


def _arguments(proc: Path) -> list[str]:
    try:
        return (proc / "cmdline").read_bytes().decode().split("\0")[:-1]
    except OSError:
        return []
