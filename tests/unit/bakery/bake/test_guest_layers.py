"""The bakery copies the disk of a running guest when its play asks for a layer, and answers in any case."""

import errno
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bakery.bake import guest_layers
from bakery.clouds.job import Job
from bakery.host import files
from bakery.host.errors import DiskError
from bakery.host.events import Event
from bakery.host.waiting import wait_until
from bakery.machine.saved_boot import SavedBoot
from doubles.packer import PackerProject, define, make_world

KEY = "a" * 32
DESCRIPTION = '{"archives": [], "upgraded": false, "seconds": 9.5}'


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    world: PackerProject = make_world(tmp_path, monkeypatch)
    made = replace(world.job(define()), cuts={1: KEY})
    made.drafts.mkdir(parents=True)
    made.output.mkdir()
    (made.output / "disk.qcow2").write_bytes(b"disk")
    return made


@contextmanager
def qemu(path: Path, error: str = "") -> Iterator[list[str]]:
    """A monitor that copies the disk, or fails to; the commands that it gets."""
    commands: list[str] = []
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def answer(request: dict[str, Any]) -> Any:
            commands.append(request["execute"])
            if request["execute"] == "drive-backup":
                Path(request["arguments"]["target"]).write_bytes(b"copy")
            failure = {"error": error} if error else {}
            return [{"id": "layer", "status": "concluded", **failure}] if request["execute"] == "query-jobs" else {}

        def serve() -> None:
            connection, _ = server.accept()
            with connection, connection.makefile("rw") as stream:
                stream.write('{"QMP": {}}\n')
                stream.flush()
                for line in stream:
                    stream.write(json.dumps({"return": answer(json.loads(line))}) + "\n")
                    stream.flush()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield commands


def ask(job: Job) -> bool:
    """Ask for a layer as ask.sh does; whether there is an answer."""
    (job.layer_requests / f"{KEY}.json").write_text(DESCRIPTION)
    (job.layer_requests / f"{KEY}.asked").touch()
    return bool(wait_until(lambda: (job.layer_requests / f"{KEY}.answered").exists() or None, 20, 0.05))


def test_the_disk_is_copied_while_the_guest_stands_still(job: Job, tmp_path: Path) -> None:
    with qemu(tmp_path / "monitor") as commands, guest_layers.answered(job, tmp_path / "monitor"):
        assert ask(job)
    assert commands == ["qmp_capabilities", "stop", "drive-backup", "query-jobs", "job-dismiss", "cont"]
    assert (job.drafts / f"{KEY}.qcow2").read_bytes() == b"copy"
    assert (job.drafts / f"{KEY}.json").read_text() == DESCRIPTION


def test_the_guest_goes_on_after_a_copy_that_failed(job: Job, tmp_path: Path) -> None:
    with qemu(tmp_path / "monitor", "No space left on device") as commands:  # noqa: SIM117 - the monitor ends last
        with guest_layers.answered(job, tmp_path / "monitor"):
            assert ask(job)
    assert commands[-1] == "cont"
    assert not (job.drafts / f"{KEY}.qcow2").exists()


def test_without_a_monitor_the_play_goes_on(job: Job, tmp_path: Path) -> None:
    with guest_layers.answered(job, tmp_path / "monitor"):
        assert ask(job)
    assert not (job.drafts / f"{KEY}.qcow2").exists()


def test_a_link_in_place_of_the_description_is_not_followed(job: Job, tmp_path: Path) -> None:
    (tmp_path / "shadow").write_text("secret")
    with guest_layers.answered(job, tmp_path / "monitor"):
        (job.layer_requests / f"{KEY}.json").symlink_to(tmp_path / "shadow")
        (job.layer_requests / f"{KEY}.asked").touch()
        assert wait_until(lambda: (job.layer_requests / f"{KEY}.answered").exists() or None, 20, 0.05)
    assert not (job.drafts / f"{KEY}.json").exists()


