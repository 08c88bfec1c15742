import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bakery.host import files
from bakery.host.errors import BakeryError, ConflictError, ExitCode, UsageError

# Writing more than this fails in the child, as on a full disk: the kernel refuses, whatever Python thinks of it.
LIMIT = 1000
LIMITED = f"""
import resource, signal, sys
from pathlib import Path
from bakery.host import files
from bakery.host.errors import BakeryError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({LIMIT}, {LIMIT}))
try:
    getattr(files, sys.argv[1])(Path(sys.argv[2]), b"new" * {LIMIT})
except BakeryError as error:
    print(error.where, error.message)
"""

IMPORTS = {"PYTHONPATH": str(Path(files.__file__).parents[2])}
IN_SCRATCH = """
import signal, sys
from pathlib import Path
from bakery.host import files
with files.scratch(Path(sys.argv[1]), "web") as folder:
    print(folder, flush=True)
    signal.pause()
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class Full:
    """An `os` function on a full disk."""

    def __call__(self, *_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class TestWriteAtomic:
    def test_replaces_as_a_whole(self, tmp_path: Path) -> None:
        path = tmp_path / "new" / "folder" / "a.json"
        files.write_atomic(path, b"old")
        before = path.stat().st_ino
        files.write_atomic(path, b"new")
        assert path.read_bytes() == b"new"
        assert path.stat().st_ino != before
        assert names(path.parent) == ["a.json"]

    def test_mode_follows_the_umask(self, tmp_path: Path) -> None:
        before = os.umask(0o027)
        try:
            files.write_atomic(tmp_path / "a", b"")
            files.create(tmp_path / "b", b"")
        finally:
            os.umask(before)
        assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in "ab"} == {0o640}

    @pytest.mark.parametrize("call", ["fsync", "replace"])
    def test_full_disk_leaves_the_old_content(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
        path = tmp_path / "a.json"
        path.write_bytes(b"old")
        monkeypatch.setattr(os, call, Full())
        with pytest.raises(BakeryError, match="cannot be written: No space left on device") as caught:
            files.write_atomic(path, b"new")
        assert caught.value.where == str(path)
        assert "free some space" in caught.value.hint
        assert (path.read_bytes(), names(tmp_path)) == (b"old", ["a.json"])

    @pytest.mark.parametrize("function", ["write_atomic", "create"])
    def test_write_that_the_kernel_cuts_short(self, tmp_path: Path, function: str) -> None:
        path = tmp_path / "a.json"
        path.write_bytes(b"old")
        child = subprocess.run(
            [sys.executable, "-c", LIMITED, function, path],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONPATH": str(Path(files.__file__).parents[1])},
        )
        assert child.stdout == f"{path} cannot be written: File too large\n"
        assert (path.read_bytes(), names(tmp_path)) == (b"old", ["a.json"])

    def test_interrupt_leaves_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupted(_: int) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(os, "fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            files.write_atomic(tmp_path / "a.json", b"new")
        assert names(tmp_path) == []

    def test_place_that_is_no_folder(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(BakeryError, match="cannot be written: Not a directory"):
            files.write_atomic(tmp_path / "file" / "folder" / "a.json", b"")


def move_draft(path: Path, data: bytes) -> None:
    draft = path.with_name(f".{path.name}")
    draft.write_bytes(data)
    files.move_into_place(draft, path)


@pytest.mark.parametrize(
    ("write", "naming"),
    [(files.write_atomic, (Path, "replace")), (move_draft, (Path, "replace")), (files.create, (os, "link"))],
)
def test_is_on_disk_before_it_has_the_name_and_then_the_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path, bytes], object], naming: tuple[Any, str]
) -> None:
    seen: list[str] = []
    path = tmp_path / "a.json"
    sync, name = os.fsync, getattr(*naming)

    def spy_sync(handle: int) -> None:
        seen.append(f"sync {Path(f'/proc/self/fd/{handle}').readlink().name.partition('.json')[0]}")
        sync(handle)

    def spy_name(*arguments: Any) -> Any:
        seen.append("name")
        return name(*arguments)

    monkeypatch.setattr(os, "fsync", spy_sync)
    monkeypatch.setattr(*naming, spy_name)
    write(path, b"new")
    assert seen == ["sync .a", "name", f"sync {tmp_path.name}"]


class TestRequireWritable:
    def test_leaves_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "old").write_bytes(b"old")
        for path in (tmp_path / "old", tmp_path / "new" / "folder" / "a.json"):
            files.require_writable(path)
        assert (tmp_path / "old").read_bytes() == b"old"
        assert names(tmp_path / "new" / "folder") == []

    @pytest.mark.parametrize(
        "place", ["", "file/a.json", "file/b/a.json", "n" * 300], ids=["folder", "file", "below", "long"]
    )
    def test_refuses_what_cannot_be_written(self, tmp_path: Path, place: str) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(UsageError, match="cannot be written: ") as caught:
            files.require_writable(tmp_path / place)
        assert caught.value.where == str(tmp_path / place)
        assert "nothing was started" in caught.value.hint

    def test_refuses_a_device(self) -> None:
        """Root would replace it by a file."""
        with pytest.raises(UsageError, match="it is not a file"):
            files.require_writable(Path(os.devnull))

    def test_refuses_a_file_system_that_is_read_only(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

        monkeypatch.setattr(os, "open", refuse)
        with pytest.raises(UsageError, match="Read-only file system"):
            files.require_writable(tmp_path / "a.json")


class TestCreate:
    def test_only_the_first_wins(self, tmp_path: Path) -> None:
        path = tmp_path / "folder" / "a.json"
        assert files.create(path, b"first")
        assert not files.create(path, b"second")
        assert (path.read_bytes(), names(path.parent)) == (b"first", ["a.json"])

    def test_threads(self, tmp_path: Path) -> None:
        path = tmp_path / "folder" / "a.json"
        contents = [str(number).encode() * 1000 for number in range(32)]
        with ThreadPoolExecutor(16) as pool:
            won = list(pool.map(lambda content: files.create(path, content), contents))
        assert won.count(True) == 1
        assert (path.read_bytes(), names(path.parent)) == (contents[won.index(True)], ["a.json"])

    def test_link_to_nowhere_is_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "a.json").symlink_to(tmp_path / "elsewhere")
        assert not files.create(tmp_path / "a.json", b"data")
        assert names(tmp_path) == ["a.json"]


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    assert files.sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_digest_is_computed_again_only_after_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after a change that leaves size and time of the file alone; one that was just changed is always read."""
    path, reads = tmp_path / "disk", []
    compute = files.sha256

    def sha256(read: Path) -> str:
        reads.append(read)
        return compute(read)

    monkeypatch.setattr(files, "sha256", sha256)
    path.write_bytes(b"one")
    assert [files.sha256_by_stamp(path) for _ in range(2)] == [compute(path)] * 2
    assert len(reads) == 2, "it was just written"
    monkeypatch.setattr(files, "GRAIN", 0)
    assert [files.sha256_by_stamp(path) for _ in range(3)] == [compute(path)] * 3
    assert len(reads) == 3
    before = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert files.sha256_by_stamp(path) == compute(path)
    path.with_name("other").write_bytes(b"one")
    path.with_name("other").replace(path)
    assert files.sha256_by_stamp(path) == compute(path)


