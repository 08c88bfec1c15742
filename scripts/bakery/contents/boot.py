"""Reads what a disk boots with: the kernels that have modules, and the files of the EFI system partition."""

from pathlib import Path

from bakery.host import files, process
from bakery.machine import disk_image
from bakery.machine.filesystem import FileSystem
from bakery.model.contents import BootFile

ESP_TYPE = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"  # EFI system partition: UEFI specification, 5.3.3


def list_kernels(root: FileSystem) -> tuple[str, ...]:
    """Versions of the kernels, sorted as text."""
    folders = {entry.name for path in ("/usr/lib/modules", "/lib/modules") for entry in root.list(path)}
    return tuple(sorted(folders))


def read_files(raw: Path, scratch: Path) -> tuple[BootFile, ...]:
    """The files of the EFI system partition; none on a disk that boots without one."""
    esp = next((partition for partition in disk_image.partitions(raw) if partition.type == ESP_TYPE), None)
    if esp is None:
        return ()
    folder = scratch / "esp"
    folder.mkdir()
    process.run(["mcopy", "-s", "-n", "-Q", "-i", f"{raw}@@{esp.start}", "::/*", folder])
    return tuple(
        BootFile(path.relative_to(folder).as_posix(), path.stat().st_size, files.sha256(path))
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    )
