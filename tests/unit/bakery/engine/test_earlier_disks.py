"""The disk that an upload may start from: that of the newest complete version, as its signed statement says."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from bakery.catalog import Record
from bakery.clouds.target import EarlierDisk
from bakery.engine import steps
from bakery.engine.earlier_disks import find_earlier_disks
from bakery.engine.session import Session
from bakery.machine.block_list import BlockList
from bakery.machine.block_stream import DiskDigest
from bakery.model.documents import ImageLocation, Publication
from bakery.model.version import ImageVersion, Versioned
from bakery.provenance import HeldImage, Run, describe_provenance
from bakery.signing import Statement, open_keyring
from unit.bakery.cli.cli_runner import CliRunner

NEXT = ImageVersion("cloud", "x86_64", "1.0.9")
LISTS = {f"1.0.{number}": BlockList({number: str(number) * 64}) for number in range(3)}


def locate(version: str) -> tuple[ImageLocation, ...]:
    return tuple(
        ImageLocation(account, region, f"ami-{region}-{version}", f"snap-{region}-{version}", owned=account == "1")
        for account in ("1", "2")
        for region in ("here", "there")
    )


def keep(bakery: CliRunner, version: str, target: str = "aws", *, statement_of: str = "", lists: bool = True) -> Record:
    """A complete version with a statement, which may be that about another one's disk."""
    reserved = bakery.catalog.reserve("cloud", "x86_64", "1.0", version, {"os": "debian-12"}, "me", "bake-public")
    assert reserved.version == version
    publication = Publication("cloud", "x86_64", version, "5" * 64, target, locate(version))
    complete = replace(reserved, state="complete", sha256="5" * 64, publications=(publication,), owner="")
    disk = DiskDigest(8, "d" * 64, LISTS[version])
    owned = [HeldImage(target, location, version, disk) for location in locate(statement_of or version)[:2]]
    run = Run("urn:test", "job 1", reserved.at, reserved.at)
    statement = Statement.model_validate(describe_provenance(complete, None, owned, run))
    envelope = open_keyring(bakery.project).sign(statement, "publish")
    digest = bakery.catalog.keep_provenance(complete, envelope, [LISTS[version].dump()] if lists else [])
    return bakery.catalog.revise(replace(complete, provenance=digest))


def find(bakery: CliRunner, of: ImageVersion = NEXT) -> tuple[EarlierDisk | None, list[str]]:
    bakery.events.clear()
    disks = find_earlier_disks(bakery.session(), of, ["aws", "local"])
    assert disks.keys() <= {"aws"}
    return disks.get("aws"), [event.text for event in bakery.events]


def expect(version: str) -> EarlierDisk:
    return EarlierDisk(locate(version)[:2], "d" * 64, LISTS[version])


def test_the_newest_complete_version_of_another_number_gives_its_disk(bakery: CliRunner) -> None:
    assert find(bakery) == (None, [])
    keep(bakery, "1.0.0")
    newest = keep(bakery, "1.0.1")
    assert find(bakery) == (expect("1.0.1"), [])
    assert find(bakery, ImageVersion("cloud", "x86_64", "1.0.1")) == (expect("1.0.0"), [])
    bakery.catalog.revise(replace(newest, state="revoked", reason="a secret"))
    assert find(bakery) == (expect("1.0.0"), [])


def test_a_version_elsewhere_or_without_a_statement_gives_none(bakery: CliRunner) -> None:
    keep(bakery, "1.0.0")
    keep(bakery, "1.0.1", "local")
    bakery.catalog.revise(replace(keep(bakery, "1.0.2"), provenance=""))
    assert find(bakery) == (expect("1.0.0"), [])


def test_a_run_looks_for_them_at_the_targets_that_get_a_disk(
    bakery: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[tuple[str, set[str]]] = []

    def look(_: Session, of: Versioned, targets: Iterable[str]) -> dict[str, EarlierDisk]:
        looks.append((f"{of.image} {of.version}", set(targets)))
        return {}

    monkeypatch.setattr(steps, "find_earlier_disks", look)
    bakery.line("base")
    assert looks == [("base 1.0.0", {"local"})]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("no list", "the catalog has no list of them"),
        ("other images", "its images do not have one disk that its statement names"),
        ("changed list", "does not have the digest that the record names"),
        ("other signer", "sign"),
        ("other version", "the statement is not about cloud-1.0.1-x86_64"),
    ],
)
def test_what_cannot_be_verified_is_not_used(bakery: CliRunner, fault: str, reason: str) -> None:
    first = keep(bakery, "1.0.0")
    record = keep(bakery, "1.0.1", statement_of="1.0.2" if fault == "other images" else "", lists=fault != "no list")
    catalog = bakery.catalog
    if fault == "changed list":
        [path] = [
            path
            for path in bakery.project.workspace.rglob("*")
            if path.is_file() and path.read_bytes() == LISTS["1.0.1"].dump()
        ]
        path.chmod(0o644)
        path.write_bytes(LISTS["1.0.2"].dump())
    envelope = catalog.provenance(record if fault == "other signer" else first) or b""
    if fault == "other signer":
        envelope = envelope.replace(b'"sig":"', b'"sig":"AAAA', 1).replace(b'"sig": "', b'"sig": "AAAA', 1)
    if fault in ("other signer", "other version"):
        catalog.revise(replace(record, provenance=catalog.keep_provenance(record, envelope, [])))
    disk, notes = find(bakery)
    assert disk is None
    [note] = notes
    assert note.startswith("the whole disk is sent, as the blocks of cloud-1.0.1-x86_64 are unknown: ")
    assert reason in note
