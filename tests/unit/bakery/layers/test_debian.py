import json
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from bakery.host.errors import BakeryError, UsageError
from bakery.host.events import Event, silent
from bakery.layers import debian
from bakery.model.bases import Debootstrap
from doubles.programs import Programs

SPEC = Debootstrap(suite="bookworm", mirror="http://mirror.example/debian")
RECIPE = """
sources = ["deb {mirror} {suite} main", "deb {mirror} {suite}-updates main"]
packages = ["linux", "ssh"]
apt = ['Acquire::Languages "none"']
dpkg = ["path-exclude=/usr/share/man/*"]
[disk]
size_mib = 16
esp_serial = "12345678"
root_uuid = "u-1"
hash_seed = "u-2"
"""
PARTITIONS = [
    {"node": "disk1", "name": "ESP", "type": "a", "start": 2048, "size": 8192},
    {"node": "disk2", "name": "root", "type": "b", "start": 10240, "size": 20480},
]
# Its archive holds a home that only its owner may read, a device, and the EFI system partition's content.
MMDEBSTRAP = """
import io, os, shutil, tarfile
print("I: running apt-get update...", file=sys.stderr)
print("I: removing tempdir /tmp/x...", file=sys.stderr)
shutil.copy("{overlay}".format(overlay=sys.argv[[a.startswith("--customize-hook=tar-in") for a in sys.argv].index(True)]
    .split()[1]), {saved!r})
open({tmpdir!r}, "w").write(os.environ.get("TMPDIR", "none"))
open(os.path.join(os.path.dirname({tmpdir!r}), "clock"), "w").write(os.environ["SOURCE_DATE_EPOCH"])
target = next(a for a in sys.argv if a.endswith("root.tar"))
with tarfile.open(target, "w") as archive:
    def add(name, kind=tarfile.REGTYPE, data=b"x", mtime=1_700_000_000):
        entry = tarfile.TarInfo(name)
        entry.type, entry.mtime = kind, mtime
        entry.mode = 0o755 if kind == tarfile.DIRTYPE else 0o600
        entry.size = len(data) if kind == tarfile.REGTYPE else 0
        archive.addfile(entry, io.BytesIO(data))
    for folder in (".", "./dev", "./boot", "./boot/efi", "./boot/efi/EFI"):
        add(folder, tarfile.DIRTYPE)
    add("./boot/efi/EFI/BOOTX64.EFI")
    add("./dev/console", tarfile.CHRTYPE)
    add("./root", tarfile.DIRTYPE)
    add("./root/.profile", mtime=1_700_000_777)
"""
MKE2FS = """
import os
tree = sys.argv[sys.argv.index("-d") + 1]
names = sorted(os.path.relpath(os.path.join(f, n), tree) for f, d, ns in os.walk(tree) for n in (*d, *ns))
open({seen!r}, "w").write(" ".join(names) + " at " + os.environ["SOURCE_DATE_EPOCH"])
emptied = os.path.join(os.path.dirname({seen!r}), "emptied")
open(emptied, "w").write(str(int(os.stat(os.path.join(tree, "boot", "efi")).st_mtime)))
"""


CLOCK = 1_780_000_000


