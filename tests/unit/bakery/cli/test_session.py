"""Where a session finds what other runs left."""

import stat

from bakery.model.version import ImageVersion
from unit.bakery.cli.cli_runner import CliRunner


def test_a_parents_disk_is_where_it_was_stored(bakery: CliRunner) -> None:
    bakery.line("base")
    session = bakery.session()
    record, disk = session.parent_disk(session.definitions.images["web"])
    assert (record.image, record.version) == ("base", "1.0.0")
    assert disk == bakery.project.store / "base-1.0.0-x86_64.qcow2"


def test_a_parents_disk_that_was_stored_in_another_folder(bakery: CliRunner) -> None:
    """A record names a disk and no folder: it cannot make a build start from any other file of this machine."""
    other = bakery.project.root / "other"
    assert (
        bakery("run", "base", "--workspace", str(other), "--catalog", str(bakery.project.workspace / "catalog")).code
        == 0
    )
    session = bakery.session()
    web = session.definitions.images["web"]
    expected = bakery.project.store / "base-1.0.0-x86_64.qcow2"
    assert session.parent_disk(web)[1] == expected
    assert not expected.exists()
    bakery.project.store.mkdir(parents=True)
    brought = (other / "store" / "base-1.0.0-x86_64.qcow2").rename(expected)
    assert session.parent_disk(web)[1] == brought


def test_a_parents_disk_that_came_with_what_was_baked(bakery: CliRunner) -> None:
    """Another job stored it, and only the artifact of the bake is here."""
    bakery.line("base")
    stored = bakery.project.store / "base-1.0.0-x86_64.qcow2"
    stored.rename(stored.with_name("elsewhere"))
    session = bakery.session()
    _, disk = session.parent_disk(session.definitions.images["web"])
    assert disk == bakery.project.artifact_folder(ImageVersion("base", "x86_64", "1.0.0")) / "disk.qcow2"
    assert disk.exists()


def test_a_run_closes_the_workspace_to_other_users(bakery: CliRunner) -> None:
    bakery.project.workspace.mkdir(mode=0o755, exist_ok=True)
    bakery.project.workspace.chmod(0o755)
    assert bakery("run", "base").code == 0
    assert stat.S_IMODE(bakery.project.workspace.stat().st_mode) == 0o700
