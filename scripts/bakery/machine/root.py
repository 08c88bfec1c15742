"""The root file system of a raw disk, read here where debugfs can, and else from a copy that libguestfs makes."""

from pathlib import Path

from bakery.host import files, process
from bakery.host.errors import BakeryError
from bakery.host.process import ProcessError
from bakery.machine import disk_image
from bakery.machine.disk_image import Partition
from bakery.machine.filesystem import ROOT_TYPE, FileSystem, root_of

# (offset, bytes) at the start of a partition: xfs_db(8), btrfs(5), lvm2's label in its second sector, and the OEM ID in
# NTFS's boot sector (ntfs-3g, layout.h).
SIGNATURES = {
    "XFS": (0, b"XFSB"),
    "btrfs": (0x10040, b"_BHRfS_M"),
    "LVM": (512, b"LABELONE"),
    "NTFS": (3, b"NTFS    "),
}
COPY = "root.ext4"
TOOL = "guestfish"
HINT = "install guestfish, libguestfs-xfs, ntfs-3g and a kernel package, as they are called on Debian"
# /dev/kvm can open and still hang. Emulated, libguestfs's machine starts in 9 to 60 s.
ENVIRONMENT = {"LIBGUESTFS_BACKEND": "direct", "LIBGUESTFS_BACKEND_SETTINGS": "force_tcg"}
SECONDS = 3600.0  # to start it and to copy a large root
MIB = 1 << 20


class NoRootError(BakeryError):
    """No partition of a disk has a root file system that can be read here."""


def open_root(raw: Path) -> FileSystem:
    """The root file system of a raw disk in a scratch folder; NoRootError if it cannot be read.

    A root on XFS, btrfs or LVM is copied once to a file beside the disk, with all that the system mounts at its start;
    of Windows, the largest partition with NTFS.
    """
    root = root_of(raw)
    if root:
        return root
    copy = raw.with_name(COPY)
    if not copy.exists():
        _copy_root(raw, copy)
    return _open_copy(copy)


def unpack_root(archive: Path, scratch: Path) -> FileSystem:
    """The root file system in a compressed tar archive, as a file in `scratch`."""
    copy = scratch / COPY
    # As files and as a file system; compressed files have about a third of their size.
    files.require_space(scratch, 6 * archive.stat().st_size, "the copy of the root file system")
    with files.scratch(scratch, "root") as tree:
        _write_file_system(archive, copy, tree.absolute())
    return _open_copy(copy)


def _open_copy(copy: Path) -> FileSystem:
    return FileSystem(copy, Partition("root", ROOT_TYPE, 0, copy.stat().st_size, 1))


def _copy_root(raw: Path, copy: Path) -> None:
    """Write the root of a disk to a file with an ext4 file system."""
    readable = _find_partitions(raw)
    names = list(readable)
    if not names:
        raise NoRootError("no partition of the disk has ext2, ext3, ext4, XFS, btrfs, LVM or NTFS")
    if process.which(TOOL) is None:
        raise NoRootError(f"the disk has {' and '.join(names)}, which {TOOL} reads, and it is not installed", hint=HINT)
    # As an archive, as files and as a file system.
    files.require_space(copy.parent, 3 * files.find_used_space(raw), "the copy of the root file system")
    with files.scratch(copy.parent, "root") as scratch:
        archive = scratch.absolute() / "root.tar"
        add = (TOOL, "--ro", "--format=raw", "--add", raw.absolute())
        mounts = _mount_options(readable["NTFS"]) if names == ["NTFS"] else ["--inspector"]
        try:
            process.run([*add, *mounts, "tar-out", "/", archive], env=ENVIRONMENT, timeout=SECONDS)
        except ProcessError as error:
            raise NoRootError(f"{TOOL} cannot read the disk", detail=error.tail, hint=HINT) from error
        _write_file_system(archive, copy, scratch.absolute())


def _write_file_system(archive: Path, copy: Path, scratch: Path) -> None:
    """Write the files of a tar archive to a file with an ext4 file system."""
    tree, draft = scratch / "tree", scratch / COPY
    tree.mkdir()
    # Only root can make devices. Modes stay: rules look for setuid programs. The folder is for this user alone.
    unpack = ("tar", "--extract", "--no-same-owner", "--preserve-permissions", "--exclude=./dev/*")
    process.run([*unpack, "--directory", tree, "--file", archive])
    process.run(["chmod", "--recursive", "u+rwX", tree])  # RHEL's /etc/shadow has no mode at all
    size = sum(path.lstat().st_size for path in tree.rglob("*"))
    # Room for many small files, as a sparse file.
    options = ("-q", "-t", "ext4", "-O", "^has_journal", "-E", "lazy_itable_init=1", "-i", "2048", "-d", tree)
    process.run(["mke2fs", *options, draft, f"{(4 * size + 256 * MIB) // 1024}k"])
    draft.rename(copy)


def _mount_options(partitions: list[Partition]) -> list[str]:
    """Options of guestfish that mount the largest partition: Windows keeps its boot files and a rescue system apart."""
    return ["--mount", f"/dev/sda{max(partitions, key=lambda partition: partition.size).number}"]


def _find_partitions(raw: Path) -> dict[str, list[Partition]]:
    """The partitions of each kind that is there, in the order of SIGNATURES."""
    partitions = disk_image.partitions(raw)
    kinds = {name: [part for part in partitions if _has_signature(raw, part, name)] for name in SIGNATURES}
    return {name: found for name, found in kinds.items() if found}


def _has_signature(raw: Path, partition: Partition, name: str) -> bool:
    offset, signature = SIGNATURES[name]
    with raw.open("rb") as stream:
        stream.seek(partition.start + offset)
        return stream.read(len(signature)) == signature
