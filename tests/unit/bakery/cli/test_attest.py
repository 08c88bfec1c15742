"""`bakery attest` for a version whose image is at the stand-in of a cloud, and for one at the local target."""

import base64
import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bakery.catalog import Record
from bakery.machine import disk_image
from bakery.machine.block_list import BLOCK, BlockList
from bakery.machine.block_stream import DiskDigest
from bakery.model import documents
from bakery.model.documents import ImageLocation, Publication
from bakery.model.version import ImageVersion
from bakery.provenance import HeldImage, Run, describe_provenance
from bakery.signing import Statement, Subject, TrustedKeys, open_keyring
from doubles.aws.client import (
    HOME_ACCOUNT,
    HOME_REGION,
    ROOT,
    StandIn,
    available,
    change_blocks,
    point_environment,
    register,
    upload_blocks,
)
from unit.bakery.cli.cli_runner import CliRunner

SIZE = 8 * BLOCK - 512
CONTENT = {0: b"boot".ljust(BLOCK, b"\1"), 3: b"root".ljust(BLOCK, b"\2"), 7: b"end".ljust(BLOCK, b"\0")}
RAW = b"".join(CONTENT.get(index, bytes(BLOCK)) for index in range(8))[:SIZE]
DISK = DiskDigest(
    SIZE,
    hashlib.sha256(RAW).hexdigest(),
    BlockList({index: hashlib.sha256(block).hexdigest() for index, block in CONTENT.items()}),
)


@pytest.fixture
def aws(aws_server: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    aws_server.reset()
    point_environment(aws_server, monkeypatch)
    return aws_server


class Published:
    """Version 1.0.0 of `cloud`, with images in two regions."""

    regions = (HOME_REGION, "us-east-1")

    def __init__(self, bakery: CliRunner, aws: StandIn) -> None:
        self.bakery, self.aws = bakery, aws
        self.images = [self.publish(region) for region in self.regions]
        publication = Publication("cloud", "x86_64", "1.0.0", "5" * 64, "aws", tuple(self.images))
        reserved = bakery.catalog.reserve("cloud", "x86_64", "1.0", "k" * 64, {"os": "debian-12"}, "me", "bake-public")
        complete = replace(reserved, state="complete", sha256="5" * 64, publications=(publication,), owner="")
        self.statement = self.describe(complete)
        self.record = bakery.catalog.revise(replace(complete, provenance=self.keep(complete, self.statement)))

    def publish(self, region: str) -> ImageLocation:
        snapshot = upload_blocks(self.aws, CONTENT, region)
        devices = [{"DeviceName": ROOT, "Ebs": {"SnapshotId": snapshot}}]
        image = register(self.aws, "cloud-1.0.0-x86_64", region, BlockDeviceMappings=devices)
        available(self.aws, image, region)
        return ImageLocation(HOME_ACCOUNT, region, image, snapshot)

    def describe(self, record: Record) -> dict[str, Any]:
        held = [HeldImage("aws", location, "cloud-1.0.0-x86_64", DISK) for location in self.images]
        return describe_provenance(record, None, held, Run("urn:test", "job 1", record.at, record.at))

    def keep(self, record: Record, statement: dict[str, Any]) -> str:
        envelope = open_keyring(self.bakery.project).sign(Statement.model_validate(statement), "publish")
        return self.bakery.catalog.keep_provenance(record, envelope, [DISK.blocks.dump()])

    def revise(self, envelope: bytes) -> None:
        """Somebody who may write to the catalog puts another envelope into its place."""
        digest = self.bakery.catalog.keep_provenance(self.record, envelope, [])
        self.record = self.bakery.catalog.revise(replace(self.record, provenance=digest))

    def envelope(self) -> Any:
        return json.loads(self.bakery.catalog.provenance(self.record) or b"")

    def trusted(self, path: Path) -> str:
        path.write_bytes(documents.dump(open_keyring(self.bakery.project).trusted_keys("publish")))
        return str(path)


@pytest.fixture
def published(bakery: CliRunner, aws: StandIn) -> Published:
    return Published(bakery, aws)


def check(published: Published, name: str = "cloud@1.0.0") -> tuple[int, dict[str, tuple[str, str]], str]:
    """The exit code, status and detail by the ID of an image, and the error."""
    answer = published.bakery("attest", name, "--verify", "--json")
    results = json.loads(answer.out)["locations"] if answer.out else []
    return answer.code, {one["id"]: (one["status"], one["detail"]) for one in results}, answer.err


def test_images_that_have_the_bytes_are_ok(published: Published) -> None:
    assert check(published)[:2] == (0, {image.id: ("ok", "") for image in published.images})
    answer = published.bakery("attest", "cloud", "--verify")
    assert answer.code == 0 and answer.out.count(" ok") == 2


def test_the_id_of_an_image_limits_the_comparison_to_it(published: Published) -> None:
    first, second = published.images
    change_blocks(published.aws, first.snapshot, {0: None})
    assert check(published, second.id)[:2] == (0, {second.id: ("ok", "")})
    assert check(published, first.id)[0] == 1


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({3: b"x" * BLOCK}, f"1 block differs, first block 3 at byte {3 * BLOCK}: changed"),
        ({3: None, 7: b"x" * BLOCK}, f"2 blocks differ, first block 3 at byte {3 * BLOCK}: missing"),
        ({1000: b"x" * BLOCK}, f"1 block differs, first block 1000 at byte {1000 * BLOCK}: not in the list"),
        ({7: CONTENT[7][:-1] + b"x"}, f"1 block differs, first block 7 at byte {7 * BLOCK}: changed"),
    ],
    ids=["changed", "missing", "behind the disk", "in the rounded part"],
)
def test_other_bytes_are_named_by_location_and_offset(
    published: Published, change: dict[int, bytes | None], difference: str
) -> None:
    ours, theirs = published.images
    change_blocks(published.aws, theirs.snapshot, change)
    code, results, error = check(published)
    assert (code, results) == (1, {ours.id: ("ok", ""), theirs.id: ("different", difference)})
    assert f"aws/{HOME_ACCOUNT}/us-east-1/{theirs.id}: {difference}" in error


