"""How long reading the contents of a disk takes, and what the folders without packages would add."""

import time
from pathlib import Path

import bakes

from bakery.contents import read_disk, tree
from bakery.engine import toolbox
from bakery.model import documents
from bakery.model.documents import Artifact
from bakery.model.project import Project
from bakery.model.version import ImageVersion

RUNS = 3  # in turn, the best of each: what the machine can do when nothing disturbs it


def measure(folder: Path) -> tuple[float, float]:
    """Wall seconds for a web server's disk: as it is, and with all files of the disk handed to syft."""
    images = folder / "images"
    images.mkdir(parents=True)
    (images / "debian-13.yaml").write_text(bakes.BASE)
    (images / "bench-chroot.yaml").write_text(bakes.write_image("chroot"))
    project = Project(bakes.ROOT, images, folder / "workspace")
    bakes.bakery(project, "run", "debian-13")
    bakes.bakery(project, "bake", "bench-chroot")
    disk = project.artifact_folder(ImageVersion("bench-chroot", "x86_64", "1.0.0")) / "disk.qcow2"
    syft, omitted = toolbox.find(project, "syft"), tree.OMITTED
    some, whole = [], []
    for _ in range(RUNS):
        some.append(_time_reading(disk, syft))
        setattr(tree, "OMITTED", ())  # noqa: B010
        whole.append(_time_reading(disk, syft))
        setattr(tree, "OMITTED", omitted)  # noqa: B010
    return min(some), min(whole)


def _time_reading(disk: Path, syft: Path) -> float:
    artifact = documents.load(Artifact, disk.with_name("artifact.json"))
    began = time.monotonic()
    read_disk(artifact, disk, syft)
    return time.monotonic() - began
