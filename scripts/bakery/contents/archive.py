"""A folder as one archive: equal files give equal bytes."""

import gzip
import io
import re
import tarfile
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

# https://USER:PASSWORD@HOST for apt and dnf, and the settings of dnf.conf(5). The catalog has many readers.
CREDENTIALS = (re.compile(rb"(?<=://)[^/\s@]+@"), re.compile(rb"^[ \t]*(proxy_)?(username|password)[ \t]*=.*\n?", re.M))


def pack_folder(folder: Path, omitted: Sequence[str]) -> bytes:
    """A compressed tar of a folder, with paths relative to it; without what a pattern of `omitted` names.

    Files below `etc/` are packed without the logins of archives.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as stream:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if not any(fnmatch(name, pattern) for pattern in omitted):
                _add_file(stream, path, name)
    return gzip.compress(buffer.getvalue(), mtime=0)


def _add_file(stream: tarfile.TarFile, path: Path, name: str) -> None:
    """Add a file without owner and time: only names, modes and bytes count. Sockets and devices are left out."""
    if not (path.is_symlink() or path.is_dir() or path.is_file()):
        return
    entry = stream.gettarinfo(path, name)
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    if not entry.isreg():
        stream.addfile(entry)
        return
    content = path.read_bytes()
    if name.startswith("etc/") and path.suffix != ".gpg":  # a keyring is binary
        for credential in CREDENTIALS:
            content = credential.sub(b"", content)
    entry.size = len(content)
    stream.addfile(entry, io.BytesIO(content))
