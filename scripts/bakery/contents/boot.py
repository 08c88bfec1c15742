"""Reads what a disk boots with: the kernels that have modules, and the files of the EFI system partition."""

from collections.abc import Mapping
from pathlib import Path

from bakery.host import files, process
from bakery.machine import disk_image, esp, fat
from bakery.machine.filesystem import FileSystem
from bakery.model.contents import BootFile

ESP_FOLDER = "/boot/efi"  # where Debian's and Red Hat's families mount it


def list_kernels(root: FileSystem) -> tuple[str, ...]:
    """Versions of the kernels, sorted as text."""
    folders = {entry.name for path in ("/usr/lib/modules", "/lib/modules") for entry in root.list(path)}
    return tuple(sorted(folders))


def copy_partitions(raw: Path, scratch: Path) -> dict[int, Path]:
    """Copy the files of all FAT file systems of a disk; the folders by number of partition."""
    folders = {}
    for partition in disk_image.partitions(raw):
        if fat.is_fat(raw, partition):
            folder = folders[partition.number] = scratch / f"partition-{partition.number}"
            folder.mkdir()
            process.run(["mcopy", "-s", "-n", "-Q", "-i", f"{raw}@@{partition.start}", "::/", folder])
    return folders


def list_boot_files(raw: Path, folders: Mapping[int, Path]) -> tuple[BootFile, ...]:
    """The files of a disk's EFI system partition, from the copies; none if the disk boots without one."""
    numbers = (partition.number for partition in disk_image.partitions(raw) if partition.type == esp.TYPE)
    return next((_list_files(folders[number]) for number in numbers if number in folders), ())


def read_folder(root: FileSystem, scratch: Path) -> tuple[BootFile, ...]:
    """The files of the EFI system partition where a running system has it; none if the system boots without one."""
    root.copy([ESP_FOLDER], scratch)
    return _list_files(scratch / ESP_FOLDER.lstrip("/"))


def _list_files(folder: Path) -> tuple[BootFile, ...]:
    return tuple(
        BootFile(path.relative_to(folder).as_posix(), path.stat().st_size, files.sha256(path))
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    )
