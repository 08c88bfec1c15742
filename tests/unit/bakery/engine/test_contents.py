"""Contents are read once, kept beside the disk, and named by the record."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from bakery.bake.request import BakeContext, BakeRequest
from bakery.contents import DATABASE, DOCUMENT, UnreadableError
from bakery.host.errors import BakeryError
from bakery.machine.disk_image import BaseDisk
from bakery.model import documents
from bakery.model.contents import SBOM_SUFFIXES, Contents
from bakery.model.documents import Artifact
from unit.bakery.cli.cli_runner import CliRunner


def test_a_record_names_the_contents_of_its_disk(bakery: CliRunner) -> None:
    bakery.packages["base"] = {"openssl": "3.0.17-1"}
    (record,) = bakery.line("base")
    document = bakery.folder("base", "1.0.0") / DOCUMENT
    assert record.contents == hashlib.sha256(document.read_bytes()).hexdigest()
    contents = documents.load(Contents, document)
    assert bakery.catalog.contents(record) == contents
    assert contents.sha256 == record.sha256
    database = bakery.catalog.package_database(record)
    assert database == (bakery.folder("base", "1.0.0") / DATABASE).read_bytes() != b""


def test_a_disk_that_cannot_be_read_has_unknown_contents(bakery: CliRunner) -> None:
    (record,) = bakery.line("base")
    assert (record.state, record.contents) == ("complete", "")
    assert bakery.catalog.contents(record) is None
    assert bakery.catalog.package_database(record) is None
    notes = [event.text for event in bakery.events if event.stage == "contents" and event.kind == "note"]
    assert notes[0] == "unknown: no partition of the disk has ext2, ext3 or ext4"


@pytest.mark.parametrize("readable", [True, False])
def test_a_disk_is_read_again_if_its_bake_could_not(bakery: CliRunner, readable: bool) -> None:
    bakery.packages["base"] = {"openssl": "3.0.17-1"}
    bake, found, written = bakery.bake, object(), []

    def read_raw(*_: object) -> object:
        if not readable:
            raise UnreadableError("the file system is damaged")
        return found

    def examine(request: BakeRequest, base: BaseDisk, context: BakeContext) -> Artifact:
        artifact = bake(request, base, context)
        context.examine(Path(artifact.disk.path), Path("report"))
        return artifact

    def write(given: object, artifact: Artifact, disk: Path) -> Contents:
        written.append(given)
        return bakery.read_disk(artifact, disk, disk)

    bakery.monkeypatch.setattr("bakery.engine.steps.bake", examine)
    bakery.monkeypatch.setattr("bakery.engine.contents.read_raw", read_raw)
    bakery.monkeypatch.setattr("bakery.engine.contents.write_disk_contents", write)
    (record,) = bakery.line("base")
    assert bakery.catalog.contents(record)
    assert written == ([found] if readable else [])


def test_windows_has_unknown_contents_for_one_reason(bakery: CliRunner) -> None:
    bakery.edit("base", "os: debian-12", "os: windows-2022")
    bakery.edit("base", "tests: [base]\n", "")
    (record,) = bakery.line("base")
    assert (record.state, record.contents) == ("complete", "")
    notes = {event.text for event in bakery.events if event.stage == "contents"}
    assert notes == {"unknown: Windows has no package database"}


def test_contents_of_another_disk_are_read_again(bakery: CliRunner) -> None:
    bakery.packages["base"] = {"openssl": "3.0.17-1"}
    bakery("bake", "base")
    document = bakery.folder("base", "1.0.0") / DOCUMENT
    contents = documents.load(Contents, document)
    documents.save(replace(contents, sha256="e" * 64), document)
    bakery("bake", "base")
    assert documents.load(Contents, document) == contents


def test_the_catalog_keeps_both_bills_of_materials(bakery: CliRunner) -> None:
    bakery.packages["base"] = {"openssl": "3.0.17-1"}
    bakery.line("base")
    for name in SBOM_SUFFIXES:
        assert bakery("show", "base", "--sbom", name).out == name
        (kept,) = (bakery.project.workspace / "catalog").rglob(f"sbom-*.{SBOM_SUFFIXES[name]}")
        kept.write_text("changed")
        answer = bakery("show", "base", "--sbom", name)
        assert (answer.code, "not have the digest that the record names" in answer.err) == (1, True)


def test_a_version_without_a_disk_that_was_read_has_no_bill_of_materials(bakery: CliRunner) -> None:
    bakery.line("base")
    answer = bakery("show", "base", "--sbom", "spdx")
    assert (answer.code, "base 1.0.0 has no bill of materials" in answer.err) == (1, True)


def test_a_bake_without_syft_says_so_first(bakery: CliRunner) -> None:
    bakery.broken.add("syft")
    answer = bakery("bake", "base")
    assert (answer.code, "syft is not on PATH" in answer.err) == (1, True)
    assert not bakery.folder("base", "1.0.0").exists()


def test_windows_needs_no_syft(bakery: CliRunner) -> None:
    bakery.edit("base", "os: debian-12", "os: windows-2022")
    bakery.edit("base", "tests: [base]\n", "")
    bakery("bake", "base")
    assert "packer" in bakery.examined
    assert "syft" not in bakery.examined


def test_contents_that_lack_a_package_are_not_those_of_the_record(bakery: CliRunner) -> None:
    bakery.packages["base"] = {"openssl": "3.0.17-1", "zlib1g": "1.2.13"}
    (record,) = bakery.line("base")
    (kept,) = (bakery.project.workspace / "catalog").rglob("contents-*.json")
    contents = documents.load(Contents, kept)
    documents.save(replace(contents, packages=contents.packages[:1]), kept)
    with pytest.raises(BakeryError, match="not have the digest that the record names"):
        bakery.catalog.contents(record)
