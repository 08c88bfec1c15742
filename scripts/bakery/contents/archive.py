"""A folder as one archive: equal files give equal bytes."""

import gzip
import io
import tarfile
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path


def pack_folder(folder: Path, omitted: Sequence[str]) -> bytes:
    """A compressed tar of a folder, with paths relative to it; without what a pattern of `omitted` names."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as stream:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if not any(fnmatch(name, pattern) for pattern in omitted):
                stream.add(path, arcname=name, recursive=False, filter=_make_anonymous)
    return gzip.compress(buffer.getvalue(), mtime=0)


def _make_anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Without owner and time, so that only names, modes and bytes count. Sockets and devices are left out."""
    if not (entry.isreg() or entry.isdir() or entry.issym()):
        return None
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry
