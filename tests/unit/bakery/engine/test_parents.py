"""The disk that a child is built on has the bytes that its record names."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bakery.engine.parents import find_parent_disk
from bakery.host import files
from bakery.host.errors import BakeryError, NotFoundError
from bakery.machine.disk_image import BaseDisk
from bakery.signing.keys import find_or_make_key
from unit.bakery.cli.cli_runner import CliRunner

STORED = "base-1.0.0-x86_64.qcow2"


def find(bakery: CliRunner) -> BaseDisk:
    session = bakery.session()
    newest = session.catalog.newest("base", "x86_64")
    return find_parent_disk(session, session.definitions.images["web"], newest.raw_sha256 if newest else "")


def test_it_is_where_it_was_stored(bakery: CliRunner) -> None:
    (record,) = bakery.line("base")
    disk = find(bakery)
    assert disk.path == bakery.project.store / STORED
    assert (disk.base.name, disk.base.version) == ("base", "1.0.0")
    assert disk.sha256 == disk.base.sha256 == record.sha256 == files.sha256(disk.path)


def test_it_was_brought_here_from_another_folder(bakery: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record names a disk and no folder: it cannot make a build start from any other file of this machine."""
    other = bakery.project.root / "other"
    monkeypatch.setenv("BAKERY_SIGNING_KEY", str(bakery.project.keys / "signing.pem"))  # one for both workspaces
    find_or_make_key(bakery.project.keys / "signing.pem")
    catalog = str(bakery.project.workspace / "catalog")
    assert bakery("run", "base", "--workspace", str(other), "--catalog", catalog).code == 0
    with pytest.raises(NotFoundError, match="is not in this workspace"):
        find(bakery)
    bakery.project.store.mkdir(parents=True)
    brought = (other / "store" / STORED).rename(bakery.project.store / STORED)
    assert find(bakery).path == brought


def test_it_came_with_what_was_baked(bakery: CliRunner) -> None:
    """Another job stored it, and only the artifact of the bake is here."""
    bakery.line("base")
    (bakery.project.store / STORED).rename(bakery.project.store / "elsewhere")
    assert find(bakery).path == bakery.folder("base", "1.0.0") / "disk.qcow2"


def tamper(*paths: Path) -> None:
    """Change one byte of each."""
    for path in paths:
        path.chmod(0o644)
        content = path.read_bytes()
        path.write_bytes(bytes([content[0] ^ 1]) + content[1:])


def test_a_copy_that_changed_is_not_used(bakery: CliRunner) -> None:
    bakery.line("base")
    tamper(bakery.project.store / STORED)
    assert find(bakery).path == bakery.folder("base", "1.0.0") / "disk.qcow2"


@pytest.mark.parametrize("verb", ["bake", "run"])
def test_no_child_is_built_on_a_disk_that_changed(bakery: CliRunner, verb: str) -> None:
    (record,) = bakery.line("base")
    disks = (bakery.project.store / STORED, bakery.folder("base", "1.0.0") / "disk.qcow2")
    tamper(*disks)
    bakery.did.clear()
    answer = bakery(verb, "web")
    assert (answer.code, bakery.did) == (1, [])
    assert "whose disk is not the one that was published" in answer.err
    assert f"record {record.sha256}" in answer.err
    for disk in disks:
        assert f"found  {files.sha256(disk)} {disk}" in answer.err
    assert "bake a new version with 'bakery run --rebuild base'" in answer.err
    bakery.baked_at = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    bakery.content["base"] = "baked again"
    assert bakery("run", "--rebuild", "base").code == 0
    assert bakery("run", "web").code == 0, "the hint works"
    assert bakery.bases["web"].version == "1.0.1"


def test_it_is_nowhere(bakery: CliRunner) -> None:
    bakery.line("base")
    (bakery.project.store / STORED).unlink()
    (bakery.folder("base", "1.0.0") / "disk.qcow2").unlink()
    with pytest.raises(NotFoundError, match=r"the disk of base 1\.0\.0 is not in this workspace"):
        find(bakery)


def test_a_parent_that_is_newer_than_the_plan(bakery: CliRunner) -> None:
    """The child's inputs name the content of the parent that was the newest then."""
    bakery.line("base")
    session = bakery.session()
    with pytest.raises(BakeryError, match=r"base 1\.0\.0 was published after web was planned"):
        find_parent_disk(session, session.definitions.images["web"], "0" * 64)
