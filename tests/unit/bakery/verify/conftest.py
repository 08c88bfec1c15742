"""An image with a disk, an artifact and a project in a temporary folder."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bakery.host.events import Event
from bakery.model.bases import Bases, Debootstrap, QemuBase
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Artifact, Base, Disk
from bakery.model.project import Project
from doubles.artifacts import artifact_of


@dataclass
class VerifiedProject:
    project: Project
    definition: ImageDefinition
    artifact: Artifact
    disk: Path
    events: list[Event] = field(default_factory=list)

    def test_file(self, name: str, text: str) -> Path:
        path = self.project.root / "packer" / "tests" / f"test_{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


@pytest.fixture
def world(tmp_path: Path) -> VerifiedProject:
    definition = ImageDefinition(
        name="debian-12",
        description="x",
        os="debian-12",
        arch="x86_64",
        version="1.0",
        base=Bases(qemu=QemuBase(debootstrap=Debootstrap(suite="bookworm"))),
        tests=("base",),
    )
    disk = tmp_path / "artifact" / "disk.qcow2"
    disk.parent.mkdir()
    disk.write_bytes(b"disk")
    digest = hashlib.sha256(b"disk").hexdigest()
    base = Base("debian bookworm", "", "b" * 64)
    artifact = artifact_of(Disk(str(disk), "qcow2", 4, digest, "r" * 64, "b" * 64), base, version="1.0.3")
    root = tmp_path / "project"
    made = VerifiedProject(
        Project(root, root / "images", tmp_path / "workspace", tmp_path / "shipped"), definition, artifact, disk
    )
    made.test_file("base", "def test_something() -> None:\n    pass\n")
    return made
