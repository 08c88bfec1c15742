"""Bakes that start from layers, in a chroot with the real tools: the disks are those of bakes from nothing."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bakery.bake import bake, variables
from bakery.bake.request import BakeContext, BakeRequest
from bakery.engine import toolbox
from bakery.engine.fingerprint import Fingerprints
from bakery.host.errors import BakeryError
from bakery.host.events import Event
from bakery.layers.store import Layer, LayerStore
from bakery.machine import disk_image
from bakery.machine.disk_image import BaseDisk
from bakery.machine.filesystem import root_of
from bakery.model.documents import Artifact
from bakery.model.project import Project
from bakery.model.resources import SHIPPED
from doubles.aws.client import HOME_REGION, StandIn
from doubles.packer import define

pytestmark = [pytest.mark.integration, pytest.mark.root]

# A role that writes its text, and notes what Ansible's environment shows to programs of the image.
TASKS = """\
- name: Write the text
  ansible.builtin.copy:
    content: "{{{{ {name}_text | default('nothing') }}}}\\n"
    dest: /etc/{name}
    mode: "0640"
  notify: Note it

- name: Append to the list of roles
  ansible.builtin.shell: echo {name} >>/etc/roles
  changed_when: true
"""
HANDLERS = """\
- name: Note it
  ansible.builtin.shell: echo {name} >>/etc/handled
  changed_when: true
