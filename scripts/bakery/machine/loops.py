"""Frees loop devices that a killed bake left: a file system that is frozen survives the namespace that mounted it."""

import json
import os
from pathlib import Path

from bakery.host import process

# By device and inode: the path is that of a namespace which is gone.
LIST = ("losetup", "--list", "--json", "--output", "NAME,BACK-MAJ:MIN,BACK-INO")
# Mounted once more, the file system can go on, and the last unmount frees the device.
FREE = 'mount "$1" /mnt && { fsfreeze --unfreeze /mnt; umount /mnt; }'
FREE_SECONDS = 30.0


def free_loops(folder: Path) -> None:
    """Free the loop devices whose file is below a folder. The caller has ended the processes that worked there."""
    ours = {_identify(path) for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}
    answer = process.run(LIST).stdout if ours else ""  # it prints nothing if there is no device
    for entry in json.loads(answer)["loopdevices"] if answer.strip() else ():
        if (entry["back-maj:min"].strip(), entry["back-ino"]) in ours:
            namespace = ("unshare", "--mount", "--propagation", "private", "--")
            process.run([*namespace, "sh", "-c", FREE, "sh", entry["name"]], timeout=FREE_SECONDS, check=False)


def _identify(path: Path) -> tuple[str, int]:
    """The device and the inode of a file, as losetup(8) has them."""
    status = path.stat()
    return f"{os.major(status.st_dev)}:{os.minor(status.st_dev)}", status.st_ino
