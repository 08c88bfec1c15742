"""What publish refuses, that it tries every target, and what it keeps."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bakery.clouds import CLOUDS
from bakery.clouds.aws.target import AwsTarget
from bakery.clouds.local.target import LocalTarget
from bakery.clouds.target import EarlierDisk
from bakery.engine.publish import publish
from bakery.host import files, process
from bakery.host.errors import BakeryError, ConflictError, NotFoundError, PartialError
from bakery.host.events import Reporter, silent
from bakery.machine.block_list import BlockList
from bakery.model import documents
from bakery.model.baked import Baked
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Artifact, Publication, RemoteBuild
from bakery.model.project import Project
from bakery.model.version import ImageVersion


class FakeTarget:
    """Publishes at once, or raises."""

    def __init__(self, name: str, error: BakeryError | None = None) -> None:
        self.name = name
        self.error = error
        self.seconds = {"store": 1.0}
        self.earlier: EarlierDisk | None = None

    def adopt(self, build: RemoteBuild, report: Reporter) -> Publication:
        return Publication("web", "x86_64", build.version, build.identity, self.name, (), seconds=self.seconds)

    def publish(
        self, artifact: Artifact, disk: Path, report: Reporter, earlier: EarlierDisk | None = None
    ) -> Publication:
        assert disk.read_bytes() == b"a disk"
        self.earlier = earlier
        if self.error:
            raise self.error
        sha256 = artifact.disk.sha256
        return Publication("web", "x86_64", artifact.version, sha256, self.name, (), seconds=self.seconds)


@pytest.fixture
def fakes() -> dict[str, FakeTarget]:
    return {name: FakeTarget(name) for name in ("local", "aws")}


@pytest.fixture
def folder(project: Project) -> Path:
    return project.artifact_folder(ImageVersion("web", "x86_64", "1.0.0"))


# Any: the fakes have the two methods of a target that are called here.
Parts = tuple[Project, Baked, dict[str, Any]]


@pytest.fixture
def parts(
    project: Project,
    definition: ImageDefinition,
    artifact: Artifact,
    fakes: dict[str, FakeTarget],
) -> Parts:
    return project, Baked(definition, "1.0.0", artifact, {}), fakes


def test_all_targets(parts: Parts, fakes: dict[str, FakeTarget], folder: Path) -> None:
    publications = publish(*parts, silent)
    assert [found.target for found in publications] == ["local", "aws"]
    for found in publications:
        assert documents.load(Publication, folder / f"publication-{found.target}.json") == found


def test_a_target_gets_the_earlier_disk_that_it_has(parts: Parts, fakes: dict[str, FakeTarget]) -> None:
    disk = EarlierDisk((), "d" * 64, BlockList({}))
    publish(*parts, silent, {"aws": disk})
    assert (fakes["aws"].earlier, fakes["local"].earlier) == (disk, None)


def test_the_seconds_of_the_first_run_stay(parts: Parts, fakes: dict[str, FakeTarget], folder: Path) -> None:
    first = publish(*parts, silent)
    fakes["aws"].seconds = {"store": 0.0}
    assert publish(*parts, silent) == first
    (folder / "publication-aws.json").write_text("{}")  # written by another release
    assert publish(*parts, silent)[1].seconds == {"store": 0.0}


def test_one_target_fails(parts: Parts, fakes: dict[str, FakeTarget], folder: Path) -> None:
    fakes["local"].error = BakeryError("no space", detail="0 MiB", hint="free some")
    with pytest.raises(PartialError, match="publishing failed at local, succeeded at aws") as caught:
        publish(*parts, silent)
    assert caught.value.detail == "local: no space (free some)\n  0 MiB"
    assert (folder / "publication-aws.json").exists()
    assert not (folder / "publication-local.json").exists()


def test_all_targets_fail(parts: Parts, fakes: dict[str, FakeTarget]) -> None:
    for fake in fakes.values():
        fake.error = BakeryError("down")
    with pytest.raises(BakeryError, match=r"publishing failed at local, aws$") as caught:
        publish(*parts, silent)
    assert not isinstance(caught.value, PartialError)


def test_the_only_target_fails_with_its_own_error(parts: Parts, fakes: dict[str, FakeTarget]) -> None:
    del fakes["aws"]
    fakes["local"].error = BakeryError("no space")
    with pytest.raises(BakeryError, match=r"^no space$"):
        publish(*parts, silent)


def test_a_changed_disk_is_refused(parts: Parts, fakes: dict[str, FakeTarget], folder: Path) -> None:
    (folder / "disk.qcow2").write_bytes(b"A disk")
    with pytest.raises(BakeryError, match="changed after it was tested"):
        publish(*parts, silent)
    assert not list(folder.glob("publication-*"))


def test_a_lost_disk(parts: Parts, fakes: dict[str, FakeTarget], folder: Path) -> None:
    (folder / "disk.qcow2").unlink()
    with pytest.raises(NotFoundError, match="is missing"):
        publish(*parts, silent)


def test_two_at_once(parts: Parts, project: Project) -> None:
    lock = project.workspace / "locks" / "publish-web-1.0.0-x86_64.lock"
    with files.exclusive(lock, ""), pytest.raises(ConflictError, match="by another run"):
        publish(*parts, silent)


def test_what_packer_built_at_a_target_is_taken_over(parts: Parts, artifact: Artifact, build: RemoteBuild) -> None:
    project, baked, fakes = parts
    publications = publish(project, replace(baked, builds={"aws": build}), fakes, silent)
    assert [found.sha256 for found in publications] == [artifact.disk.sha256, build.identity]
    kept = project.build_folder(ImageVersion("web", "x86_64", "1.0.0"), "aws") / "publication-aws.json"
    assert documents.load(Publication, kept) == publications[1]


def test_without_a_disk(parts: Parts, build: RemoteBuild) -> None:
    project, baked, fakes = parts
    del fakes["local"]
    only = replace(baked, artifact=None, builds={"aws": build})
    assert [found.target for found in publish(project, only, fakes, silent)] == ["aws"]


def test_targets_by_name(project: Project, definition: ImageDefinition) -> None:
    assert isinstance(CLOUDS["local"].open_target(project, definition, {}), LocalTarget)
    assert isinstance(CLOUDS["aws"].open_target(project, definition, {}), AwsTarget)


def test_local_targets_load_no_cloud_sdk(project_root: Path) -> None:
    code = "import bakery.clouds.local.target, bakery.engine.channels, sys; print('botocore' in sys.modules)"
    scripts = {"PYTHONPATH": str(project_root / "scripts")}
    assert process.run([sys.executable, "-c", code], env=scripts).stdout == "False\n"
