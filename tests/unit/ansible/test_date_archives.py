"""The sources of apt of an image during a bake with a lock, and after its seal."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "ansible" / "playbooks" / "lock" / "date_archives.py"
SEAL = ROOT / "ansible" / "roles" / "seal" / "files" / "seal.sh"
ARCHIVES = {
    "http://a/debian": "http://a/1/debian",
    "http://b": "http://dated/1/b",
}
LIST = """\
# deb http://a/debian commented main
deb http://a/debian bookworm main contrib # a comment
deb-src [arch=amd64] http://a/debian/ bookworm main
deb http://user:password@a/debian bookworm main
deb http://user:password@b bookworm main
deb http://own bookworm main
deb http://c/debian bookworm main
"""
DATED_LIST = """\
# deb http://a/debian commented main
deb [check-valid-until=no] http://a/1/debian bookworm main contrib # a comment
deb-src [arch=amd64 check-valid-until=no] http://a/1/debian bookworm main
deb [check-valid-until=no] http://user:password@a/1/debian bookworm main
deb [check-valid-until=no] http://dated/1/b bookworm main
deb http://own bookworm main
deb http://c/debian bookworm main
"""
SOURCES = """\
Types: deb
URIs: http://a/debian http://c
Suites: bookworm
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQ

Types: deb
URIs: mirror+file:{mirrors}
Suites: bookworm
"""
DATED_SOURCES = """\
Types: deb
URIs: http://a/1/debian http://c
Check-Valid-Until: no
Suites: bookworm
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQ

Types: deb
URIs: http://a/1/debian
Check-Valid-Until: no
Suites: bookworm
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sources.list.d").mkdir()
    mirrors = tmp_path / "mirrors.list"
    mirrors.write_text("# the nearest\nhttp://a/debian/\nhttp://other/debian\n")
    (tmp_path / "sources.list").write_text(LIST)
    (tmp_path / "sources.list.d" / "debian.sources").write_text(SOURCES.format(mirrors=mirrors))
    return tmp_path


def date_archives(folder: Path) -> None:
    subprocess.run([sys.executable, SCRIPT, json.dumps(ARCHIVES), folder], check=True)


def used(path: Path) -> str:
    """What apt reads of a file: its own comments, and none of ours."""
    lines = path.read_text().splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("#bakery#"))


def restore(folder: Path) -> None:
    """Run the part of the seal that restores sources."""
    (command,) = re.findall(r"grep -rlZ .*\n.*", SEAL.read_text())
    subprocess.run(["sh", "-euc", command.replace("/etc/apt", str(folder))], check=True)


def test_archives_are_dated_until_the_seal(folder: Path) -> None:
    files = [folder / "sources.list", folder / "sources.list.d" / "debian.sources"]
    before = [path.read_text() for path in files]
    date_archives(folder)
    assert [used(path) for path in files] == [DATED_LIST, DATED_SOURCES]
    once = [path.read_text() for path in files]
    date_archives(folder)
    assert [path.read_text() for path in files] == once, "a role that adds an archive runs it again"
    restore(folder)
    assert [path.read_text() for path in files] == before


def test_an_image_without_a_lock_is_sealed_as_it_is(folder: Path) -> None:
    before = (folder / "sources.list").read_text()
    restore(folder)
    assert (folder / "sources.list").read_text() == before
