"""The files of an image in the store: disks, checksums and drafts, but no link of a channel and nothing of another."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from bakery.clouds.local.leftovers import DRAFT
from bakery.clouds.local.target import LocalTarget
from bakery.clouds.target import Resource
from bakery.host import files
from bakery.host.events import silent
from bakery.model.documents import Artifact, Location
from bakery.model.project import Project

NAME = "web-1.0.0-x86_64.qcow2"


@pytest.fixture
def target(project: Project) -> LocalTarget:
    return LocalTarget(project.store)


@pytest.fixture
def store(project: Project) -> Path:
    project.store.mkdir(parents=True)
    return project.store


def list_files(target: LocalTarget) -> list[Resource]:
    (resources,) = target.list_resources("web", "x86_64").resources.values()
    return list(resources)


def test_a_store_that_is_not_there(target: LocalTarget) -> None:
    assert list_files(target) == []


def test_a_published_disk_is_one_resource(target: LocalTarget, artifact: Artifact) -> None:
    """The record names the disk; its checksum and the channel's link belong to it."""
    publication = target.publish(artifact, Path(artifact.disk.path), silent)
    target.point(publication, "stable", [Location("", "")], silent)
    (disk,) = list_files(target)
    assert (disk.kind, disk.id, disk.version) == ("disk", publication.locations[0].id, "1.0.0")
    assert abs((datetime.now(UTC) - datetime.fromisoformat(disk.since)).total_seconds()) < 60


def test_a_disk_goes_with_its_checksum(target: LocalTarget, artifact: Artifact, project: Project) -> None:
    target.publish(artifact, Path(artifact.disk.path), silent)
    disks = list_files(target)
    assert target.remove_resources(disks) == {}
    assert list(project.store.iterdir()) == []
    assert target.remove_resources(disks) == {}


def test_other_files_are_not_listed(target: LocalTarget, store: Path) -> None:
    others = (
        *("web-proxy-1.0.0-x86_64.qcow2", "web-1.0.0-aarch64.qcow2", "web-stable-x86_64.qcow2", "web-1.0-x86_64.qcow2"),
        *(
            "my-web-1.0.0-x86_64.qcow2",
            "web-1.0.0-x86_64.qcow2.bak",
            "notes.txt",
            "web-proxy-1.0.0-x86_64.qcow2.sha256",
        ),
    )
    for name in others:
        (store / name).write_text("mine")
    assert list_files(target) == []


def test_what_a_killed_run_left(target: LocalTarget, store: Path) -> None:
    """A draft whose process is gone, a checksum without its disk, and one that was being written."""
    draft = store / ".disk-abcd1234"
    draft.mkdir()
    (draft / NAME).write_text("half a disk")
    (store / f"{NAME}.sha256").write_text("5a")
    (store / f".{NAME}.sha256.0a1b2c3d").write_text("5")
    resources = list_files(target)
    assert sorted((resource.kind, resource.id, resource.version) for resource in resources) == [
        ("file", f".{NAME}.sha256.0a1b2c3d", "1.0.0"),
        ("file", f"{NAME}.sha256", "1.0.0"),
        ("upload", ".disk-abcd1234", "1.0.0"),
    ]
    assert target.remove_resources(resources) == {}
    assert list(store.iterdir()) == []


def test_a_draft_of_a_living_run_stays(target: LocalTarget, store: Path) -> None:
    with files.scratch(store, DRAFT) as folder:
        (folder / NAME).write_text("half a disk")
        (resource,) = list_files(target)
        failures = target.remove_resources([resource])
        assert "another run has this folder" in failures[resource].message
        assert (folder / NAME).read_text() == "half a disk"


def test_a_file_that_cannot_be_removed_is_named(target: LocalTarget, store: Path) -> None:
    """The rest goes."""
    (store / NAME).mkdir()
    (store / NAME / "file").write_text("somebody's")
    (store / NAME.replace("1.0.0", "1.0.1")).write_text("a disk")
    resources = list_files(target)
    failures = target.remove_resources(resources)
    assert [(resource.version, error.message) for resource, error in failures.items()] == [
        ("1.0.0", "cannot be written: Is a directory")
    ]
    assert [path.name for path in store.iterdir()] == [NAME]
