"""Entries of ext file systems that mke2fs and debugfs wrote."""

import hashlib
import os
import stat
import subprocess
from pathlib import Path

import pytest

from bakery.host.errors import BakeryError
from bakery.machine.disk_image import Partition
from bakery.machine.ext import Attribute, ExtReader, Node

MIB = 1 << 20
SIZE = 64 * MIB
START = MIB  # of the partition
pytestmark = pytest.mark.integration
SECURITY, USER, ACL = 6, 1, 2  # namespaces of the kernel: EXT4_XATTR_INDEX_*
FORMS = [
    ("ext4", ()),
    ("ext4", ("-b", "1024")),
    ("ext4", ("-I", "128")),
    ("ext4", ("-O", "^64bit,^metadata_csum")),
    ("ext4", ("-O", "meta_bg,^resize_inode", "-b", "1024", "-g", "1024")),
    ("ext4", ("-O", "inline_data", "-I", "512")),
    ("ext3", ("-b", "1024")),
    ("ext2", ()),
]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Files with holes, without data and in many blocks, long links and names, and a folder of several blocks."""
    tree = tmp_path / "tree"
    (tree / "etc").mkdir(parents=True)
    (tree / "etc/small").write_text("small")
    (tree / "etc/empty").touch()
    (tree / "etc/large").write_bytes(os.urandom(9 * MIB + 17))
    with (tree / "etc/sparse").open("wb") as stream:
        stream.write(b"start")
        stream.seek(5 * MIB)
        stream.write(b"end")
        stream.truncate(6 * MIB + 5)
    os.link(tree / "etc/small", tree / "etc/twin")
    (tree / "short").symlink_to("etc/small")
    (tree / "long").symlink_to("/" + "x" * 200)
    (tree / os.fsdecode(b"line\nbreak \xff")).write_text("name")
    for number in range(300):
        (tree / "many").mkdir(exist_ok=True)
        (tree / "many" / f"{number:03}-{'n' * 100}").write_text(str(number))
    (tree / "etc/small").chmod(0o4750)
    return tree


def write(tree: Path, *options: str, kind: str = "ext4", requests: str = "") -> Path:
    """A raw disk whose only partition has the files of a folder, after requests of debugfs."""
    raw = tree.with_name("disk.raw")
    raw.unlink(missing_ok=True)
    with raw.open("wb") as stream:
        stream.truncate(START + SIZE)
    make: list[str | Path] = [
        "mke2fs",
        "-q",
        "-t",
        kind,
        *options,
        "-E",
        f"offset={START}",
        "-d",
        tree,
        raw,
        f"{SIZE >> 10}k",
    ]
    subprocess.run(make, check=True, capture_output=True)
    if requests:
        script = tree.with_name("requests")
        script.write_text(requests)
        done = subprocess.run(
            ["debugfs", "-w", "-f", script, f"{raw}?offset={START}"], capture_output=True, text=True, check=True
        )
        assert [line for line in done.stderr.splitlines() if not line.startswith("debugfs 1.")] == []
    return raw


def read(raw: Path) -> dict[bytes, tuple[Node, str]]:
    """The inodes and the content of all entries, by path."""
    with ExtReader(raw, Partition("", "", START, SIZE, 1)) as reader:
        found = {}
        for path, node in reader.walk():
            is_file, is_link = stat.S_ISREG(node.mode), stat.S_ISLNK(node.mode)
            content = reader.digest(node) if is_file else os.fsdecode(reader.target(node)) if is_link else ""
            found[path] = (node, content)
    return found


def content_of(path: Path) -> str:
    """What `read` says of a file on this machine."""
    if path.is_symlink():
        return str(path.readlink())
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


@pytest.mark.parametrize(("kind", "options"), FORMS, ids=[" ".join([kind, *options]) for kind, options in FORMS])
def test_entries_are_those_of_the_folder(tree: Path, kind: str, options: tuple[str, ...]) -> None:
    if "inline_data" in options:
        (tree / "etc/sparse").write_bytes(b"")  # mke2fs 1.47.0 writes holes at the end of such a file wrongly
    entries = read(write(tree, *options, kind=kind))
    expected = {
        os.fsencode(path)[len(os.fsencode(tree)) :]: (path.lstat().st_mode, content_of(path))
        for path in (tree, *tree.rglob("*"))
    }
    assert {path: (node.mode, content) for path, (node, content) in entries.items() if path != b"/lost+found"} == (
        expected
    )
    small, twin = entries[b"/etc/small"][0], entries[b"/etc/twin"][0]
    assert (small.number, small.links) == (twin.number, 2)
    assert (small.size, entries[b"/etc/large"][0].size) == (5, 9 * MIB + 17)


@pytest.mark.parametrize("options", [(), ("-I", "128")], ids=["in the inode", "in a block of their own"])
def test_attributes_owners_and_devices(tree: Path, options: tuple[str, ...]) -> None:
    (tree / "value").write_bytes(b"\x01\x00\x00\x02\x00\x04" + bytes(14))
    requests = (
        f"ea_set -f {tree}/value /etc/small security.capability\n"
        "ea_set /etc/small user.note first\n"
        f"ea_set /etc/large user.long {'v' * 900}\n"
        "set_inode_field /etc/small uid 70000\nset_inode_field /etc/small gid 33\n"
        "set_inode_field /etc/empty flags 0x80010\n"
        "mknod null c 1 3\nmknod disk b 259 300\nmknod pipe p\n"
    )
    entries = {path: node for path, (node, _) in read(write(tree, *options, requests=requests)).items()}
    small = entries[b"/etc/small"]
    assert set(small.attributes) == {
        Attribute(SECURITY, b"capability", (tree / "value").read_bytes()),
        Attribute(USER, b"note", b"first"),
    }
    assert (small.uid, small.gid) == (70000, 33)
    assert entries[b"/etc/large"].attributes == (Attribute(USER, b"long", b"v" * 900),)
    assert entries[b"/etc/empty"].flags & 0x10, "it must not be changed"
    assert (entries[b"/null"].device, stat.S_ISCHR(entries[b"/null"].mode)) == ((1, 3), True)
    assert (entries[b"/disk"].device, stat.S_ISBLK(entries[b"/disk"].mode)) == ((259, 300), True)
    assert stat.S_ISFIFO(entries[b"/pipe"].mode)


def test_a_file_system_in_use_says_so(tree: Path) -> None:
    raw = write(tree)
    with ExtReader(raw, Partition("", "", START, SIZE, 1)) as reader:
        unmounted = reader.is_unmounted
    raw = write(tree, requests="feature needs_recovery\n")
    with ExtReader(raw, Partition("", "", START, SIZE, 1)) as reader:
        assert (unmounted, reader.is_unmounted) == (True, False)


def test_the_identity_has_the_names_and_not_the_use(tree: Path) -> None:
    def identity(*options: str, requests: str = "") -> bytes:
        uuid = ("-U", "2d0ad2c2-35c3-4b8c-9d0c-6a4f5c6c2a57")
        with ExtReader(write(tree, *uuid, *options, requests=requests), Partition("", "", START, SIZE, 1)) as reader:
            return reader.identity

    plain = identity()
    assert identity(requests="feature needs_recovery\nset_super_value mnt_count 7\nset_super_value mtime 1\n") == plain
    assert len({plain, identity("-L", "root"), identity("-m", "1"), identity("-O", "^metadata_csum")}) == 4


def test_a_damaged_file_system_is_an_error(tree: Path) -> None:
    raw = write(tree, requests="set_inode_field /etc/large block[0] 0\n")
    with pytest.raises(BakeryError, match="damaged"):
        read(raw)