class TestScratch:
    def test_is_beside_the_final_place_and_private(self, tmp_path: Path) -> None:
        with files.scratch(tmp_path / "store", "web") as folder:
            assert folder.parent == tmp_path / "store"
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            (folder / "disk").write_bytes(b"data")
        assert names(tmp_path / "store") == []

    @pytest.mark.parametrize("error", [BakeryError("no"), KeyboardInterrupt()])
    def test_is_removed_on_failure(self, tmp_path: Path, error: BaseException) -> None:
        with pytest.raises(type(error)), files.scratch(tmp_path, "web") as folder:
            (folder / "deep").mkdir()
            (folder / "deep" / "disk").write_bytes(b"data")
            raise error
        assert names(tmp_path) == []

    def test_full_disk_is_explained(self, tmp_path: Path) -> None:
        with (
            pytest.raises(BakeryError, match="No space left on device") as caught,
            files.scratch(tmp_path, "web"),
            Path("/dev/full").open("wb", buffering=0) as stream,
        ):
            stream.write(b"data")
        assert caught.value.where == str(tmp_path)
        assert "free some space" in caught.value.hint
        assert names(tmp_path) == []

    def test_error_of_a_network_passes(self, tmp_path: Path) -> None:
        with pytest.raises(ConnectionRefusedError), files.scratch(tmp_path, "web"):
            raise ConnectionRefusedError(errno.ECONNREFUSED, "refused")

    def test_folder_of_a_killed_process_goes_at_the_next(self, tmp_path: Path) -> None:
        child = subprocess.Popen(
            [sys.executable, "-c", IN_SCRATCH, tmp_path], stdout=subprocess.PIPE, text=True, env=IMPORTS
        )
        assert child.stdout
        killed = Path(child.stdout.readline().strip())
        (killed / "disk").write_bytes(b"half")
        with files.scratch(tmp_path, "web"), files.scratch(tmp_path, "we"):
            assert killed.exists()  # it is still at work
        child.kill()
        child.communicate()
        with files.scratch(tmp_path, "we"):
            assert killed.exists()
        with files.scratch(tmp_path, "web") as folder:
            assert names(tmp_path) == [folder.name]

    def test_many_at_once_remove_only_their_own(self, tmp_path: Path) -> None:
        def work(number: int) -> str:
            with files.scratch(tmp_path, "web") as folder:
                (folder / "data").write_text(str(number))
                return (folder / "data").read_text()

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(work, range(400))) == [str(number) for number in range(400)]
        assert names(tmp_path) == []

    def test_two_at_once_are_apart(self, tmp_path: Path) -> None:
        with files.scratch(tmp_path, "web") as one, files.scratch(tmp_path, "web") as two:
            assert one != two

    def test_place_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(BakeryError, match="cannot be written"), files.scratch(tmp_path / "file", "web"):
            pass


