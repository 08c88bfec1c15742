"""The kernel modules of a Debian system that are as their packages brought them."""

import hashlib
import re
from collections.abc import Iterator

from bakery.machine.filesystem import FileSystem

STATUS = "/var/lib/dpkg/status"
LISTS = "/var/lib/dpkg/info"  # PACKAGE.md5sums; PACKAGE:ARCHITECTURE.md5sums only of a package that may be there twice
INSTALLED = re.compile(r"^Status: \S+ ok installed$", re.MULTILINE)  # dpkg(1): wanted, error, state
NAME = re.compile(r"^Package: (\S+)$", re.MULTILINE)
# deb-md5sums(5): a digest, two spaces, and a path without its first slash. kmod reads .ko.gz, .ko.xz and .ko.zst.
MODULE = re.compile(
    r"^([0-9a-f]{32})  ((?:usr/)?lib/modules/[\w./+-]{1,200}\.ko\.(?:gz|xz|zst))$", re.MULTILINE | re.ASCII
)


def read_original_modules(root: FileSystem) -> Iterator[bytes]:
    """The content of each compressed module whose MD5 digest is the one that the list of its package has.

    Left out are modules in several fragments, and packages that are not installed.
    """
    digests = _read_digests(root)
    with root.raw.open("rb") as stream:
        for place, digest in zip(root.locate(list(digests)), digests.values(), strict=True):
            if place:
                stream.seek(place[0])
                content = stream.read(place[1] - place[0])
                if hashlib.md5(content, usedforsecurity=False).hexdigest() == digest:
                    yield content


def _read_digests(root: FileSystem) -> dict[str, str]:
    """The digests of modules by absolute path."""
    lists = {f"{name}.md5sums" for name in _installed_packages(root.read(STATUS))}
    if not lists:
        return {}
    inodes = [entry.inode for entry in root.list(LISTS) if entry.name in lists]
    return {f"/{path}": digest for text in root.read_files(inodes) for digest, path in MODULE.findall(text)}


def _installed_packages(status: str) -> Iterator[str]:
    for paragraph in status.split("\n\n"):
        if INSTALLED.search(paragraph) and (name := NAME.search(paragraph)):
            yield name[1]
