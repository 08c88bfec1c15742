"""The line of images that Packer builds at their target."""

import json
import re
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bakery.bake import remote
from bakery.bake.request import BakeContext, BakeRequest, ParentImage
from bakery.clouds import CLOUDS
from bakery.clouds.read_back import ReadRequest
from bakery.clouds.target import Finding
from bakery.engine import inspection
from bakery.host.errors import BakeryError
from bakery.host.vault import Vault
from bakery.machine.block_list import BLOCK
from bakery.machine.block_stream import BlockStream
from bakery.model import documents
from bakery.model.contents import ROOT_ARCHIVE
from bakery.model.definition import ImageDefinition
from bakery.model.documents import (
    Check,
    ImageLocation,
    Location,
    Pointer,
    Publication,
    RemoteBuild,
    VendorBase,
    Verdict,
)
from bakery.model.inputs import remote_base
from bakery.model.naming import full_name
from bakery.model.project import Project
from bakery.model.version import ImageVersion, Versioned
from bakery.signing import open_keyring, save_signed
from doubles.channels import DictTarget
from unit.bakery.cli.cli_runner import CliRunner
from unit.bakery.signed_documents import seal, unseal

CLOUD = """\
name: cloud
description: A page in the cloud
os: debian-12
arch: x86_64
version: "1.0"
base:
  aws:
    ami: {name: "debian-12-*", owner: self}
software:
  roles:
    - name: nginx
tests: [base]
targets: [aws]
distribution:
  aws:
    regions: [eu-central-1]
channel: stable
"""
CHILD = CLOUD.replace("name: cloud", "name: child").replace('ami: {name: "debian-12-*", owner: self}', "image: cloud")


@dataclass
class Cloud:
    """A target that remembers what it was asked, and a Packer that builds there."""

    bakery: CliRunner
    credentials: list[Mapping[str, str]] = field(default_factory=list)
    newest: str = "ami-a"  # of the vendor
    asked: int = 0  # for the newest of the vendor
    disk: bytes = b"a disk"  # the beginning of every image there
    pointers: DictTarget = field(default_factory=lambda: DictTarget([Location("123456789012", "eu-central-1")]))
    dirt: list[str] = field(default_factory=list)  # what rules find on it
    reads: list[ReadRequest] = field(default_factory=list)  # of images there
    seen: list[bytes] = field(default_factory=list)  # the beginning of the raw disks that rules looked at

    def find_base(self, _: ImageDefinition, credentials: Mapping[str, str]) -> VendorBase:
        self.asked += 1
        self.credentials.append(credentials)
        return VendorBase(self.newest, "AMI", "2026-11-20")

    def build(
        self,
        request: BakeRequest,
        target: str,
        parent: ParentImage | None,
        credentials: Mapping[str, str],
        context: BakeContext,
        vendor_base: VendorBase | None = None,
    ) -> RemoteBuild:
        image, project = request.definition, context.project
        origin = parent.id if parent else (vendor_base.identity if vendor_base else "nothing")
        self.bakery.begin(f"build {image.name} at {target} from {origin}")
        self.credentials.append(credentials)
        # fmt: off
        built = RemoteBuild(
            image=image.name, arch=image.arch, version=request.version, os=image.os, target=target,
            builder="amazon-ebs", input_key=request.input_key, inputs=dict(request.inputs),
            base=request.inputs[remote_base(target)],
            identity="b" * 64, ids={"eu-central-1": "ami-1"},
            checks=(Check("answers", True),), commit="", tools={}, seconds={}, created="2026-01-31T12:00:00+00:00",
            log="", vendor_base=vendor_base, parent=parent.base if parent else None,
        )
        # fmt: on
        folder = project.build_folder(request.image_version, target)
        save_signed(built, built, folder / "build.json", open_keyring(project), "bake-public")
        (folder / ROOT_ARCHIVE).write_text("files of the machine")
        return built

    @contextmanager
    def open_disk(self, request: ReadRequest) -> Iterator[BlockStream]:
        self.reads.append(request)
        yield BlockStream(BLOCK, iter([(0, self.disk.ljust(BLOCK, b"\0"))]))

    def check_content(self, raw: Path, _image: ImageDefinition, secrets: Collection[str], _seconds: Any) -> list[Check]:
        self.seen.append(raw.read_bytes()[: len(self.disk)])
        return [Check("no authorized keys", not self.dirt, ", ".join(self.dirt))]

    def prepare(self, of: Versioned) -> None:
        self.bakery.begin(f"prepare {full_name(of)}")

    def adopt(self, build: RemoteBuild, _report: Any) -> Publication:
        self.bakery.begin(f"adopt {full_name(build)}")
        locations = tuple(ImageLocation("123456789012", region, image) for region, image in build.ids.items())
        return Publication(build.image, build.arch, build.version, build.identity, "aws", locations)

    def publish(self, artifact: Any, _disk: Any, _report: Any) -> Publication:
        self.bakery.begin(f"upload {full_name(artifact)}")
        location = ImageLocation("123456789012", "eu-central-1", "ami-9")
        return Publication(artifact.image, artifact.arch, artifact.version, artifact.disk.sha256, "aws", (location,))

    def inspect(self, _publication: Publication) -> list[Finding]:
        return []

    def wanted_locations(self) -> Collection[Location]:
        return self.pointers.wanted

    def channel_values(self, publication: Publication) -> Mapping[Location, str]:
        return self.pointers.channel_values(publication)

    def read_channel(self, of: Any, channel: str, locations: Collection[Location]) -> Mapping[Location, Pointer]:
        return self.pointers.read_channel(of, channel, locations)

    def point(
        self, publication: Publication, channel: str, locations: Collection[Location], report: Any
    ) -> Mapping[Location, Pointer]:
        self.bakery.begin(f"point {channel} at {publication.version}")
        return self.pointers.point(publication, channel, locations, report)


