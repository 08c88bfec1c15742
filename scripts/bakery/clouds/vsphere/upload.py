"""Uploads an item's content in an update session: its files become visible together, or not at all."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from bakery.clouds.phases import ReportProgress
from bakery.clouds.vsphere.library import Item, Library
from bakery.clouds.vsphere.ovf import PackedFile
from bakery.clouds.vsphere.session import StateError, VCenter
from bakery.clouds.vsphere.transfer import Endpoint, Message
from bakery.host.errors import BakeryError, NotFoundError
from bakery.host.waiting import wait_until

SESSIONS = "/content/library/item/update-session"
FILES = "/content/library/item/updatesession/file"
COMPLETE_SECONDS = 3600.0  # vCenter moves the files to the library's datastore
# An upload does not count as activity: a login that is idle for long is gone at the end (vmware/govmomi issue 1832).
ALIVE_SECONDS = 60.0


@dataclass(frozen=True)
class _Session:
    id: str
    library_item_id: str
    state: str
    error_message: Message | None = None


@dataclass(frozen=True)
class _FileInfo:
    upload_endpoint: Endpoint


def send(library: Library, item: Item, contents: Sequence[PackedFile], report_progress: ReportProgress) -> None:
    """Give a new item its files; BakeryError if vCenter did not receive each of them intact."""
    vcenter = library.vcenter
    doing = f"start the upload of {item.name}"
    session = vcenter.create(doing, SESSIONS, {"create_spec": {"library_item_id": item.id}})
    try:
        progress = _Progress(vcenter, session, sum(file.path.stat().st_size for file in contents), report_progress)
        # vCenter refused a file, or a repeated step succeeded before: `_await_upload` finds out.
        with suppress(StateError):
            for file in contents:
                _send_file(vcenter, session, file, progress)
            vcenter.act(f"complete {item.name}", f"{SESSIONS}/id:{session}", "complete")
        _await_upload(library, session, item)
    finally:
        with suppress(BakeryError):  # the session expires by itself
            _end_session(vcenter, session)


def cancel_uploads(library: Library, item: Item) -> None:
    """End the sessions that an interrupted run left on an item, which can have only one at a time."""
    vcenter = library.vcenter
    for session in vcenter.get("look for unfinished uploads", SESSIONS, list[str]):
        with suppress(NotFoundError):  # the session ended meanwhile
            if _read_session(vcenter, session).library_item_id == item.id:
                _end_session(vcenter, session)


class _Progress:
    """Reports the progress, and keeps the login and the update session alive."""

    def __init__(self, vcenter: VCenter, session: str, size: int, report_progress: ReportProgress) -> None:
        self._vcenter = vcenter
        self._session = session
        self._size = size
        self._report_progress = report_progress
        self._last_keep_alive = time.monotonic()
        self.done = 0  # bytes of the files before this one

    def sent(self, count: int) -> None:
        fraction = (self.done + count) / self._size
        self._report_progress(fraction)
        if time.monotonic() - self._last_keep_alive > ALIVE_SECONDS:
            self._last_keep_alive = time.monotonic()
            body = {"client_progress": int(fraction * 100)}
            self._vcenter.act("keep the upload alive", f"{SESSIONS}/id:{self._session}", "keep-alive", body)


def _send_file(vcenter: VCenter, session: str, file: PackedFile, progress: _Progress) -> None:
    path, size = file.path, file.path.stat().st_size
    spec = {
        "name": path.name,
        "source_type": "PUSH",
        "size": size,
        "checksum_info": {"algorithm": "SHA256", "checksum": file.sha256},
    }
    answer = vcenter.ask(f"announce {path.name}", f"{FILES}/id:{session}", "add", _FileInfo, {"file_spec": spec})
    vcenter.put(f"send {path.name}", answer.upload_endpoint.uri, path, progress.sent)
    progress.done += size


def _await_upload(library: Library, session: str, item: Item) -> None:
    def final_session() -> _Session | None:
        upload_session = _read_session(library.vcenter, session)
        return None if upload_session.state == "ACTIVE" else upload_session

    upload_session = wait_until(final_session, COMPLETE_SECONDS)
    if upload_session is None or upload_session.state != "DONE":
        reason = upload_session.error_message.default_message if upload_session and upload_session.error_message else ""
        raise BakeryError(
            f"vCenter did not take the upload of {item.name}",
            where=library.where,
            detail=reason or f"it is {upload_session.state if upload_session else 'not done after an hour'}",
            hint="run again: the next run uploads all files again",
        )


def _read_session(vcenter: VCenter, session: str) -> _Session:
    return vcenter.get("look at the upload", f"{SESSIONS}/id:{session}", _Session)


def _end_session(vcenter: VCenter, session: str) -> None:
    """End a session, and discard an upload that is not complete."""
    if _read_session(vcenter, session).state == "ACTIVE":
        vcenter.act("give up an upload", f"{SESSIONS}/id:{session}", "cancel")
    vcenter.delete("end an upload", f"{SESSIONS}/id:{session}")