class TestExclusive:
    def test_second_holder_is_refused_at_once(self, tmp_path: Path) -> None:
        lock = tmp_path / "locks" / "web"
        with files.exclusive(lock, "web is being baked"):
            with (
                pytest.raises(ConflictError, match="web is being baked") as caught,
                files.exclusive(lock, "web is being baked"),
            ):
                pass
            assert caught.value.hint
            assert caught.value.exit_code == ExitCode.TRY_AGAIN
        with files.exclusive(lock, "free again"):
            pass

    def test_threads(self, tmp_path: Path) -> None:
        lock = tmp_path / "web"

        def attempt(_: int) -> bool:
            try:
                with files.exclusive(lock, "busy"):
                    return True
            except ConflictError:
                return False

        with files.exclusive(lock, "busy"), ThreadPoolExecutor(4) as pool:
            assert not any(pool.map(attempt, range(8)))

    def test_a_wait_is_reported_and_ends(self, tmp_path: Path) -> None:
        waits: list[str] = []
        with files.exclusive(tmp_path / "web", "busy"):
            with (
                pytest.raises(ConflictError, match=r"busy; waited 0\.1 s"),
                files.exclusive(tmp_path / "web", "busy", 0.1, lambda: waits.append("once")),
            ):
                pass
            with pytest.raises(ConflictError), files.exclusive(tmp_path / "web", "busy", 0, lambda: waits.append("no")):
                pass
        with files.exclusive(tmp_path / "web", "busy", 0.1, lambda: waits.append("free")):
            assert waits == ["once"]

    def test_dead_holder_holds_nothing(self, tmp_path: Path) -> None:
        code = "import os, sys; from pathlib import Path; from bakery.host import files\n"
        code += "with files.exclusive(Path(sys.argv[1]), ''): os.kill(os.getpid(), 9)"
        environment = {"PYTHONPATH": str(Path(files.__file__).parents[1])}
        child = subprocess.run([sys.executable, "-c", code, tmp_path / "web"], env=environment, check=False)
        assert child.returncode == -9
        with files.exclusive(tmp_path / "web", "busy"):
            pass

    def test_is_freed_on_failure(self, tmp_path: Path) -> None:
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt), files.exclusive(tmp_path / "web", "busy"):
                raise KeyboardInterrupt

    def test_lock_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(BakeryError, match="cannot be written"), files.exclusive(tmp_path / "file" / "web", "busy"):
            pass


def test_require_space(tmp_path: Path) -> None:
    files.require_space(tmp_path / "new", 1, "a disk")
    with pytest.raises(BakeryError, match=r"not enough disk space for a disk: \d+ MiB needed, \d+ MiB free") as caught:
        files.require_space(tmp_path, 1 << 60, "a disk")
    assert (caught.value.where, "--workspace" in caught.value.hint) == (str(tmp_path), True)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (0o755, 0o700),
        (0o777, 0o700),
        (0o2775, 0o2700),
        (0o705, 0o700),
        (0o750, 0o750),
        (0o2770, 0o2770),
        (0o700, 0o700),
    ],
)
def test_a_folder_is_closed_to_others(tmp_path: Path, before: int, after: int) -> None:
    folder = tmp_path / "workspace"
    folder.mkdir()
    folder.chmod(before)
    files.make_private(folder)
    assert mode_of(folder) == after


def test_a_new_folder_is_private_from_the_start(tmp_path: Path) -> None:
    files.make_private(tmp_path / "new" / "workspace")
    assert mode_of(tmp_path / "new" / "workspace") == 0o700


def test_an_open_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    tmp_path.chmod(0o755)
    monkeypatch.setattr(Path, "chmod", refuse)
    with pytest.raises(UsageError, match="other users of this machine can read") as caught:
        files.make_private(tmp_path)
    assert "chmod o-rwx" in caught.value.hint


def test_a_file_moves_to_another_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("bytes")

    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(Path, "rename", refuse)
    files.move(source, target)
    assert target.read_text() == "bytes"
    assert not source.exists()
