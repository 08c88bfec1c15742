"""A copy of the files that say what is on a system, and the list of them."""

import gzip
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from stat import S_IROTH

from bakery.host import files, process
from bakery.machine.filesystem import FileSystem
from bakery.model import documents
from bakery.model.contents import File, FileList

# Folders without packages: a third of the files of a small system, and half of its bytes.
OMITTED = (
    *("/dev", "/proc", "/sys", "/run", "/boot"),
    *("/usr/lib/modules", "/lib/modules", "/usr/lib/firmware", "/lib/firmware", "/usr/lib/udev"),
    *("/usr/share/zoneinfo", "/usr/share/i18n", "/usr/share/locale", "/usr/share/man", "/usr/share/terminfo"),
    "/usr/share/perl",  # only Perl itself: packages of Debian are in /usr/share/perl5, CPAN's below /usr/local
    *("/var/lib/apt/lists", "/var/cache", "/var/log"),
)
# Databases of dpkg, apt and rpm, which the list of packages stands for.
DATABASES = ("var/lib/dpkg/", "var/lib/apt/", "var/lib/rpm/", "usr/lib/sysimage/rpm/")
COMPILED = "__pycache__"  # Python compiles at each installation, with the time of the source
# Folders that are links into /usr since the merge of both; a package may still name a file by the old path.
MERGED = ("/bin/", "/sbin/", "/lib")


def copy_root(root: FileSystem, tree: Path) -> frozenset[Path]:
    """Copy a system to a folder that its owner can read and remove; the files that are not for everybody there."""
    tree.mkdir()
    root.copy(["/"], tree, OMITTED)
    private = frozenset(path for path in tree.rglob("*") if not path.lstat().st_mode & S_IROTH)
    process.run(["chmod", "--recursive", "u=rwX,go=", tree])
    return private


def list_files(tree: Path, private: Container[Path], owners: Mapping[str, str]) -> FileList:
    """The files of a copied system, without package databases; `owners` has the package of each path.

    Those of `private` get no digest: a short secret could be guessed by it.
    """
    merged = (tree / "lib").is_symlink()
    packages = {f"/usr{path}": name for path, name in owners.items() if merged and path.startswith(MERGED)}
    return FileList(tuple(sorted(_describe_files(tree, private, {**owners, **packages}))))


def pack_files(listed: FileList) -> bytes:
    """The list as a document, compressed; equal lists give equal bytes."""
    return gzip.compress(documents.dump(listed), mtime=0)


def _describe_files(tree: Path, private: Container[Path], owners: Mapping[str, str]) -> Iterator[File]:
    for path in tree.rglob("*"):
        name = path.relative_to(tree).as_posix()
        if name.startswith(DATABASES) or path.parent.name == COMPILED:
            continue
        package = owners.get(f"/{name}", "")
        if path.is_symlink():
            yield File(f"/{name}", 0, f"-> {path.readlink()}", package)
        elif path.is_file():
            digest = "" if path in private else files.sha256(path)
            yield File(f"/{name}", path.stat().st_size, digest, package)