"""


@dataclass
class Bakery:
    """Bakes an image with the roles early and late, in a project of its own."""

    project: Project
    base: BaseDisk
    events: list[Event] = field(default_factory=list)

    def role(self, name: str, tasks: str = "") -> None:
        folder = self.project.root / "ansible" / "roles" / name
        files = {
            "tasks/main.yml": TASKS.format(name=name) + tasks,
            "handlers/main.yml": HANDLERS.format(name=name),
            "meta/bakery.yml": "modes: [vm, chroot]\n",
        }
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)

    def bake(
        self, version: str, variables: Mapping[str, str], *, fresh: bool = False, mode: str = "chroot"
    ) -> Artifact:
        roles = [{"name": "early"}, {"name": "late", "vars": variables}]
        image = define(os="debian-13", mode=mode, updates="none", software={"packages": ["tree"], "roles": roles})
        toolchain = toolbox.toolchain(self.project)
        inputs = Fingerprints(self.project, toolchain.versions, {}).inputs(image, Path("web.yaml"), self.base.sha256)
        self.events.clear()
        context = BakeContext(self.project, toolchain, None, self.events.append, fresh=fresh)
        return bake(BakeRequest(image, version, inputs, "k" * 64), self.base, context)

    @property
    def start(self) -> str:
        """The layer that the last bake started from; empty if it started from the base."""
        texts = [event.text for event in self.events if event.text.startswith("start from the layer")]
        return texts[0].partition(",")[0].removeprefix("start from the layer ") if texts else ""

    @property
    def layers(self) -> list[Layer]:
        store = LayerStore(self.project.cache / "layers", self.events.append)
        return [layer for layer, _ in store.list_layers()]


@pytest.fixture
def bakery(tmp_path: Path, base_disk: BaseDisk, monkeypatch: pytest.MonkeyPatch) -> Bakery:
    """Every step is worth a layer."""
    monkeypatch.setattr(variables, "LAYER_SECONDS", {"chroot": 0, "vm": 0})
    root = tmp_path / "project"
    made = Bakery(Project(root, root / "packer" / "images", tmp_path / "workspace", SHIPPED), base_disk)
    made.role("early")
    made.role("late")
    return made


def read(artifact: Artifact, *paths: str) -> dict[str, str]:
    """Files of a disk by path."""
    with disk_image.as_raw(Path(artifact.disk.path)) as raw:
        system = root_of(raw)
        assert system
        return {path: system.read(path) for path in paths}


def files_of(artifact: Artifact) -> set[str]:
    """All paths of the root file system of a disk."""
    with disk_image.as_raw(Path(artifact.disk.path)) as raw:
        system = root_of(raw)
        assert system
        return {path for path, _ in system.walk("/")}


def test_a_changed_last_role_starts_behind_the_role_before_it(bakery: Bakery) -> None:
    first = bakery.bake("1.0.0", {"late_text": "one"})
    assert bakery.start == ""
    assert {layer.last for layer in bakery.layers} == {"", "early", "late"}
    second = bakery.bake("1.0.1", {"late_text": "two"})
    assert bakery.start == "after the role early"
    third = bakery.bake("1.0.2", {"late_text": "two"}, fresh=True)
    assert bakery.start == ""
    names = ("/etc/late", "/etc/early", "/etc/roles", "/etc/handled")
    assert read(second, *names) == read(third, *names)
    assert files_of(second) == files_of(third)
    assert read(second, *names) == {
        "/etc/late": "two\n",
        "/etc/early": "nothing\n",
        "/etc/roles": "early\nlate\n",
        "/etc/handled": "early\nlate\n",
    }
    assert read(first, "/etc/late") == {"/etc/late": "one\n"}


def test_a_failed_bake_goes_on_behind_the_last_role_that_ended(bakery: Bakery) -> None:
    bakery.role("late", "- ansible.builtin.command: 'false'\n")
    with pytest.raises(BakeryError):
        bakery.bake("1.0.0", {})
    bakery.role("late")
    artifact = bakery.bake("1.0.1", {})
    assert bakery.start == "after the role early"
    assert read(artifact, "/etc/roles") == {"/etc/roles": "early\nlate\n"}


def test_a_damaged_layer_is_named_and_the_bake_starts_before_it(bakery: Bakery) -> None:
    bakery.bake("1.0.0", {"late_text": "one"})
    layer = next(layer for layer in bakery.layers if layer.last == "early")
    disk = bakery.project.cache / "layers" / layer.key / "disk.qcow2"
    disk.chmod(0o644)
    with disk.open("r+b") as stream:
        stream.seek(layer.size // 2)
        stream.write(b"damage")
    artifact = bakery.bake("1.0.1", {"late_text": "two"})
    assert bakery.start == "with updates and packages"
    assert any(f"the layer {layer.key} is damaged" in event.text for event in bakery.events)
    assert read(artifact, "/etc/late", "/etc/roles") == {"/etc/late": "two\n", "/etc/roles": "early\nlate\n"}


def test_another_machine_starts_from_a_layer_in_a_bucket(
    bakery: Bakery, aws: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its workspace has the same key, and nothing else."""
    configuration = {"LocationConstraint": HOME_REGION}
    aws.client("s3").create_bucket(Bucket="cache", CreateBucketConfiguration=configuration)
    monkeypatch.setenv("AWS_DEFAULT_REGION", HOME_REGION)
    monkeypatch.setenv("BAKERY_LAYERS", "s3://cache/layers")
    bakery.bake("1.0.0", {"late_text": "one"})
    shutil.copytree(bakery.project.keys, tmp_path / "other" / "keys")
    other = Bakery(replace(bakery.project, workspace=tmp_path / "other"), bakery.base)
    artifact = other.bake("1.0.1", {"late_text": "two"})
    assert other.start == "after the role early"
    assert {layer.last for layer in other.layers} == {"early", "late"}
    assert "CompleteMultipartUpload" in aws.actions(), "a real disk goes in parts"
    assert read(artifact, "/etc/late", "/etc/roles") == {"/etc/late": "two\n", "/etc/roles": "early\nlate\n"}


# Two bakes in an emulated guest take minutes. The tests above show the same with a chroot, and unit tests the copy of a
# guest's disk.
@pytest.mark.soak
def test_a_guest_goes_on_behind_the_last_role_that_ended(bakery: Bakery) -> None:
    """The layer is the disk of a running guest, copied between two roles; the next guest has the same version."""
    bakery.role("late", "- ansible.builtin.command: 'false'\n")
    with pytest.raises(BakeryError):
        bakery.bake("1.0.0", {"late_text": "one"}, mode="vm")
    assert {layer.last for layer in bakery.layers} == {"", "early"}
    bakery.role("late")
    artifact = bakery.bake("1.0.0", {"late_text": "two"}, mode="vm")
    assert bakery.start == "after the role early"
    assert read(artifact, "/etc/late", "/etc/roles", "/etc/handled") == {
        "/etc/late": "two\n",
        "/etc/roles": "early\nlate\n",
        "/etc/handled": "early\nlate\n",
    }
