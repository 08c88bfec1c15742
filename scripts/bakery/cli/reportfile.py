"""The files of the options --report, --outputs and --junit."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bakery.host import files
from bakery.host.errors import BakeryError


def check_writable(path: Path | None) -> Path | None:
    """The callback of an option: refuse a file that cannot be written before any work is done."""
    if path:
        files.require_writable(path)
    return path


@contextmanager
def write_at_end(path: Path | None, content: Callable[[], bytes]) -> Iterator[None]:
    """Write the file when the block ends, also by an error. An error of the block takes precedence over the file's."""
    try:
        yield
    except BaseException:
        with suppress(BakeryError):
            _write_file(path, content)
        raise
    _write_file(path, content)


def _write_file(path: Path | None, content: Callable[[], bytes]) -> None:
    if path:
        files.write_atomic(path, content())