def test_a_pipe_in_place_of_the_description_does_not_stop_the_bake(job: Job, tmp_path: Path) -> None:
    with guest_layers.answered(job, tmp_path / "monitor"):
        os.mkfifo(job.layer_requests / f"{KEY}.json")
        (job.layer_requests / f"{KEY}.asked").touch()
        assert wait_until(lambda: (job.layer_requests / f"{KEY}.answered").exists() or None, 20, 0.05)
    assert not (job.drafts / f"{KEY}.json").exists()


def test_a_description_that_is_not_there_is_answered_too(job: Job, tmp_path: Path) -> None:
    with guest_layers.answered(job, tmp_path / "monitor"):
        (job.layer_requests / f"{KEY}.asked").touch()
        assert wait_until(lambda: (job.layer_requests / f"{KEY}.answered").exists() or None, 20, 0.05)


@pytest.mark.parametrize("error", [ValueError("not enough values"), KeyError("status"), OSError("gone")])
def test_any_failure_is_told_and_answered(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    events: list[Event] = []
    monkeypatch.setattr(guest_layers, "copy_disk", fail)
    with guest_layers.answered(replace(job, report=events.append), tmp_path / "monitor"):
        assert ask(job)
    assert [event.text for event in events] == [f"the layer cannot be kept: {error}"]


def test_a_full_disk_leaves_the_next_request_an_answer(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, write = "b" * 32, files.write_atomic

    def fill(path: Path, content: bytes) -> None:
        if path.name == f"{KEY}.answered":
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, content)

    events: list[Event] = []
    monkeypatch.setattr(files, "write_atomic", fill)
    monkeypatch.setattr(guest_layers, "copy_disk", lambda *_: None)
    both = replace(job, report=events.append, cuts={1: KEY, 2: other})
    with guest_layers.answered(both, tmp_path / "monitor"):
        (job.layer_requests / f"{KEY}.asked").touch()
        assert wait_until(lambda: events or None, 20, 0.05)
        (job.layer_requests / f"{other}.asked").touch()
        assert wait_until(lambda: (job.layer_requests / f"{other}.answered").exists() or None, 20, 0.05)
    assert "No space left on device" in events[0].text


@pytest.mark.parametrize("saved", [False, True], ids=["booted", "from a saved boot"])
def test_the_disk_below_the_overlay_needs_space_too(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saved: bool
) -> None:
    """The copy has all of it."""
    boot = SavedBoot(tmp_path / "boot")
    boot.folder.mkdir()
    below = [boot.disk, boot.base] if saved else [job.start_disk]
    for path in below:
        path.write_bytes(b"x" * 100_000)
    disk = job.output / "disk.qcow2"
    used = sum(files.find_used_space(path) for path in (disk, *below))
    monkeypatch.setattr(files, "find_free_space", lambda _: guest_layers.SPARE * used - 1)
    with pytest.raises(DiskError, match="not enough disk space for a layer"):
        guest_layers.copy_disk(replace(job, boot=boot if saved else None), tmp_path / "monitor", KEY)
    monkeypatch.setattr(files, "find_free_space", lambda _: guest_layers.SPARE * used)
    with pytest.raises(FileNotFoundError):  # it got as far as the description
        guest_layers.copy_disk(replace(job, boot=boot if saved else None), tmp_path / "monitor", KEY)


def test_a_play_gets_no_layer_that_its_job_does_not_have(job: Job, tmp_path: Path) -> None:
    with guest_layers.answered(job, tmp_path / "monitor"):
        (job.layer_requests / f"{'b' * 32}.asked").touch()
        assert ask(job)
    assert not (job.layer_requests / f"{'b' * 32}.answered").exists()


def test_a_job_without_layers_has_no_requests(job: Job, tmp_path: Path) -> None:
    with guest_layers.answered(replace(job, cuts={}), tmp_path / "monitor"):
        assert not job.layer_requests.exists()