def test_written_zeros_are_no_difference(published: Published) -> None:
    change_blocks(published.aws, published.images[0].snapshot, {5: bytes(BLOCK)})
    assert check(published)[0] == 0


def test_an_image_on_a_snapshot_of_another_version_is_different(published: Published) -> None:
    """The record was changed to name an image that has the bytes of something else."""
    other = published.publish(HOME_REGION.replace("central", "west"))
    change_blocks(published.aws, other.snapshot, {0: b"x" * BLOCK})
    home, second = published.images
    switched = replace(other, region=other.region, snapshot=home.snapshot)
    publication = replace(published.record.publications[0], locations=(switched, second))
    published.record = published.bakery.catalog.revise(replace(published.record, publications=(publication,)))
    code, results, _ = check(published)
    assert (code, results[other.id]) == (1, ("different", "the statement does not name it"))


def test_an_image_whose_root_is_another_snapshot_is_different(published: Published) -> None:
    other = upload_blocks(published.aws, CONTENT)
    first, second = published.images
    publication = replace(published.record.publications[0], locations=(replace(first, snapshot=other), second))
    published.record = published.bakery.catalog.revise(replace(published.record, publications=(publication,)))
    code, results, error = check(published)
    assert (code, results[first.id][0]) == (1, "different")
    assert f"it has {first.snapshot}, expected {other}" in results[first.id][1]
    assert "1 of 2 images of cloud 1.0.0 differs from what was published" in error


def test_an_image_that_cannot_be_read_is_unreachable(published: Published) -> None:
    gone, other = published.images
    published.aws.client("ec2").deregister_image(ImageId=gone.id)
    code, results, error = check(published)
    assert (code, results[other.id]) == (4, ("ok", ""))
    assert results[gone.id] == ("unreachable", f"there is no image {gone.id}")
    assert "1 of 2 images of cloud 1.0.0 could not be read" in error
    change_blocks(published.aws, other.snapshot, {0: None})
    assert check(published)[0] == 1, "a difference is worse"


def test_without_the_list_of_blocks_the_digests_still_differ(published: Published) -> None:
    for path in (published.bakery.project.workspace / "catalog").rglob("blocks-*.txt"):
        path.unlink()
    assert check(published)[0] == 0
    change_blocks(published.aws, published.images[0].snapshot, {0: None})
    code, results, _ = check(published)
    assert code == 1 and "its blocks have the digest" in results[published.images[0].id][1]


def test_the_statement_is_shown_without_a_claim_about_its_signature(published: Published) -> None:
    answer = published.bakery("attest", "cloud@1.0.0")
    assert answer.code == 0
    assert f"sha256 {DISK.sha256[:16]} blocksSha256 {DISK.blocks.sha256[:16]}\n" in answer.out
    assert "signature   not checked" in answer.out
    assert json.loads(published.bakery("attest", "cloud", "--json").out) == published.statement