class FakePrograms:
    """A recipe, and stand-ins for all programs but tar."""

    def __init__(self, folder: Path, programs: Programs) -> None:
        self.folder = folder
        self.programs = programs
        self.recipe = folder / "recipe"
        self.target = folder / "out" / "disk.qcow2"
        self.target.parent.mkdir()
        self.log = folder / "base.log"
        (self.recipe / "rootfs" / "etc").mkdir(parents=True)
        (self.recipe / "rootfs" / "etc" / "hosts").write_text("127.0.0.1 localhost")
        (self.recipe / "recipe.toml").write_text(RECIPE)
        (self.recipe / "disk.sfdisk").write_text("label: gpt")
        (self.recipe / "customize.sh").write_text("# the hook\ntrue")
        self.overlay, self.tmpdir, self.tree = folder / "overlay.tar", folder / "tmpdir", folder / "tree"
        programs.python(
            "mmdebstrap", MMDEBSTRAP.format(overlay="{overlay}", saved=str(self.overlay), tmpdir=str(self.tmpdir))
        )
        table = {"partitiontable": {"device": "disk", "sectorsize": 512, "partitions": PARTITIONS}}
        programs.shell("sfdisk", f"[ $1 = --json ] && echo '{json.dumps(table)}' || cat >{folder}/layout")
        programs.python("mke2fs", MKE2FS.format(seen=str(self.tree)))
        programs.shell("mformat")
        programs.shell("mcopy")
        programs.shell("debugfs")
        programs.shell("qemu-img", 'case "$1" in convert) eval "target=\\${$#}"; echo qcow2 >"$target" ;; esac')
        programs.shell("fakeroot", 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"')

    def build(self, report: list[Event] | None = None, archives: Mapping[str, str] = debian.UNDATED) -> None:
        reporter = silent if report is None else report.append
        debian.build(SPEC, self.recipe, self.target, self.log, reporter, archives, CLOCK)

    def left(self) -> list[str]:
        return [path.name for path in self.target.parent.iterdir()]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePrograms:
    return FakePrograms(tmp_path, Programs(tmp_path / "bin", monkeypatch))


def test_the_recipe_reaches_mmdebstrap(bench: FakePrograms) -> None:
    bench.build()
    call = "\n".join(bench.programs.calls("mmdebstrap"))
    for part in (
        "--include=linux,ssh",
        '--aptopt=Acquire::Languages "none"',
        "--dpkgopt=path-exclude=/usr/share/man/*",
        "--customize-hook=# the hook\ntrue",
        "deb http://mirror.example/debian bookworm main deb http://mirror.example/debian bookworm-updates main",
    ):
        assert part in call


def test_dated_archives_are_used_and_forgotten(bench: FakePrograms) -> None:
    bench.build(archives={"http://mirror.example/debian": "http://mirror.example/2026/debian"})
    call = "\n".join(bench.programs.calls("mmdebstrap"))
    assert "deb [check-valid-until=no] http://mirror.example/2026/debian bookworm main deb [check" in call
    own = "deb http://mirror.example/debian bookworm main\ndeb http://mirror.example/debian bookworm-updates main\n"
    assert f"""--customize-hook=printf %s '{own}' >"$1/etc/apt/sources.list\"""" in call
    assert bench.left() == ["disk.qcow2"]


def test_packages_are_those_that_apt_names(bench: FakePrograms) -> None:
    said = """\
I: simulate installing essential packages...
Inst libc6 (2.36-9+deb12u14 Debian:12.15/oldstable [amd64]) []
Conf libc6 (2.36-9+deb12u14 Debian:12.15/oldstable [amd64])
Inst libc6 (2.36-9+deb12u14 Debian:12.15/oldstable [amd64])
Inst acl [2.3.0] (2.3.1-3 Debian:12.15/oldstable, Debian-Security:12/oldstable-security [all])
"""
    bench.programs.shell("mmdebstrap", f"cat >&2 <<'END'\n{said}END")
    assert debian.resolve(SPEC, bench.recipe) == ("acl 2.3.1-3 all", "libc6 2.36-9+deb12u14 amd64")
    assert "--simulate" in bench.programs.calls("mmdebstrap")[0].split()


def test_progress_is_told_without_folders(bench: FakePrograms) -> None:
    events: list[Event] = []
    bench.build(events)
    assert [event.text for event in events if event.kind == "progress"] == ["running apt-get update..."]
    assert "removing tempdir" in bench.log.read_text()


def test_files_of_the_recipe_belong_to_root(bench: FakePrograms) -> None:
    rootfs = bench.recipe / "rootfs"
    (rootfs / "etc" / "hosts").chmod(0o600)
    if os.geteuid() == 0:
        os.chown(rootfs / "etc" / "hosts", 1000, 1000)
    (rootfs / "run.sh").write_text("")
    (rootfs / "run.sh").chmod(0o700)
    (rootfs / "link").symlink_to("run.sh")
    bench.build()
    with tarfile.open(bench.overlay) as archive:
        found = {entry.name: entry for entry in archive}
    assert {(entry.uid, entry.gid, entry.uname) for entry in found.values()} == {(0, 0, "root")}
    assert {name: oct(found[name].mode) for name in ("etc", "etc/hosts", "run.sh")} == {
        "etc": "0o755",
        "etc/hosts": "0o644",
        "run.sh": "0o755",
    }
    assert found["link"].issym()


def test_the_esp_takes_its_content_out_of_the_root(bench: FakePrograms) -> None:
    bench.build()
    assert bench.tree.read_text() == "boot boot/efi dev root root/.profile at 1700000777"
    assert bench.programs.calls("mcopy")[0].endswith("boot/efi/EFI ::")
    assert (bench.folder / "layout").read_text() == "label: gpt"


def test_no_file_is_newer_than_the_clock(bench: FakePrograms) -> None:
    bench.programs.shell("debugfs", f'cat "$3" >{bench.folder}/requests')
    bench.build()
    assert bench.tmpdir.with_name("clock").read_text() == str(CLOCK), "mmdebstrap makes older what would be newer"
    newest = 1_700_000_777  # of the files in its archive
    assert (bench.folder / "emptied").read_text() == str(newest), "the folder whose files go to another partition"
    requests = (bench.folder / "requests").read_text().splitlines()
    paths = ("/", "/boot", "/boot/efi", "/root", "/root/.profile", "/dev")
    assert sorted(requests) == sorted(f'sif "{path}" {name} @{newest}' for path in paths for name in ("atime", "ctime"))


def test_partitions_are_written_where_the_table_says(bench: FakePrograms) -> None:
    bench.build()
    (mformat,), (mke2fs,) = bench.programs.calls("mformat"), bench.programs.calls("mke2fs")
    assert f"disk.raw@@{2048 * 512} " in mformat
    assert "-T 8192 -H 2048" in mformat
    assert "-N 12345678" in mformat
    assert f"offset={10240 * 512},hash_seed=u-2" in mke2fs
    assert "-U u-1" in mke2fs
    assert mke2fs.endswith("disk.raw 10240k")


@pytest.mark.parametrize("user", [0, 1000])
def test_without_root_owners_are_remembered_for_us(
    bench: FakePrograms, monkeypatch: pytest.MonkeyPatch, user: int
) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    bench.build()
    wrapped = [call.split(" -- ")[1].split()[0] for call in bench.programs.calls("fakeroot")]
    assert wrapped == ([] if user == 0 else ["tar", "mke2fs"])
    # Other users' namespaces cannot reach into our folder.
    assert (bench.tmpdir.read_text() == "none") == (user != 0)


def test_a_mirror_that_fails_is_named(bench: FakePrograms) -> None:
    bench.programs.shell("mmdebstrap", "echo 'E: no such suite' >&2; exit 25")
    with pytest.raises(BakeryError, match=r"Debian bookworm from http://mirror\.example/debian") as failure:
        bench.build()
    assert failure.value.detail == "E: no such suite"
    assert failure.value.log == bench.log
    assert bench.left() == []


@pytest.mark.parametrize("tool", ["sfdisk", "mformat", "mcopy", "mke2fs", "debugfs", "qemu-img"])
def test_a_disk_that_cannot_be_written_leaves_nothing(bench: FakePrograms, tool: str) -> None:
    bench.programs.shell(tool, "echo no space left >&2; exit 1")
    with pytest.raises(BakeryError):
        bench.build()
    assert bench.left() == []


def test_no_room(bench: FakePrograms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1}))
    with pytest.raises(BakeryError, match="not enough disk space for a Debian bookworm base"):
        bench.build()
    assert bench.programs.calls("mmdebstrap") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (RECIPE.replace("packages", "package"), "'packages': Field required"),
        (RECIPE + 'colour = "red"', "'disk.colour': Extra inputs"),
        (RECIPE + "= =", "not valid TOML"),
        (None, "is missing"),
    ],
)
def test_a_wrong_recipe_is_a_usage_error(bench: FakePrograms, text: str | None, message: str) -> None:
    path = bench.recipe / "recipe.toml"
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    with pytest.raises(UsageError, match=message) as failure:
        bench.build()
    assert failure.value.where == str(path)
