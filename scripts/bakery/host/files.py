"""Files that are written atomically and durably, their digests, scratch folders, locks, and space on a disk."""

import errno
import fcntl
import glob
import hashlib
import os
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from bakery.host.errors import BusyError, DiskError, UsageError

PRIVATE = 0o700
# Nanoseconds: the coarsest times of a file system, FAT's. Within them a second change may leave a file's times alone.
GRAIN = 2_000_000_000
CHUNK = 1 << 20  # bytes per read when hashing; larger gains nothing
MAKE_ROOM = "free some space, or point --workspace or --catalog at a larger disk"
# What a disk or its rights refuse. Errors of a network are of the operating system as well, but mean something else.
REFUSALS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO})

_digests: dict[tuple[int, ...], str] = {}  # by stamp, of files that this process has read


def write_atomic(path: Path, data: bytes) -> None:
    """Replace the file `path`; readers see either the old bytes or the new ones. BakeryError if that fails."""
    with explain_errors(path), _temporary_file(path, data) as temporary:
        temporary.replace(path)
        sync(path.parent)


def create(path: Path, data: bytes, mode: int = 0o666) -> bool:
    """Write the file `path` unless it exists; False if it does. Atomic across processes (link(2)).

    The umask applies to `mode`.
    """
    with explain_errors(path), _temporary_file(path, data, mode) as temporary:
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        sync(path.parent)
        return True


def make_private(folder: Path) -> None:
    """Make a folder that other users of this machine cannot enter, or close the one that is there.

    A folder that is closed to others stays as it is: its owner may have opened it to a group. DiskError if it cannot be
    made, UsageError if it is open and belongs to another user.
    """
    with explain_errors(folder):
        folder.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & stat.S_IRWXO:
        try:
            folder.chmod(mode & ~(stat.S_IRWXG | stat.S_IRWXO))
        except PermissionError as error:
            hint = f"have its owner run 'chmod o-rwx {folder}', or name another --workspace"
            message = "other users of this machine can read the disks and logs there"
            raise UsageError(message, where=str(folder), hint=hint) from error


def user_cache() -> Path:
    """The folder for what holds in all projects of a user (XDG Base Directory Specification)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "image-bakery"


def require_writable(path: Path) -> None:
    """Before work starts, try whether `write_atomic` can write `path`; UsageError if it cannot."""
    try:
        if path.is_file() or not path.exists():
            with _temporary_file(path, b""):
                return
        reason = "it is not a file"
    except FileExistsError as error:
        reason = f"{error.filename} is not a folder"
    except OSError as error:
        reason = str(error.strerror)
    hint = "name a file in a folder that you may write to; nothing was started"
    raise UsageError(f"cannot be written: {reason}", where=str(path), hint=hint)


def read_foreign(path: Path) -> bytes:
    """The bytes of a file in a folder where others write; OSError for a link or anything else but a file.

    Others could make a link to what only this user may read, and a pipe would never end.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is not a file", str(path))
        return stream.read()


def read_stamp(path: Path) -> tuple[int, ...]:
    """The fields that git's index compares to say whether a file has other bytes; empty if it has just been changed.

    The next change may have the same time then.
    """
    before = time.time_ns()
    fields = path.stat()
    if fields.st_ctime_ns > before - GRAIN:
        return ()
    return (fields.st_dev, fields.st_ino, fields.st_size, fields.st_mtime_ns, fields.st_ctime_ns)


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def copy(source: Path, target: Path) -> str:
    """Copy a file; the hex SHA-256 of the bytes that were written, without a second read."""
    digest = hashlib.sha256()
    with source.open("rb") as reading, target.open("wb") as writing:
        while chunk := reading.read(CHUNK):
            digest.update(chunk)
            writing.write(chunk)
    return digest.hexdigest()


def sha256_by_stamp(path: Path) -> str:
    """`sha256` of a file; what it was when this process read it before, if the stamp of the file is still the same."""
    stamp = read_stamp(path)
    if stamp in _digests:
        return _digests[stamp]
    digest = sha256(path)
    if stamp and stamp == read_stamp(path):
        _digests[stamp] = digest
    return digest


@contextmanager
def scratch(parent: Path, prefix: str) -> Iterator[Path]:
    """A private folder beside the final path (same file system, so a rename is atomic), removed afterwards.

    Folders with the same prefix of killed processes are removed first: the kernel has freed their locks.
    """
    with explain_errors(parent):
        parent.mkdir(parents=True, exist_ok=True)
        for folder in list_scratch(parent, prefix):
            remove_scratch(folder)
        folder, handle = _make_locked_folder(parent, prefix)
    try:
        with explain_refusals(parent):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def list_scratch(parent: Path, prefix: str) -> list[Path]:
    """The folders that `scratch` made and that are there, of living and of killed processes."""
    return sorted(parent.glob(f".{glob.escape(prefix)}-{'[a-z0-9_]' * 8}"))


