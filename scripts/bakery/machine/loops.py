"""Frees loop devices that a killed bake left: a file system that is frozen survives the namespace that mounted it."""

from pathlib import Path

from bakery.host import process

DEVICES = Path("/sys/block")
# Mounted once more, the file system can go on, and the last unmount frees the device.
FREE = 'mount "$1" /mnt && { fsfreeze --unfreeze /mnt; umount /mnt; }'
FREE_SECONDS = 30.0


def free_loops(folder: Path) -> None:
    """Free the loop devices whose file is below a folder. The caller has ended the processes that worked there."""
    for entry in DEVICES.glob("loop*/loop/backing_file"):
        try:
            file = Path(entry.read_text().strip())
        except OSError:  # it was freed meanwhile
            continue
        if file.is_relative_to(folder):
            device = f"/dev/{entry.parents[1].name}"
            namespace = ("unshare", "--mount", "--propagation", "private", "--")
            process.run([*namespace, "sh", "-c", FREE, "sh", device], timeout=FREE_SECONDS, check=False)
