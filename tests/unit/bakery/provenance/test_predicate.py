"""The statement about a version: complete, in the words of SLSA, and the same for equal facts."""

from dataclasses import replace

import pytest

from bakery.catalog import Record
from bakery.host.errors import BakeryError
from bakery.machine.block_list import BlockList
from bakery.machine.block_stream import DiskDigest
from bakery.model.contents import ArchiveState, Contents
from bakery.model.documents import Base, ImageLocation, VendorBase
from bakery.provenance import HeldImage, Run, compare_disks, describe_provenance, find_disk, read_payload
from bakery.provenance.subjects import AttestedDisk
from bakery.signing import Statement

AT = "2026-01-01T00:00:00+00:00"
COMMIT = "c0ffee" * 6 + "beef"
RUN = Run("https://gitlab.example/images", "https://gitlab.example/images/-/jobs/7", AT, AT)
DISK = DiskDigest(1536, "a" * 64, BlockList({0: "1" * 64, 2: "2" * 64}))
OTHER = DiskDigest(1 << 30, "b" * 64, BlockList({0: "3" * 64}))
HERE, THERE = ImageLocation("1", "eu", "ami-1"), ImageLocation("1", "us", "ami-2")
IMAGES = [HeldImage("aws", HERE, "web-1.0.0-x86_64", DISK), HeldImage("aws", THERE, "web-1.0.0-x86_64", DISK)]
# fmt: off
RECORD = Record(
    "web", "x86_64", "1.0.0", 1, "complete", "k" * 64, {"os": "debian-12"}, at=AT, by="me", os="debian-12",
    base=Base("debian-12", "1.0.3", "d" * 64), commit=COMMIT, tools={"packer": "1.16.0"}, contents="e" * 64,
    vendor_bases={"aws": VendorBase("ami-0", "AMI", "2026-01-01", AT)},
)
# fmt: on


def contents() -> Contents:
    state = ArchiveState("http://deb.debian.org/debian", "bookworm", ("main",), AT, "", "f" * 64)
    return Contents("web", "x86_64", "1.0.0", "5" * 64, 1, "Debian", (), (), (), "d" * 64, {}, (state,), "")


def test_it_says_what_went_in_and_what_came_out() -> None:
    statement = describe_provenance(RECORD, contents(), IMAGES, RUN)
    assert statement["subject"] == [
        {"name": "web-1.0.0-x86_64", "digest": {"sha256": DISK.sha256, "blocksSha256": DISK.blocks.sha256}},
        {"name": "aws/1/eu/ami-1", "digest": {"blocksSha256": DISK.blocks.sha256}},
        {"name": "aws/1/us/ami-2", "digest": {"blocksSha256": DISK.blocks.sha256}},
    ]
    build, run = statement["predicate"]["buildDefinition"], statement["predicate"]["runDetails"]
    assert build["internalParameters"]["diskBytes"] == {"web-1.0.0-x86_64": 1536}
    names = [dependency.get("name") or dependency["uri"] for dependency in build["resolvedDependencies"]]
    assert names == ["definitions", "debian-12 1.0.3", "AMI", "http://deb.debian.org/debian/dists/bookworm"]
    assert build["resolvedDependencies"][0] == {"name": "definitions", "digest": {"gitCommit": COMMIT}}
    assert run["builder"] == {"id": RUN.builder, "version": {"packer": "1.16.0"}}
    assert run["byproducts"] == [{"name": "contents.json", "digest": {"sha256": "e" * 64}}]


def test_every_resource_can_be_told_from_others() -> None:
    """in-toto asks for one of uri, digest and content."""
    statement = describe_provenance(RECORD, contents(), IMAGES, RUN)
    for resource in statement["predicate"]["buildDefinition"]["resolvedDependencies"]:
        assert resource.get("uri") or resource.get("digest"), resource


def test_files_beside_the_commit_are_said() -> None:
    statement = describe_provenance(replace(RECORD, commit=f"{COMMIT}-dirty"), None, IMAGES, RUN)
    [commit, *_] = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert commit == {"name": "definitions", "digest": {"gitCommit": COMMIT}, "annotations": {"changed": True}}
    outside = describe_provenance(replace(RECORD, commit=""), None, IMAGES, RUN)
    assert "definitions" not in str(outside["predicate"]["buildDefinition"]["resolvedDependencies"])


def test_a_signed_statement_keeps_all_of_it() -> None:
    statement = describe_provenance(RECORD, contents(), IMAGES, RUN)
    assert Statement.model_validate(statement).model_dump(mode="json", by_alias=True) == {
        **statement,
        "subject": [dict(subject) for subject in statement["subject"]],
    }


def test_each_image_is_compared_with_its_own_disk() -> None:
    built = HeldImage("azure", HERE, "web-1.0.0-x86_64@azure", OTHER)
    statement = describe_provenance(RECORD, None, [*IMAGES, built], RUN)
    assert find_disk(statement, "aws", THERE) == AttestedDisk(DISK.sha256, 1536, DISK.blocks.sha256)
    assert find_disk(statement, "azure", HERE) == AttestedDisk(OTHER.sha256, 1 << 30, OTHER.blocks.sha256)
    assert find_disk(statement, "azure", THERE) is None


def test_bytes_of_the_raw_disk_count_even_if_blocks_agree() -> None:
    attested = AttestedDisk("c" * 64, 1536, DISK.blocks.sha256)
    assert "its first 1536 bytes" in compare_disks(DISK, attested, None)


def test_a_list_of_another_disk_is_not_believed() -> None:
    attested = AttestedDisk(OTHER.sha256, OTHER.size, OTHER.blocks.sha256)
    assert "its blocks have the digest" in compare_disks(DISK, attested, DISK.blocks)


@pytest.mark.parametrize("envelope", [b"", b"{}", b'{"payload": "*"}', b'{"payload": "e30="}', b'{"payload": 1}'])
def test_something_else_is_no_envelope(envelope: bytes) -> None:
    with pytest.raises(BakeryError, match="not an envelope"):
        read_payload(envelope, "here")


def test_a_statement_about_something_else_is_no_provenance() -> None:
    with pytest.raises(BakeryError, match="not about provenance"):
        read_payload(b'{"payload": "eyJwcmVkaWNhdGVUeXBlIjogIngifQ=="}', "here")
