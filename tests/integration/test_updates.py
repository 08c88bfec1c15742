"""What a bake brings, in chroot mode: updates of a local archive, with holds, pins and a changed file."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bakery.bake import bake
from bakery.bake.request import BakeContext, BakeRequest
from bakery.clouds import definitions
from bakery.engine import toolbox
from bakery.host.events import silent
from bakery.machine import disk_image
from bakery.machine.disk_image import BaseDisk
from bakery.machine.filesystem import root_of
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Artifact, Base, Updates
from bakery.model.project import Project
from doubles.apt_archive import AptArchive, apt_archive

pytestmark = [pytest.mark.integration, pytest.mark.root]

ROOT = Path(__file__).parents[2]
FIXED, PLAIN, HELD, PINNED = PACKAGES = ("bakery-fixed", "bakery-plain", "bakery-held", "bakery-pinned")
DEFINITION = """\
name: {name}
description: A test
os: debian-12
arch: x86_64
version: "1.0"
mode: chroot
base: {{qemu: {{image: debian-12}}}}
updates: {updates}
software: {{roles: [{roles}]}}
"""
# The machine knows the archive alone, so that nothing of the world changes between two bakes.
SUBSCRIBE = """\
- name: Add the key
  ansible.builtin.copy: {{dest: /etc/apt/keyrings/test.asc, content: {key}, mode: "0644"}}
- name: Add the archive
  ansible.builtin.copy:
    dest: /etc/apt/sources.list
    mode: "0644"
    content: |
      deb [signed-by=/etc/apt/keyrings/test.asc] {uri} test main
      deb [signed-by=/etc/apt/keyrings/test.asc] {uri} test-security main
- name: Install packages
  ansible.builtin.apt: {{name: [{packages}], cache_valid_time: 0}}
- name: Hold one
  ansible.builtin.dpkg_selections: {{name: bakery-held, selection: hold}}
- name: Pin one
  ansible.builtin.copy:
    dest: /etc/apt/preferences.d/pinned
    mode: "0644"
    content: |
      Package: bakery-pinned
      Pin: version 1
      Pin-Priority: 1000
- name: Change a configuration file
  ansible.builtin.copy: {{dest: /etc/bakery-fixed.conf, content: changed, mode: "0644"}}
"""


class Bench:
    """Bakes definitions in chroot mode in a project of its own."""

    def __init__(self, folder: Path, base: BaseDisk) -> None:
        for name in ("ansible", "packer"):
            shutil.copytree(ROOT / name, folder / "project" / name)
        shutil.rmtree(folder / "project" / "packer" / "images")
        self.project = Project(folder / "project", folder / "project" / "packer" / "images", folder / "workspace")
        self.project.definitions.mkdir()
        self._base = base
        self._toolchain = toolbox.toolchain(self.project)

    def write_role(self, name: str, tasks: str) -> None:
        role = self.project.root / "ansible" / "roles" / name
        for path, text in {"tasks/main.yml": tasks, "meta/bakery.yml": "modes: [chroot]\n"}.items():
            (role / path).parent.mkdir(parents=True, exist_ok=True)
            (role / path).write_text(text)

    def bake(self, name: str, updates: Updates, roles: str = "", on: Artifact | None = None) -> Artifact:
        text = DEFINITION.format(name=name, updates=updates, roles=f"{{name: {roles}}}" if roles else "")
        (self.project.definitions / f"{name}.yaml").write_text(text)
        image = self._load(name)
        base = BaseDisk(Path(on.disk.path), Base(on.image, on.version, on.disk.sha256)) if on else self._base
        context = BakeContext(self.project, self._toolchain, None, silent)
        return bake(BakeRequest(image, "1.0.0", {}, "k" * 64), base, context)

    def _load(self, name: str) -> ImageDefinition:
        (self.project.definitions / "debian-12.yaml").write_text(
            (ROOT / "packer" / "images" / "debian-12.yaml").read_text()
        )
        return definitions.load(self.project.definitions).images[name]


@pytest.fixture(scope="module")
def bench(base_disk: BaseDisk, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"), base_disk)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AptArchive]:
    with apt_archive(tmp_path_factory.mktemp("archive")) as archive:
        yield archive


@pytest.fixture(scope="module")
def first(bench: Bench, archive: AptArchive) -> Artifact:
    """An image with version 1 of each package. Afterwards the archive has newer versions of all."""
    archive.sign_suite("test-security")
    for name in PACKAGES:
        archive.add_package("test", name, "1")
    tasks = SUBSCRIBE.format(key=json.dumps(archive.key), uri=archive.uri, packages=", ".join(PACKAGES))
    bench.write_role("subscribe", tasks)
    artifact = bench.bake("first", "none", roles="subscribe")
    for name in (FIXED, HELD, PINNED):
        archive.add_package("test-security", name, "2")
    archive.add_package("test", FIXED, "3")
    archive.add_package("test", PLAIN, "2")
    return artifact


def read_versions(artifact: Artifact) -> dict[str, str]:
    """Packages of the image by name, as its package database has them."""
    with disk_image.as_raw(Path(artifact.disk.path)) as raw:
        root = root_of(raw)
        assert root
        status = root.read("/var/lib/dpkg/status")
    entries = (
        dict(line.split(": ", 1) for line in entry.splitlines() if ": " in line) for entry in status.split("\n\n")
    )
    return {entry["Package"]: entry["Version"] for entry in entries if "Package" in entry}


def read_text(artifact: Artifact, path: str) -> str:
    with disk_image.as_raw(Path(artifact.disk.path)) as raw:
        root = root_of(raw)
        assert root
        return root.read(path)


@pytest.mark.parametrize(
    ("updates", "changes"),
    [
        ("all", {FIXED: "3", PLAIN: "2"}),
        ("security", {FIXED: "2"}),
        ("none", {}),
    ],
)
def test_a_bake_brings_exactly_the_updates(
    bench: Bench, first: Artifact, updates: Updates, changes: dict[str, str]
) -> None:
    artifact = bench.bake(f"second-{updates}", updates, on=first)
    before, after = read_versions(first), read_versions(artifact)
    assert {name: version for name, version in after.items() if before.get(name) != version} == changes
    assert before.keys() == after.keys()
    assert read_text(artifact, "/etc/bakery-fixed.conf") == "changed", "a changed configuration file stays"