def _make_locked_folder(parent: Path, prefix: str) -> tuple[Path, int]:
    """A new folder and the handle that holds its lock. On a file system without locks, nobody removes it either."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f".{prefix}-", dir=parent))
        with suppress(FileNotFoundError):  # another process removed it before it had a lock
            handle = os.open(folder, os.O_RDONLY)
            with suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_EX)
            if folder.exists():
                return folder, handle
            os.close(handle)


def remove_scratch(folder: Path) -> None:
    """Remove a folder that `scratch` made, unless a living process has it."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(handle)


@contextmanager
def exclusive(
    path: Path, busy: str, timeout: float = 0.0, on_wait: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Hold the lock file `path`; BusyError(`busy`) if another run still holds it after `timeout` seconds.

    `on_wait` is called once if there is a wait. The kernel frees the lock of a dead process.
    """
    lock = FileLock(path)
    with explain_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _acquire_lock(lock, timeout, on_wait)
        except Timeout as error:
            waited = f"; waited {timeout:g} s" if timeout else ""
            raise BusyError(busy + waited, hint="wait until it ends, or stop it, and run again") from error
    try:
        yield
    finally:
        lock.release()


def _acquire_lock(lock: FileLock, timeout: float, on_wait: Callable[[], None]) -> None:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if not timeout:
            raise
        on_wait()
        lock.acquire(timeout=timeout)


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name; on another file system, or where the file is somebody else's, copy it."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
            raise
        shutil.copyfile(source, target)


def move(source: Path, target: Path) -> None:
    """Move a file, which may be to another file system; the caller gives it its final name afterwards."""
    with explain_errors(target):
        try:
            source.rename(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            shutil.copy(source, target)
            sync(target)
            source.unlink()


def move_into_place(draft: Path, target: Path) -> None:
    """Give a finished file its final name in the same file system: complete there or absent, even after a power cut."""
    sync(draft)
    draft.replace(target)
    sync(target.parent)


def sync(path: Path) -> None:
    """Wait until the bytes of a file, or the names in a folder, are on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def find_free_space(folder: Path) -> int:
    """The free bytes of the file system that has a folder, or would have it."""
    folders = (folder.absolute(), *folder.absolute().parents)
    return shutil.disk_usage(next(path for path in folders if path.exists())).free


def find_used_space(path: Path) -> int:
    """The bytes that a file takes on its disk: fewer than its length if it has holes."""
    return path.stat().st_blocks * 512  # stat counts in 512 bytes on every file system


def require_space(folder: Path, needed: int, purpose: str) -> None:
    """Raise before work starts when `folder`'s file system has fewer than `needed` bytes free."""
    free = find_free_space(folder)
    if free < needed:
        raise DiskError(
            f"not enough disk space for {purpose}: {needed >> 20} MiB needed, {free >> 20} MiB free",
            where=str(folder),
            hint=MAKE_ROOM,
        )


@contextmanager
def explain_errors(path: Path) -> Iterator[None]:
    """Raise DiskError for an error of the operating system while `path` is written."""
    try:
        yield
    except OSError as error:
        raise DiskError(f"cannot be written: {error.strerror}", where=str(path), hint=hint_at_refusal(error)) from error


@contextmanager
def explain_refusals(folder: Path | None = None) -> Iterator[None]:
    """Raise DiskError if a disk or its rights refuse a file, below `folder` if no name is known. Others pass."""
    try:
        yield
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        where = str(error.filename or folder or "")
        raise DiskError(
            f"cannot be read or written: {error.strerror}", where=where, hint=hint_at_refusal(error)
        ) from error


def hint_at_refusal(error: OSError) -> str:
    """A hint for a user whose disk refuses a file; empty if none helps."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return MAKE_ROOM
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return "give this user the right to write there, or point --workspace or --catalog at another folder"
        case _:
            return ""


@contextmanager
def _temporary_file(path: Path, data: bytes, mode: int = 0o666) -> Iterator[Path]:
    """A new file with `data` on disk, in the folder of `path`; removed afterwards unless it was renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        # Not tempfile, whose files only their owner can read: others also read the catalog.
        with open(temporary, "xb", opener=partial(os.open, mode=mode)) as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
