"""A disk with NTFS, made without privileges and read through libguestfs."""

import shutil
import subprocess
from pathlib import Path

import pytest

from bakery.machine import secret_search
from bakery.machine.root import TOOL, open_root
from bakery.verify import hygiene, windows
from doubles.hives import make_hive
from integration.test_contents import run
from integration.test_other_file_systems import MIB, SECRET, guestfish

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        not all(map(shutil.which, (TOOL, "mkntfs"))), reason="apt-get install guestfish ntfs-3g linux-image-cloud-amd64"
    ),
]

FILES: dict[str, str | bytes] = {
    "Windows/Setup/State/State.ini": "[State]\r\nImageState=IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE\r\n",
    "Windows/Panther/Unattend.xml": "<Password><Value>*SENSITIVE*DATA*DELETED*</Value></Password>",
    "Users/Administrator/NTUSER.DAT": "regf",
    "Users/packer/NTUSER.DAT": "regf",
    "Windows/System32/config/SOFTWARE": make_hive({r"Microsoft\Windows": {}}),
    "Windows/System32/config/SYSTEM": make_hive({"Select": {"Current": 1}}),
    "ProgramData/app/app.conf": f"password={SECRET}\n",
}
DELETED = "wrong horse staple battery"
# The system is neither the first partition nor the first in the table.
LAYOUT = "label: gpt\n4: start=1MiB, size=100MiB\n2: start=101MiB, size=16MiB\n"


def write_disk(folder: Path) -> Path:
    """A raw disk with the files of a Windows, and a smaller NTFS as that of its rescue system."""
    tree, raw = folder / "tree", folder / "disk.raw"
    for name, text in FILES.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with raw.open("wb") as stream:
        stream.truncate(120 * MIB)
    subprocess.run(["sfdisk", "--quiet", raw], input=LAYOUT, text=True, check=True)
    for start, size in ((1, 100), (101, 16)):
        file_system = folder / "partition"
        with file_system.open("wb") as stream:
            stream.truncate(size * MIB)
        run("mkntfs", "--quiet", "--quick", "--force", file_system)
        run("dd", f"if={file_system}", f"of={raw}", "bs=1M", f"seek={start}", "conv=notrunc,sparse", "status=none")
    copies = "\n".join(f"copy-in {path} /" for path in tree.iterdir())
    guestfish(f"run\nmount /dev/sda4 /\n{copies}\n", raw)
    return raw


def test_rules_and_the_search_for_secrets_read_ntfs(tmp_path: Path) -> None:
    raw = write_disk(tmp_path)
    failed = {check.name: check.detail for check in hygiene.check(raw, windows.RULES) if not check.passed}
    assert failed == {"no build user": "/Users/packer"}
    (hidden,) = secret_search.search(raw, [SECRET])
    assert hidden.detail.endswith(": /ProgramData/app/app.conf")
    with raw.open("r+b") as stream:
        stream.seek(110 * MIB)  # in the rescue system
        stream.write(DELETED.encode())
    (hidden,) = secret_search.search(raw, [DELETED])
    assert hidden.detail.endswith(": in disk.raw"), "no file of the system has it"
    assert open_root(raw).read("/Users/packer/NTUSER.DAT") == "regf"
