"""The list of a system's files, with their digests and the packages that brought them."""

import gzip
import os
import stat
from collections.abc import Iterable, Iterator, Mapping

from bakery.contents.tree import Entry, is_omitted
from bakery.model import documents
from bakery.model.contents import File, FileList

# Databases of dpkg, apt and rpm, which the list of packages stands for.
DATABASES = ("/var/lib/dpkg/", "/var/lib/apt/", "/var/lib/rpm/", "/usr/lib/sysimage/rpm/")
COMPILED = "__pycache__"  # Python compiles at each installation, with the time of the source
# Folders that are links into /usr since the merge of both; a package may still name a file by the old path.
MERGED = ("/bin/", "/sbin/", "/lib")


def list_files(entries: Iterable[Entry], owners: Mapping[str, str]) -> FileList:
    """The files of a system, without package databases; `owners` has the package of each path.

    Those that not everybody may read get no digest: a short secret could be guessed by it.
    """
    by_path = {os.fsdecode(entry.path): entry for entry in entries}
    lib = by_path.get("/lib")
    merged = lib is not None and stat.S_ISLNK(lib.node.mode)
    packages = {f"/usr{path}": name for path, name in owners.items() if merged and path.startswith(MERGED)}
    return FileList(tuple(sorted(_describe_files(by_path, {**owners, **packages}))))


def pack_files(listed: FileList) -> bytes:
    """The list as a document, compressed; equal lists give equal bytes."""
    return gzip.compress(documents.dump(listed), mtime=0)


def _describe_files(entries: Mapping[str, Entry], owners: Mapping[str, str]) -> Iterator[File]:
    for path, entry in entries.items():
        if is_omitted(path) or path.startswith(DATABASES) or path.split("/")[-2:-1] == [COMPILED]:
            continue
        content, package = os.fsdecode(entry.content), owners.get(path, "")
        if stat.S_ISLNK(entry.node.mode):
            yield File(path, 0, f"-> {content}", package)
        elif stat.S_ISREG(entry.node.mode):
            yield File(path, entry.node.size, "" if entry.is_private else content, package)
