"""The local target: stored once, never changed, linked by channel."""

import errno
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from bakery.clouds.local.target import HERE, LocalTarget
from bakery.host import files, process
from bakery.host.errors import BakeryError, ConflictError, NotFoundError
from bakery.host.events import silent
from bakery.model.documents import Artifact, Availability, Disk, Publication
from bakery.model.project import Project


@pytest.fixture
def target(project: Project) -> LocalTarget:
    return LocalTarget(project.store)


@pytest.fixture
def disk(artifact: Artifact) -> Path:
    return Path(artifact.disk.path)


@pytest.fixture
def stored(project: Project) -> Path:
    return project.store / "web-1.0.0-x86_64.qcow2"


def _full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_publish(target: LocalTarget, artifact: Artifact, disk: Path, stored: Path) -> None:
    publication = target.publish(artifact, disk, silent)
    assert [location.id for location in publication.locations] == [stored.name]
    assert stored.read_bytes() == b"a disk"
    assert stored.stat().st_mode & 0o222 == 0
    process.run(["sha256sum", "--check", f"{stored.name}.sha256"], cwd=stored.parent)
    assert sorted(path.name for path in stored.parent.iterdir()) == [stored.name, f"{stored.name}.sha256"]
    assert [finding.status for finding in target.inspect(publication)] == ["correct"]


def test_a_disk_that_was_replaced_after_its_test_is_not_stored(
    target: LocalTarget, artifact: Artifact, disk: Path, project: Project
) -> None:
    """Whoever may write to the artifacts waits until publish has compared the disk."""
    disk.unlink()
    disk.write_bytes(b"evil")
    with pytest.raises(BakeryError, match=r"the disk of web-1\.0\.0-x86_64 changed while it was published") as caught:
        target.publish(artifact, disk, silent)
    assert artifact.disk.sha256 in caught.value.detail
    assert list(project.store.iterdir()) == []


def test_a_stored_disk_shares_nothing_with_the_artifacts(
    target: LocalTarget, artifact: Artifact, disk: Path, stored: Path
) -> None:
    """A later write there, such as by a guest that is started from it, must not change the version."""
    publication = target.publish(artifact, disk, silent)
    with disk.open("r+b") as stream:
        stream.write(b"A")
    assert (stored.read_bytes(), stored.stat().st_nlink) == (b"a disk", 1)
    assert [finding.status for finding in target.inspect(publication)] == ["correct"]