def test_the_signature_is_checked_without_a_network(
    published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = published.trusted(tmp_path / "keys.json")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    answer = published.bakery("attest", "cloud", "--keys", keys)
    assert (answer.code, "signature   valid" in answer.out) == (0, True)
    (tmp_path / "none.json").write_bytes(documents.dump(TrustedKeys(())))
    answer = published.bakery("attest", "cloud", "--keys", str(tmp_path / "none.json"))
    assert (answer.code, answer.out) == (1, "")
    assert "signed by no trusted key of the duty" in answer.err


@pytest.mark.parametrize("options", [("--verify",), ("--keys", "keys.json")])
def test_a_forged_statement_is_refused(published: Published, options: tuple[str, ...]) -> None:
    published.trusted(Path("keys.json"))
    envelope = published.envelope()
    statement = json.loads(base64.b64decode(envelope["payload"]))
    statement["predicate"]["buildDefinition"]["resolvedDependencies"] = []
    envelope["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
    published.revise(json.dumps(envelope).encode())
    answer = published.bakery("attest", "cloud", *options)
    assert (answer.code, answer.out) == (1, "")
    assert "no trusted key" in answer.err


def test_the_statement_of_another_version_is_refused(published: Published) -> None:
    later = ImageVersion("cloud", "x86_64", "1.0.1")
    reserved = published.bakery.catalog.reserve("cloud", "x86_64", "1.0", "l" * 64, {}, "me", "bake-public")
    assert reserved.version == later.version
    publications = tuple(replace(one, version=later.version) for one in published.record.publications)
    complete = replace(reserved, state="complete", publications=publications, owner="")
    old = published.bakery.catalog.provenance(published.record) or b""
    digest = published.bakery.catalog.keep_provenance(complete, old, [])
    published.bakery.catalog.revise(replace(complete, provenance=digest))
    answer = published.bakery("attest", "cloud@1.0.1", "--verify")
    assert (answer.code, answer.out) == (1, "")
    assert "the statement is not about cloud-1.0.1-x86_64" in answer.err


def test_another_document_that_the_key_signed_is_refused(published: Published) -> None:
    """A workspace has one key for all duties, so the verdict on a disk has its signature, too."""
    subject = Subject(name="cloud-1.0.0-x86_64", digest={"sha256": "a" * 64})
    verdict = Statement(subject=(subject,), predicate_type="urn:image-bakery:verdict:1", predicate={"passed": True})
    published.revise(open_keyring(published.bakery.project).sign(verdict, "publish"))
    answer = published.bakery("attest", "cloud", "--verify")
    assert (answer.code, answer.out) == (1, "")
    assert "the statement is not about provenance" in answer.err


def test_a_version_of_an_older_bakery_has_no_statement(published: Published) -> None:
    published.record = published.bakery.catalog.revise(replace(published.record, provenance=""))
    answer = published.bakery("attest", "cloud", "--verify")
    assert answer.code == 1 and "cloud-1.0.0-x86_64 has no provenance\nhint: an older release" in answer.err


def test_a_version_that_is_not_complete_has_no_statement(published: Published) -> None:
    published.bakery.catalog.reserve("cloud", "x86_64", "1.0", "other", {}, "builder", "bake-private")
    answer = published.bakery("attest", "cloud@1.0.1", "--verify")
    assert answer.code == 1
    assert "has no provenance\nhint: it is not complete: run 'bakery run cloud' first\n" in answer.err


def test_a_disk_in_the_local_store_is_attested_when_it_is_published(bakery: CliRunner) -> None:
    (_, record) = bakery.line("web")
    statement = json.loads(bakery("attest", "web", "--json").out)
    [disk, image] = statement["subject"]
    assert disk["name"] == "web-1.0.0-x86_64" and disk["digest"]["sha256"] == record.raw_sha256
    assert image["name"] == f"local/{record.publications[0].locations[0].id}"
    assert image["digest"] == {"blocksSha256": disk["digest"]["blocksSha256"]}
    assert bakery.line("web") == [], "nothing changes when it is published again"


def test_a_disk_in_the_local_store_is_read_back(bakery: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_image, "write_raw", shutil.copyfile)  # a disk here is a text, not a qcow2
    (_, record) = bakery.line("web")
    stored = bakery.project.store / record.publications[0].locations[0].id
    assert bakery("attest", "web", "--verify").code == 0
    content = stored.read_bytes()
    stored.unlink()
    stored.write_bytes(content[:-1] + b"x")
    answer = bakery("attest", "web", "--verify")
    assert (answer.code, "1 block differs, first block 0 at byte 0: changed" in answer.out) == (1, True)