@pytest.fixture
def cloud(bakery: CliRunner, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    cloud = Cloud(bakery)
    bakery.write("packer/images/cloud.yaml", CLOUD)
    bakery.write("packer/templates/aws/linux.pkr.hcl", "# template\n")

    def open_target(_project: Project, _image: ImageDefinition, credentials: Mapping[str, str]) -> Any:
        cloud.credentials.append(credentials)
        return cloud

    fakes: dict[str, Any] = {"open_target": open_target, "find_base": cloud.find_base, "open_disk": cloud.open_disk}
    monkeypatch.setitem(CLOUDS, "aws", replace(CLOUDS["aws"], **fakes))
    monkeypatch.setattr(inspection, "check_content", cloud.check_content)
    monkeypatch.setattr(inspection, "expect_content", lambda _: ["no authorized keys"])
    monkeypatch.setattr(remote, "build", cloud.build)
    return cloud


def test_it_is_built_there_and_taken_over(bakery: CliRunner, cloud: Cloud) -> None:
    (record,) = bakery.line("cloud")
    assert bakery.did == [
        "prepare cloud-1.0.0-x86_64",
        "build cloud at aws from ami-a",
        "publish cloud",
        "adopt cloud-1.0.0-x86_64",
        "point stable at 1.0.0",
    ]
    assert (record.state, record.sha256, record.checks, record.base) == ("complete", "b" * 64, 3, None)
    assert bakery.line("cloud") == [] and bakery.did == []


def test_it_has_the_contents_of_its_machine(bakery: CliRunner, cloud: Cloud) -> None:
    bakery.packages["cloud"] = {"openssl": "3.0.17-1"}
    (record,) = bakery.line("cloud")
    contents = bakery.catalog.contents(record)
    assert contents and (contents.sha256, contents.size) == (record.sha256, None)
    assert [package.name for package in contents.packages] == ["openssl"]
    assert "contents    1 packages\n" in bakery("show", "cloud").out
    assert bakery("show", "cloud", "--sbom", "cyclonedx").out == "cyclonedx"


def test_the_files_of_its_machine_are_removed_once_they_are_read(bakery: CliRunner, cloud: Cloud) -> None:
    bakery.packages["cloud"] = {"openssl": "3.0.17-1"}
    bakery("bake", "cloud")
    folder = bakery.project.build_folder(ImageVersion("cloud", "x86_64", "1.0.0"), "aws")
    signed = {f"{name}{ending}" for name in ("build", "contents", "verdict") for ending in (".json", ".dsse.json")}
    names = {"packages.tar.gz", "files.json.gz", "sbom.cdx.json", "sbom.spdx.json", *signed}
    assert {path.name for path in folder.iterdir()} == names


def test_it_does_not_pass_a_gate_that_cannot_be_answered(bakery: CliRunner, cloud: Cloud) -> None:
    bakery.packages["cloud"] = {"openssl": "3.0.17-1"}
    bakery.edit("cloud", "tests: [base]\n", "tests: [base]\nvulnerabilities:\n  fail_on: high\n")
    answer = bakery("run", "cloud")
    assert answer.code == 1
    assert "cloud 1.0.0 failed 1 of 4 checks" in answer.err and "no vulnerability database is named" in answer.err
    assert bakery.states("cloud") == {"1.0.0": "reserved"}
    assert "adopt cloud-1.0.0-x86_64" not in bakery.did, "nothing is published"
    answer = bakery("publish", "cloud")
    assert (answer.code, "cloud-1.0.0-x86_64 did not pass its tests" in answer.err) == (1, True)
    assert "adopt cloud-1.0.0-x86_64" not in bakery.did, "not even on request"


def test_one_that_was_tested_before_there_was_a_gate_is_not_published(bakery: CliRunner, cloud: Cloud) -> None:
    bakery("bake", "cloud")
    bakery.edit("cloud", "tests: [base]\n", "tests: [base]\nvulnerabilities:\n  fail_on: high\n")
    answer = bakery("publish", "cloud")
    assert answer.code == 1
    assert "hint: run 'bakery run --rebuild cloud'\n" in answer.err


def test_a_build_of_an_interrupted_run_is_taken_up(bakery: CliRunner, cloud: Cloud) -> None:
    bakery.broken = {"adopt cloud-1.0.0-x86_64"}
    with pytest.raises(BakeryError, match="adopt cloud"):
        bakery.line("cloud")
    assert bakery.states("cloud") == {"1.0.0": "reserved"}
    bakery.broken = set()
    bakery.line("cloud")
    assert bakery.did == ["publish cloud", "adopt cloud-1.0.0-x86_64", "point stable at 1.0.0"]


def test_a_build_that_fails_reserves_and_leaves_nothing_else(bakery: CliRunner, cloud: Cloud) -> None:
    bakery.broken = {"build cloud at aws from ami-a"}
    with pytest.raises(BakeryError, match="build cloud"):
        bakery.line("cloud")
    bakery.broken = set()
    assert [record.version for record in bakery.line("cloud")] == ["1.0.0"]


def test_its_disk_is_looked_at_as_the_cloud_holds_it(bakery: CliRunner, cloud: Cloud) -> None:
    assert bakery("bake", "cloud").code == 0
    assert cloud.seen == [cloud.disk]
    assert [request.location.id for request in cloud.reads] == ["ami-1"]
    assert not list(bakery.project.cache.glob(".read-back*")), "nothing is left of it"
    cloud.dirt = ["/home/admin/.ssh/authorized_keys"]
    answer = bakery("bake", "cloud")
    assert (answer.code, "failed 1 of 3 checks" in answer.err) == (1, True)
    assert "no authorized keys: /home/admin/.ssh/authorized_keys" in answer.err
    answer = bakery("publish", "cloud")
    assert (answer.code, "adopt cloud-1.0.0-x86_64" in bakery.did) == (1, False)


def test_a_secret_in_a_check_of_its_disk_is_redacted(
    bakery: CliRunner, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verdict is an artifact of a job."""
    value = "canary-4711-canary"
    monkeypatch.setattr(inspection, "open_vault", lambda *_: nullcontext("vault"))
    monkeypatch.setattr(inspection, "read_used_secrets", lambda *_: [value])
    cloud.dirt = [f"/root/.bash_history has 'login {value}'"]
    answer = bakery("bake", "cloud")
    assert (answer.code, "/root/.bash_history" in answer.err, value in answer.err) == (1, True, False)
    folder = bakery.project.build_folder(ImageVersion("cloud", "x86_64", "1.0.0"), "aws")
    assert value not in (folder / "verdict.json").read_text()


@pytest.mark.parametrize("gives_bytes", [True, False])
def test_a_secret_in_a_document_of_its_machine_is_refused(
    bakery: CliRunner, cloud: Cloud, monkeypatch: pytest.MonkeyPatch, gives_bytes: bool
) -> None:
    """A job keeps all documents as artifacts, such as a list of archives with the password of one."""
    if not gives_bytes:
        monkeypatch.setitem(CLOUDS, "aws", replace(CLOUDS["aws"], open_disk=None))
    value = "canary-4711-canary"
    monkeypatch.setattr(inspection, "open_vault", lambda *_: nullcontext("vault"))
    monkeypatch.setattr(inspection, "read_used_secrets", lambda *_: [value])
    build = cloud.build

    def build_with_report(request: BakeRequest, target: str, *rest: Any) -> RemoteBuild:
        built = build(request, target, *rest)
        folder = bakery.project.build_folder(request.image_version, target)
        (folder / "archives.txt").write_text(f"deb https://user:{value}@archive.example.com stable main")
        return built

    monkeypatch.setattr(remote, "build", build_with_report)
    answer = bakery("bake", "cloud")
    assert (answer.code, "archives.txt has a secret of the bake" in answer.err, value in answer.err) == (1, True, False)
    assert bakery("publish", "cloud").code == 1


def test_a_cloud_without_bytes_is_named_in_the_verdict(
    bakery: CliRunner, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CLOUDS, "aws", replace(CLOUDS["aws"], open_disk=None))
    (record,) = bakery.line("cloud")
    folder = bakery.project.build_folder(ImageVersion("cloud", "x86_64", "1.0.0"), "aws")
    [_, check] = documents.load(Verdict, folder / "verdict.json").checks
    assert check == Check(inspection.READ_BACK, True, "not read back: the bakery cannot read images of aws")
    notes = [event.text for event in bakery.events if event.kind == "note"]
    assert {check.detail, "no provenance: no image can be read back"} <= set(notes)
    assert record.provenance == "" and bakery("attest", "cloud").code == 1


def test_another_disk_than_the_tested_one_is_not_attested(bakery: CliRunner, cloud: Cloud) -> None:
    bakery("bake", "cloud")
    cloud.disk = b"another disk"
    answer = bakery("publish", "cloud")
    assert (answer.code, bakery.states("cloud")) == (1, {"1.0.0": "reserved"})
    assert "the disk of cloud-1.0.0-x86_64 at its cloud is not the one that was tested" in answer.err
    assert "point stable at 1.0.0" not in bakery.did


def test_a_child_starts_from_its_parents_image_there(bakery: CliRunner, cloud: Cloud) -> None:
    bakery.write("packer/images/child.yaml", CHILD)
    bakery.line("child")
    assert "build child at aws from ami-1" in bakery.did


def test_a_child_whose_parent_is_revoked_while_it_is_built_is_not_published(bakery: CliRunner, cloud: Cloud) -> None:
    bakery.edit("cloud", "channel: stable\n", "")
    bakery.line("cloud")
    bakery.write("packer/images/child.yaml", CHILD)
    assert bakery("bake", "child").code == 0
    catalog = bakery.catalog
    parent = catalog.record(ImageVersion("cloud", "x86_64", "1.0.0"))
    catalog.settle_state(catalog.change_state(parent, "revoked", "leaks"))
    answer = bakery("publish", "child")
    assert answer.code != 0
    assert "child 1.0.0 was built on cloud 1.0.0, which was revoked meanwhile" in answer.err
    assert "leaks" in answer.err
    assert "adopt child-1.0.0-x86_64" not in bakery.did, "nothing is published"
    assert bakery.states("child") == {"1.0.0": "reserved"}


def test_disk_and_build_of_one_version(bakery: CliRunner, cloud: Cloud) -> None:
    bakery.edit("cloud", "base:\n", "base:\n  qemu:\n    debootstrap: {suite: bookworm}\n")
    bakery.edit("cloud", "targets: [aws]", "targets: [local, aws]")
    (record,) = bakery.line("cloud")
    assert [step for step in bakery.did if "cloud" in step][:4] == [
        "bake cloud",
        "prepare cloud-1.0.0-x86_64",
        "build cloud at aws from ami-a",
        "verify cloud",
    ]
    assert [found.target for found in record.publications] == ["local", "aws"]
    assert record.checks == 5
    assert record.sha256 != "b" * 64, "a version with a disk is known by the disk"


def test_a_builder_that_an_image_lacks(bakery: CliRunner, cloud: Cloud) -> None:
    bakery.line("base")
    before = list(bakery.did)
    answer = bakery("bake", "base", "--builder", "aws")
    assert answer.code == 64
    assert "base.yaml:6: base has no builder aws\nhint: it has qemu\n" in answer.err
    assert bakery("bake", "--builder", "azure").code == 0, "none of them is asked for by name"
    assert bakery.did == before


def test_one_builder_only(bakery: CliRunner, cloud: Cloud) -> None:
    """As in CI, where private and public builds are jobs of their own."""
    bakery.edit("cloud", "base:\n", "base:\n  qemu:\n    debootstrap: {suite: bookworm}\n")
    bakery.edit("cloud", "targets: [aws]", "targets: [local, aws]")
    assert bakery("bake", "cloud", "--builder", "qemu").code == 0
    assert bakery.did == ["bake cloud"]
    answer = bakery("publish", "cloud")
    assert "cloud-1.0.0-x86_64 is not complete in this workspace: aws missing" in answer.err
    assert "hint: run 'bakery bake cloud' first\n" in answer.err
    answer = bakery("bake", "cloud", "--builder", "aws")
    assert (answer.code, bakery.did[-1]) == (0, "build cloud at aws from ami-a")
    assert "cloud  1.0.0    ami-1" in answer.out
    assert bakery("verify", "cloud").code == 0
    assert bakery("publish", "cloud").code == 0
    assert bakery.states("cloud") == {"1.0.0": "complete"}


def test_verify_passes_over_what_was_tested_while_it_was_built(bakery: CliRunner, cloud: Cloud) -> None:
    bakery("bake", "cloud")
    assert bakery("verify", "cloud").code == 0
    assert "verify cloud" not in bakery.did


class TestNewerBase:
    """A vendor puts a newer base behind the name that the definition has."""

    def refresh(self, bakery: CliRunner, cloud: Cloud, newest: str = "") -> str:
        """Refresh while the vendor has this base, and plan."""
        cloud.newest = newest or cloud.newest
        assert bakery("refresh", "cloud").code == 0
        return bakery("plan", "cloud").out

    def test_makes_an_image_due_until_it_is_built_from_it(self, bakery: CliRunner, cloud: Cloud) -> None:
        bakery.line("cloud")
        assert "base unchanged" in self.refresh(bakery, cloud)
        planned = self.refresh(bakery, cloud, "ami-b")
        assert re.search(r"cloud +bake +1\.0\.0 -> 1\.0\.1 +base AMI ami-a -> ami-b \(2026-11-20\)\n", planned), planned
        assert "cloud: base AMI ami-a -> ami-b (2026-11-20) is newer\n" in bakery("status", "cloud").out
        (status,) = json.loads(bakery("status", "cloud", "--json").out)["images"]
        assert [(base["original"]["identity"], base["newest"]["identity"]) for base in status["bases"]] == [
            ("ami-a", "ami-b")
        ]
        (record,) = bakery.line("cloud")
        assert "build cloud at aws from ami-b" in bakery.did
        assert "newer" not in bakery("status", "cloud").out
        assert re.search(r"vendor +aws: AMI ami-b, 2026-11-20\n", bakery("show", "cloud").out)
        assert (record.version, record.vendor_bases["aws"].identity) == ("1.0.1", "ami-b")
        assert "base unchanged" in bakery("plan", "cloud").out, "a bake is an observation, too"
        assert bakery.line("cloud") == []

    def test_that_only_the_bake_saw_makes_nothing_due(self, bakery: CliRunner, cloud: Cloud) -> None:
        """The observation is older than the bake, whose base is even newer."""
        bakery.line("cloud")
        self.refresh(bakery, cloud, "ami-b")
        cloud.newest = "ami-c"
        time.sleep(1.1)  # times are kept to the second
        (record,) = bakery.line("cloud")
        assert record.vendor_bases["aws"].identity == "ami-c"
        assert bakery.line("cloud") == []

    def test_is_not_taken_for_the_base_of_an_unfinished_build(self, bakery: CliRunner, cloud: Cloud) -> None:
        """A build from before the newer base is complete, and waits for its publication."""
        bakery.line("cloud")
        bakery.edit("cloud", "    - name: nginx", "    - name: nginx\n  packages: [acl]")
        bakery.broken = {"adopt cloud-1.0.1-x86_64"}
        with pytest.raises(BakeryError, match="adopt cloud"):
            bakery.line("cloud")
        bakery.broken = set()
        time.sleep(1.1)  # times are kept to the second
        self.refresh(bakery, cloud, "ami-b")
        (record,) = bakery.line("cloud")
        assert (record.version, record.vendor_bases["aws"].identity) == ("1.0.2", "ami-b")

    def test_is_unknown_without_a_refresh_and_after_a_day(self, bakery: CliRunner, cloud: Cloud) -> None:
        bakery.line("cloud")
        (entry,) = (bakery.project.workspace / "catalog/images/cloud/x86_64/versions/1.0.0").glob("000001.json")
        at = bakery.catalog.record(ImageVersion("cloud", "x86_64", "1.0.0")).vendor_bases["aws"].at
        document = unseal(entry.read_bytes())
        document["vendor_bases"]["aws"]["at"] = "2026-01-31T12:00:00+00:00"
        assert document != unseal(entry.read_bytes()), at
        entry.write_bytes(seal(open_keyring(bakery.project), document))
        assert "base not refreshed since 2026-01-31T12:00:00+00:00" in bakery("plan", "cloud").out
        expected = "cloud: base AMI not refreshed since 2026-01-31T12:00:00+00:00\n"
        assert expected in bakery("status", "cloud").out

    def test_of_another_name_says_nothing(self, bakery: CliRunner, cloud: Cloud) -> None:
        bakery.line("cloud")
        self.refresh(bakery, cloud, "ami-b")
        bakery.edit("cloud", "debian-12-*", "debian-12-amd64-*")
        cloud.newest = "ami-c"
        bakery.line("cloud")
        assert bakery("plan", "cloud").out.splitlines()[1].split()[1] == "keep"

    def test_is_asked_for_once_by_images_that_share_it(self, bakery: CliRunner, cloud: Cloud) -> None:
        bakery.write("packer/images/more.yaml", CLOUD.replace("name: cloud", "name: more"))
        bakery.line("cloud", "more")
        cloud.asked = 0
        bakery("refresh", "cloud", "more")
        assert cloud.asked == 1
        assert [one.image for one in bakery.catalog.newest_observations().bases] == ["cloud", "more"]

    def test_that_cannot_be_looked_for_is_an_error_and_stays_known(
        self, bakery: CliRunner, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bakery.line("cloud")
        self.refresh(bakery, cloud, "ami-b")

        def fail(*_: Any) -> VendorBase:
            raise BakeryError("AWS is out of reach")

        monkeypatch.setitem(CLOUDS, "aws", replace(CLOUDS["aws"], find_base=fail))
        answer = bakery("refresh", "cloud")
        assert (answer.code, "AWS is out of reach" in answer.err) == (4, True)
        assert "base AMI ami-a -> ami-b" in bakery("plan", "cloud").out


class TestCredentials:
    @pytest.fixture(autouse=True)
    def lease(self, bakery: CliRunner, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
        bakery.edit("cloud", "regions: [eu-central-1]", "regions: [eu-central-1]\n    credentials: aws/sts/bake")

        def fields(path: str) -> dict[str, str]:
            bakery.begin(f"lease {path}")
            return {"access_key": "AKIA"}

        monkeypatch.setattr(Vault, "login", lambda _: _Opened(bakery, fields))

    def test_each_login_asks_for_its_newest_base(self, bakery: CliRunner, cloud: Cloud) -> None:
        other = (bakery.project.definitions / "cloud.yaml").read_text().replace("name: cloud", "name: more")
        bakery.write("packer/images/more.yaml", other.replace("aws/sts/bake", "aws/sts/more"))
        bakery.line("cloud", "more")
        cloud.asked = 0
        bakery("refresh", "cloud", "more")
        assert cloud.asked == 2
        assert [one.image for one in bakery.catalog.newest_observations().bases] == ["cloud", "more"]

    def test_are_leased_for_the_build_and_again_for_the_publication(self, bakery: CliRunner, cloud: Cloud) -> None:
        bakery.line("cloud")
        read = ("login", "lease aws/sts/bake", "logout")  # of the disk, before and after it is published
        assert bakery.did == [
            *("login", "logout"),  # to see that they can be had
            "login",
            "lease aws/sts/bake",
            "prepare cloud-1.0.0-x86_64",
            "build cloud at aws from ami-a",
            "logout",
            *read,
            "login",
            "lease aws/sts/bake",
            "publish cloud",
            "adopt cloud-1.0.0-x86_64",
            *read,
            "point stable at 1.0.0",
            "logout",
        ]
        assert [request.credentials for request in cloud.reads] == [{"access_key": "AKIA"}] * 2
        assert cloud.credentials == [{"access_key": "AKIA"}] * 4

    def test_of_publishing_are_not_asked_for_by_the_job_that_builds(self, bakery: CliRunner, cloud: Cloud) -> None:
        """Vault gives that job the login of builds alone."""
        bakery.edit("cloud", "aws/sts/bake", "aws/sts/publish\n    build_credentials: aws/sts/bake")
        assert bakery("bake", "cloud").code == 0
        assert {step for step in bakery.did if step.startswith("lease ")} == {"lease aws/sts/bake"}
        bakery.did.clear()
        assert bakery("publish", "cloud").code == 0
        assert {step for step in bakery.did if step.startswith("lease ")} == {"lease aws/sts/publish"}

    def test_are_given_back_when_the_build_fails(self, bakery: CliRunner, cloud: Cloud) -> None:
        bakery.broken = {"build cloud at aws from ami-a"}
        with pytest.raises(BakeryError):
            bakery.line("cloud")
        assert bakery.did[-1] == "logout"


class _Opened(SimpleNamespace):
    """A session with Vault that says when it begins and ends."""

    def __init__(self, bakery: CliRunner, fields: Any) -> None:
        super().__init__(fields=fields, bakery=bakery)

    def engines(self) -> dict[str, str]:
        return {"aws/": "aws"}

    def may_read(self, _: str) -> bool:
        return True

    def __enter__(self) -> "_Opened":
        self.bakery.begin("login")
        return self

    def __exit__(self, *_: object) -> None:
        self.bakery.begin("logout")


def test_a_record_without_bases_is_readable_and_its_base_is_unknown(bakery: CliRunner, cloud: Cloud) -> None:
    """A catalog of before."""
    bakery.line("cloud")
    for path in (bakery.project.workspace / "catalog/images/cloud/x86_64/versions/1.0.0").glob("0*.json"):
        document = unseal(path.read_bytes())
        del document["vendor_bases"]
        path.write_bytes(seal(open_keyring(bakery.project), document))
    bakery("refresh", "cloud")
    for path in (bakery.project.workspace / "catalog/observations").glob("*.json"):
        document = json.loads(path.read_text())
        assert document.pop("bases")
        path.write_text(json.dumps(document))
    assert "inputs unchanged; not refreshed; base unknown" in bakery("plan", "cloud").out
    assert "cloud: the base of 1.0.0 is unknown" in bakery("status", "cloud").out


class TestEvidence:
    """What somebody tries who may write to the folder of a build, and has no key that signs."""

    @pytest.fixture
    def folder(self, bakery: CliRunner, cloud: Cloud) -> Path:
        assert bakery("bake", "cloud").code == 0
        return bakery.project.build_folder(ImageVersion("cloud", "x86_64", "1.0.0"), "aws")

    def refuse(self, bakery: CliRunner, message: str) -> None:
        answer = bakery("publish", "cloud")
        assert (answer.code, message in answer.err) == (1, True), answer.err
        assert bakery.states("cloud") == {"1.0.0": "reserved"}
        assert "adopt cloud-1.0.0-x86_64" not in bakery.did

    def save(self, bakery: CliRunner, folder: Path, **changes: Any) -> None:
        """A signed document that is not as it should be."""
        build = replace(documents.load(RemoteBuild, folder / "build.json"), **changes)
        save_signed(build, build, folder / "build.json", open_keyring(bakery.project), "bake-public")

    def test_another_image(self, bakery: CliRunner, folder: Path) -> None:
        build = documents.load(RemoteBuild, folder / "build.json")
        documents.save(replace(build, ids={"eu-central-1": "ami-evil"}), folder / "build.json")
        self.refuse(bakery, "build.json is not the document that was signed")

    def test_no_signature(self, bakery: CliRunner, folder: Path) -> None:
        (folder / "build.dsse.json").unlink()
        self.refuse(bakery, "build.json is not signed")

    def test_another_base(self, bakery: CliRunner, folder: Path) -> None:
        self.save(bakery, folder, base="{}")
        self.refuse(bakery, "was built from another base than its reservation names")

    @pytest.mark.parametrize("changes", [{"version": "1.0.9"}, {"target": "azure"}])
    def test_another_version_or_target(self, bakery: CliRunner, folder: Path, changes: dict[str, str]) -> None:
        self.save(bakery, folder, **changes)
        self.refuse(bakery, "the folder has a document of cloud-1.0.")

    def test_other_inputs(self, bakery: CliRunner, folder: Path) -> None:
        self.save(bakery, folder, input_key="x")
        self.refuse(bakery, "was baked from other inputs than its version was reserved for")

    def test_no_checks(self, bakery: CliRunner, folder: Path) -> None:
        build = documents.load(RemoteBuild, folder / "build.json")
        verdict = replace(documents.load(Verdict, folder / "verdict.json"), checks=())
        save_signed(verdict, build, folder / "verdict.json", open_keyring(bakery.project), "bake-public")
        self.refuse(bakery, "has no verdict on every check")

    def test_no_verdict(self, bakery: CliRunner, folder: Path) -> None:
        (folder / "verdict.json").unlink()
        self.refuse(bakery, "cloud-1.0.0-x86_64 was never tested")
        assert bakery("run", "cloud").code == 0, "a run looks at the build again"