def test_nothing_that_ended_is_lost_by_a_power_cut(
    target: LocalTarget, artifact: Artifact, disk: Path, stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk's bytes are on disk before it has its name, and the names before the catalog is told."""
    seen: list[str] = []
    sync, name = os.fsync, Path.replace

    def spy_sync(handle: int) -> None:
        seen.append(f"sync {Path(f'/proc/self/fd/{handle}').readlink().name}")
        sync(handle)

    def spy_name(path: Path, new: Path) -> Path:
        seen.append(f"name {new.name}")
        return name(path, new)

    monkeypatch.setattr(os, "fsync", spy_sync)
    monkeypatch.setattr(Path, "replace", spy_name)
    publication = target.publish(artifact, disk, silent)
    store = f"sync {stored.parent.name}"
    assert seen[:3] == [f"sync {stored.name}", f"name {stored.name}", store]
    target.point(publication, "stable", [HERE], silent)
    assert seen[-2:] == ["name web-stable-x86_64.qcow2", store]
    target.set_availability(publication, "disabled", silent)
    assert seen[-2:] == [f"name {stored.name}.sha256.disabled", store]
    seen.clear()
    target.unpoint(publication, "stable", {HERE: [stored.name]})
    target.set_availability(publication, "removed", silent)
    assert seen == [store, store]


def test_again_changes_nothing(target: LocalTarget, artifact: Artifact, disk: Path, stored: Path) -> None:
    target.publish(artifact, disk, silent)
    before = stored.stat()
    target.publish(artifact, disk, silent)
    after = stored.stat()  # reading may change its access time
    assert (after.st_ino, after.st_ctime_ns) == (before.st_ino, before.st_ctime_ns)


def test_again_repairs_the_checksum(target: LocalTarget, artifact: Artifact, disk: Path, stored: Path) -> None:
    publication = target.publish(artifact, disk, silent)
    beside = stored.with_name(f"{stored.name}.sha256")
    beside.write_text("0000\n")
    assert [finding.status for finding in target.inspect(publication)] == ["incorrect"]
    target.publish(artifact, disk, silent)
    assert [finding.status for finding in target.inspect(publication)] == ["correct"]


def test_other_bytes_are_never_overwritten(target: LocalTarget, artifact: Artifact, disk: Path, stored: Path) -> None:
    target.publish(artifact, disk, silent)
    other = replace(artifact, disk=Disk(str(disk), "qcow2", 6, "0" * 64, "0" * 64, "0" * 64))
    with pytest.raises(ConflictError, match="but its content differs"):
        target.publish(other, disk, silent)
    assert stored.read_bytes() == b"a disk"


def test_a_copy_that_fails_leaves_nothing(
    target: LocalTarget, artifact: Artifact, disk: Path, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "copy", _full)
    with pytest.raises(BakeryError, match="No space left on device"):
        target.publish(artifact, disk, silent)
    assert list(project.store.iterdir()) == []


def test_inspect(target: LocalTarget, artifact: Artifact, disk: Path, stored: Path) -> None:
    publication = target.publish(artifact, disk, silent)
    stored.unlink()
    stored.write_bytes(b"another disk")
    (finding,) = target.inspect(publication)
    assert (finding.location, finding.status) == (str(stored), "incorrect")
    stored.unlink()
    (finding,) = target.inspect(publication)
    assert (finding.status, finding.detail) == ("missing", f"no {stored}")
    stored.mkdir()
    (finding,) = target.inspect(publication)
    assert finding.status == "unreachable"


def _statuses(target: LocalTarget, publication: Publication) -> dict[Availability, str]:
    return {
        availability: target.inspect(publication, availability)[0].status for availability in get_args(Availability)
    }


USABLE = {"available": "correct", "deprecated": "correct", "disabled": "incorrect", "removed": "unexpected"}
HIDDEN = {"available": "incorrect", "deprecated": "incorrect", "disabled": "correct", "removed": "unexpected"}
ABSENT = {"available": "missing", "deprecated": "missing", "disabled": "missing", "removed": "correct"}


def test_a_disabled_version_is_out_of_sight_until_it_is_available_again(
    target: LocalTarget, artifact: Artifact, disk: Path, stored: Path
) -> None:
    publication = target.publish(artifact, disk, silent)
    names = sorted(path.name for path in stored.parent.iterdir())
    steps: tuple[tuple[Availability, object], ...]
    steps = (("deprecated", USABLE), ("disabled", HIDDEN), ("available", USABLE))
    for availability, statuses in steps:
        for _ in range(2):
            target.set_availability(publication, availability, silent)
            assert _statuses(target, publication) == statuses
        assert any(path.suffix == ".qcow2" for path in stored.parent.iterdir()) == (statuses is USABLE)
    assert sorted(path.name for path in stored.parent.iterdir()) == names
    process.run(["sha256sum", "--check", f"{stored.name}.sha256"], cwd=stored.parent)


@pytest.mark.parametrize("before", ["available", "disabled"])
def test_nothing_is_left_of_a_removed_version(
    target: LocalTarget, artifact: Artifact, disk: Path, project: Project, before: Availability
) -> None:
    publication = target.publish(artifact, disk, silent)
    target.set_availability(publication, before, silent)
    for _ in range(2):
        target.set_availability(publication, "removed", silent)
        assert (list(project.store.iterdir()), _statuses(target, publication)) == ([], ABSENT)
    with pytest.raises(NotFoundError, match="the store has no disk"):
        target.set_availability(publication, "available", silent)


def test_damage_of_a_disabled_version_is_seen(
    target: LocalTarget, artifact: Artifact, disk: Path, stored: Path
) -> None:
    publication = target.publish(artifact, disk, silent)
    target.set_availability(publication, "disabled", silent)
    hidden = stored.with_name(f"{stored.name}.disabled")
    hidden.unlink()
    hidden.write_bytes(b"another disk")
    assert "sha256 is" in target.inspect(publication, "disabled")[0].detail


@pytest.mark.parametrize("availability", ["disabled", "available", "removed"])
def test_a_kill_between_two_steps_is_repaired(
    target: LocalTarget,
    artifact: Artifact,
    disk: Path,
    availability: Availability,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    publication = target.publish(artifact, disk, silent)
    if availability == "available":
        target.set_availability(publication, "disabled", silent)
    done: list[Path] = []
    step = "unlink" if availability == "removed" else "replace"
    act = getattr(Path, step)

    def act_once(path: Path, *arguments: Any, **options: Any) -> Any:
        if done:
            raise KeyboardInterrupt
        done.append(path)
        return act(path, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Path, step, act_once)
        with pytest.raises(KeyboardInterrupt):
            target.set_availability(publication, availability, silent)
    assert target.inspect(publication, availability)[0].status != "correct"
    target.set_availability(publication, availability, silent)
    assert target.inspect(publication, availability)[0].status == "correct"


def test_channels(target: LocalTarget, artifact: Artifact, disk: Path, project: Project) -> None:
    first = target.publish(artifact, disk, silent)
    second = target.publish(replace(artifact, version="1.0.1"), disk, silent)
    link = project.store / "web-stable-x86_64.qcow2"
    for publication in (first, second, second):
        pointer = target.point(publication, "stable", [HERE], silent)[HERE]
        assert (pointer.name, pointer.value) == (link.name, publication.locations[0].id)
        assert str(link.readlink()) == publication.locations[0].id  # moves with the store
        assert target.read_channel(publication, "stable", [HERE]) == {HERE: pointer}
    target.unpoint(first, "stable", {HERE: [first.locations[0].id]})
    assert link.is_symlink()
    target.unpoint(first, "stable", {HERE: [second.locations[0].id]})
    assert not link.is_symlink()
    assert target.read_channel(second, "stable", [HERE]) == {}


def test_a_record_of_an_older_release_has_the_path(
    target: LocalTarget, artifact: Artifact, disk: Path, stored: Path
) -> None:
    publication = _at(target.publish(artifact, disk, silent), str(stored))
    assert [finding.status for finding in target.inspect(publication)] == ["correct"]


@pytest.mark.parametrize("place", ["/etc/shadow", "../outside.qcow2", "web-1.0.1-x86_64.qcow2"])
def test_a_place_of_a_record_is_never_opened(
    target: LocalTarget, artifact: Artifact, disk: Path, stored: Path, place: str
) -> None:
    publication = _at(target.publish(artifact, disk, silent), place)
    (finding,) = target.inspect(publication)
    assert (finding.location, finding.status) == (place, "incorrect")
    pointer = target.point(publication, "stable", [HERE], silent)[HERE]
    assert pointer.value == stored.name


@pytest.mark.parametrize("image", ["../web", "/web", "a/../../web"])
def test_a_name_never_leads_out_of_the_store(
    target: LocalTarget, artifact: Artifact, disk: Path, project: Project, image: str
) -> None:
    publication = replace(target.publish(artifact, disk, silent), image=image)
    before = sorted(project.root.rglob("*"))
    for attempt in (
        lambda: target.publish(replace(artifact, image=image), disk, silent),
        lambda: target.inspect(publication),
        lambda: target.set_availability(publication, "removed", silent),
        lambda: target.point(publication, "stable", [HERE], silent),
        lambda: target.unpoint(publication, "stable", {HERE: ["x"]}),
    ):
        with pytest.raises(BakeryError, match="is not a name in the local store"):
            attempt()
    assert sorted(project.root.rglob("*")) == before


def _at(publication: Publication, place: str) -> Publication:
    """A publication whose record says that the disk is somewhere else."""
    return replace(publication, locations=(replace(publication.locations[0], id=place),))
