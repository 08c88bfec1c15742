"""Copies the disk of a running guest as a layer when its play asks for one."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bakery.clouds.job import Job
from bakery.host import files
from bakery.host.errors import BakeryError
from bakery.host.waiting import wait_until
from bakery.machine.qmp import Monitor, open_monitor

ASKED, ANSWERED = ".asked", ".answered"  # of ansible/playbooks/layers/ask.sh
DISK = "virtio0"  # QEMU's name for the first disk with `if=virtio`
POLL_SECONDS = 0.1
COPY_SECONDS = 600.0  # a copy takes two
SPARE = 4  # times the disk's size: the copy takes it once, the bake flattens the disk, and needs some to go on
ASK_SECONDS = 650  # as long as ansible/playbooks/layers/ask.sh waits


@contextmanager
def answered(job: Job, monitor: Path) -> Iterator[None]:
    """Answer the play of a job until the block ends. `monitor` is the socket of its QEMU.

    The play runs without the rights of this process, so it asks by a file, and can ask for the layers of its job alone.
    """
    if not job.cuts:
        yield
        return
    job.layer_requests.mkdir(mode=0o777)
    job.layer_requests.chmod(0o777)  # the umask may not allow it, and Ansible may be another user
    ended = threading.Event()
    answering = threading.Thread(target=_answer, args=(job, monitor, ended), name="layers")
    answering.start()
    try:
        yield
    finally:
        ended.set()
        answering.join()


def _answer(job: Job, monitor: Path, ended: threading.Event) -> None:
    waiting = set(job.cuts.values())
    while not ended.wait(POLL_SECONDS):
        for key in [key for key in waiting if (job.layer_requests / f"{key}{ASKED}").exists()]:
            waiting.remove(key)
            try:
                copy_disk(job, monitor, key)
            except Exception as error:  # noqa: BLE001 - the play waits for an answer, whatever a role or QEMU did
                job.progress(f"the layer cannot be kept: {error}")
            try:
                files.write_atomic(job.layer_requests / f"{key}{ANSWERED}", b"")
            except OSError as error:
                job.progress(f"the play goes on after {ASK_SECONDS} s, since it cannot be answered: {error}")


def copy_disk(job: Job, monitor: Path, key: str) -> None:
    """Stop the guest, copy its disk to the bake's drafts, and let it go on; BakeryError if QEMU does not do it."""
    draft = job.drafts / key
    files.require_space(job.drafts, SPARE * sum(map(files.find_used_space, _list_disk_files(job))), "a layer")
    files.write_atomic(draft.with_suffix(".json"), files.read_foreign(job.layer_requests / f"{key}.json"))
    with open_monitor(monitor) as qemu:
        qemu.run("stop")
        try:
            _back_up(qemu, draft.with_suffix(".part"))
        finally:
            qemu.run("cont")
    draft.with_suffix(".part").rename(draft.with_suffix(".qcow2"))


def _list_disk_files(job: Job) -> list[Path]:
    """The files that have the guest's disk: an overlay, and those below it."""
    return [job.output / "disk.qcow2", job.start_disk, *([job.boot.base] if job.boot else [])]


def _back_up(qemu: Monitor, target: Path) -> None:
    options = {"job-id": "layer", "auto-dismiss": False}
    qemu.run("drive-backup", device=DISK, target=str(target), sync="full", format="qcow2", **options)

    def probe() -> dict[str, str] | None:
        [state] = [state for state in qemu.run("query-jobs") if state["id"] == "layer"]
        return state if state["status"] == "concluded" else None

    end = wait_until(probe, COPY_SECONDS, POLL_SECONDS)
    if end is None:
        raise BakeryError("the copy of the disk did not end")
    qemu.run("job-dismiss", id="layer")
    if "error" in end:
        raise BakeryError(f"QEMU cannot copy the disk: {end['error']}")
