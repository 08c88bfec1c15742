"""Reads what a disk boots with: the kernels that have modules, and the files of the EFI system partition."""

from pathlib import Path

from bakery.host import files, process
from bakery.machine import disk_image
from bakery.machine.filesystem import FileSystem
from bakery.model.contents import BootFile

ESP_TYPE = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"  # EFI system partition: UEFI specification, 5.3.3
ESP_FOLDER = "/boot/efi"  # where Debian's and Red Hat's families mount it


def list_kernels(root: FileSystem) -> tuple[str, ...]:
    """Versions of the kernels, sorted as text."""
    folders = {entry.name for path in ("/usr/lib/modules", "/lib/modules") for entry in root.list(path)}
    return tuple(sorted(folders))


def read_partition(raw: Path, scratch: Path) -> tuple[BootFile, ...]:
    """The files of a disk's EFI system partition; none if the disk boots without one."""
    esp = next((partition for partition in disk_image.partitions(raw) if partition.type == ESP_TYPE), None)
    if esp is None:
        return ()
    folder = scratch / "esp"
    folder.mkdir()
    process.run(["mcopy", "-s", "-n", "-Q", "-i", f"{raw}@@{esp.start}", "::/*", folder])
    return _list_files(folder)


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
