"""A template of somebody's own: what is missing is said before anything is started."""

from pathlib import Path

import pytest

from bakery.bake import contract
from bakery.host.errors import UsageError
from doubles.packer import define

GOOD = """\
source "qemu" "mine" {
  iso_url          = var.base_disk
  output_directory = var.output_folder
  communicator     = "ssh"
}
build {
  sources = ["source.qemu.mine"]
  post-processor "manifest" { output = var.manifest }
}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.pkr.hcl").write_text(GOOD)
    return tmp_path


def edit(folder: Path, old: str, new: str) -> None:
    file = folder / "mine.pkr.hcl"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def refused(folder: Path, builder: str = "qemu", **changes: object) -> UsageError:
    with pytest.raises(UsageError) as caught:
        contract.check_template(folder, define(**changes), builder)
    return caught.value


def test_a_good_one(folder: Path) -> None:
    contract.check_template(folder, define(), "qemu")


def test_without_a_manifest_nobody_knows_what_was_made(folder: Path) -> None:
    edit(folder, "var.manifest", '"manifest.json"')
    error = refused(folder)
    assert (error.message, error.where) == ("the template never uses var.manifest", str(folder))
    assert "bring-your-own-template.md" in error.hint


def test_a_build_elsewhere_has_no_disk_here(folder: Path) -> None:
    assert refused(folder, "aws").message == "the template never uses var.artifact_name"


def test_a_template_for_another_kind_of_system(folder: Path) -> None:
    error = refused(folder, os="windows-2022")
    assert error.message == "the template uses ssh, but web is windows-2022, which needs winrm"
    assert error.where == f"{folder}/mine.pkr.hcl:4"


def test_one_of_several_sources_may_be_for_another(folder: Path) -> None:
    (folder / "windows.pkr.hcl").write_text('source "qemu" "windows" {\n  communicator = "winrm"\n}\n')
    contract.check_template(folder, define(os="windows-2022"), "qemu")
    contract.check_template(folder, define(), "qemu")


def test_a_build_without_login(folder: Path) -> None:
    edit(folder, '"ssh"', '"none"')
    contract.check_template(folder, define(), "qemu")
