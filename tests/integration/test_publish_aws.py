"""Publishing to the strict AWS stand-in: fresh, again, killed, throttled, refused, promoted."""

import multiprocessing
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from botocore.config import Config

from bakery.catalog import Catalog, Record, open_store
from bakery.clouds.aws import calls, consumer_tags, copies, images, parameters, session, snapshots
from bakery.clouds.aws.roles import RoleCredentials
from bakery.clouds.aws.target import AwsTarget
from bakery.clouds.definitions import Definition
from bakery.clouds.target import Target
from bakery.engine import channels
from bakery.engine.pointers import compare_pointers
from bakery.engine.publish import publish
from bakery.host import process
from bakery.host.errors import BakeryError, ConflictError, ExitCode, NotFoundError, PartialError, UsageError
from bakery.host.events import silent
from bakery.machine import qemu
from bakery.model import documents, tags
from bakery.model.baked import Baked
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Artifact, Base, Disk, Publication
from bakery.model.project import Project
from bakery.model.version import ImageVersion
from bakery.signing import Keyring
from doubles.aws.client import HOME_ACCOUNT, StandIn, running
from doubles.channels import open_channel
from doubles.disks import describe_disk

pytestmark = pytest.mark.integration

HOME, SECOND, THIRD = REGIONS = ("eu-central-1", "us-east-1", "ap-southeast-2")
CONSUMER = "210987654321"
ACCOUNTS = (HOME_ACCOUNT, CONSUMER)
MIB = 1 << 20
DISK_SIZE, DATA = 64 * MIB, 8 * MIB
NAME = "web-1.0.0-x86_64"
PARAMETER = "/bakery/web/x86_64/1.0.0"
CHANNEL = "/bakery/web/x86_64/channels/stable"
WRITES = {
    "StartSnapshot",
    "PutSnapshotBlock",
    "CompleteSnapshot",
    "RegisterImage",
    "CopyImage",
    "CopySnapshot",
    "CreateTags",
    "ModifySnapshotAttribute",
    "ModifyImageAttribute",
    "PutParameter",
    "DeleteParameter",
    "DeregisterImage",
    "DeleteSnapshot",
}


@pytest.fixture(scope="module")
def server() -> Iterator[StandIn]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")  # thousands of public images per region, each time
        with running() as double:
            yield double


@pytest.fixture
def aws(server: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> StandIn:
    """An empty cloud that the environment points at, and waits fifty times as fast as in life."""
    server.reset()
    nap = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: nap(seconds / 50))
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    return server


@pytest.fixture(scope="module")
def disks(tmp_path_factory: pytest.TempPathFactory) -> list[Disk]:
    """Two qcow2 disks, 8 MiB of noise and one block of written zeros in 64 MiB each."""
    return [_make_disk(tmp_path_factory.mktemp("disk"), seed) for seed in (1, 2)]


def _make_disk(folder: Path, seed: int) -> Disk:
    raw = folder / "disk.raw"
    with raw.open("wb") as file:
        file.truncate(DISK_SIZE)
        file.seek(5 * MIB)
        file.write(random.Random(seed).randbytes(DATA))  # noqa: S311 - noise, the same in each run
        file.write(bytes(MIB))
    process.run(["qemu-img", "convert", "-S", "0", "-O", "qcow2", raw, folder / "disk.qcow2"])
    return describe_disk(folder / "disk.qcow2")[0]


class DiskPublisher:
    """A workspace with one definition and its baked disks."""

    def __init__(self, folder: Path, disks: list[Disk]) -> None:
        self.project = Project(root=folder, definitions=folder, workspace=folder / "workspace")
        self.definition = _definition()
        self._disks = disks

    def artifact(self, version: str = "1.0.0") -> Artifact:
        """Version 1.0.N has the disk N."""
        disk = self._disks[int(version[-1])]
        folder = self.project.artifact_folder(ImageVersion("web", "x86_64", version))
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "disk.qcow2").exists():
            os.link(disk.path, folder / "disk.qcow2")
        # fmt: off
        return Artifact(
            image="web", arch="x86_64", version=version, os="debian-12", mode="vm", input_key="0123abcd", inputs={},
            base=Base("debian-12", "12.0.0", "f" * 64), disk=replace(disk, path=str(folder / "disk.qcow2")),
            commit="c0ffee", tools={}, seconds={}, created="2026-01-01T00:00:00+00:00", log="",
        )
        # fmt: on

    def publish(self, version: str = "1.0.0") -> Publication:
        artifact = self.artifact(version)
        baked = Baked(self.definition, version, artifact, {})
        (publication,) = publish(self.project, baked, {"aws": self.target()}, silent)
        return publication

    def target(self) -> Target:
        return AwsTarget(self.definition)


@pytest.fixture
def bench(tmp_path: Path, disks: list[Disk]) -> DiskPublisher:
    return DiskPublisher(tmp_path, disks)


def _definition(**aws: Any) -> ImageDefinition:
    return Definition.model_validate(
        {
            "name": "web",
            "description": "A web server",
            "os": "debian-12",
            "arch": "x86_64",
            "version": "1.0",
            "base": {"qemu": {"image": "debian-12"}},
            "targets": ("aws",),
            "distribution": {"aws": {"regions": REGIONS, "accounts": (CONSUMER,)} | aws},
            "tags": {"team": "platform", "Name": "ignored"},
        }
    )


def _images(aws: StandIn, region: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = aws.client("ec2", region).describe_images(Owners=["self"])["Images"]
    return [image for image in found if image["OwnerId"] == HOME_ACCOUNT]


def _snapshots(aws: StandIn, region: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = aws.client("ec2", region).describe_snapshots(OwnerIds=["self"])["Snapshots"]
    return found


def _tags(resource: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in resource["Tags"]}


def _pointers(aws: StandIn, name: str) -> dict[tuple[str, str], str]:
    """The values of a parameter, by account and region, where it exists."""
    found = {}
    for account in ACCOUNTS:
        for region in REGIONS:
            for parameter in aws.client("ssm", region, account).get_parameters(Names=[name])["Parameters"]:
                found[account, region] = parameter["Value"]
    return found


def _writes(aws: StandIn) -> Counter[str]:
    return Counter(action for action in aws.actions() if action in WRITES)


def _tagging_accounts(aws: StandIn) -> Counter[str]:
    """The number of calls that tagged, by account."""
    return Counter(call["account"] for call in aws.control("GET", "calls") if call["action"] == "CreateTags")


def _consumer_tags(aws: StandIn, account: str = CONSUMER) -> list[dict[str, str]]:
    """The tags that an account sees on the image of each region."""
    clients = [aws.client("ec2", region, account) for region in REGIONS]
    return [_tags(ec2.describe_images(ExecutableUsers=["self"])["Images"][0]) for ec2 in clients]


def _assert_whole(aws: StandIn, publication: Publication) -> None:
    """Exactly one image on exactly one snapshot per region, nothing orphaned, and every pointer right."""
    ids = {}
    for region in REGIONS:
        (image,), (snapshot,) = _images(aws, region), _snapshots(aws, region)
        assert (image["Name"], image["State"], snapshot["State"]) == (NAME, "available", "completed")
        assert images.snapshot_of(cast(Any, image)) == snapshot["SnapshotId"]
        ids[region] = image["ImageId"]
    assert {(location.account, location.region, location.id) for location in publication.locations} == {
        (account, region, ids[region]) for account in ACCOUNTS for region in REGIONS
    }
    assert _pointers(aws, PARAMETER) == {(account, region): ids[region] for account in ACCOUNTS for region in REGIONS}


def test_fresh(aws: StandIn, bench: DiskPublisher) -> None:
    publication = bench.publish()
    _assert_whole(aws, publication)
    (image,) = _images(aws, HOME)
    expected = {"BootMode": "uefi", "EnaSupport": True, "ImdsSupport": "v2.0", "Architecture": "x86_64"}
    assert {key: image[key] for key in expected} == expected
    assert image["BlockDeviceMappings"][0]["Ebs"]["VolumeType"] == "gp3"
    artifact = bench.artifact()
    for region in REGIONS:
        for resource in (*_images(aws, region), *_snapshots(aws, region)):
            assert _tags(resource) == {
                "team": "platform",
                "Name": NAME,
                "bakery:image": "web",
                "bakery:version": "1.0.0",
                "bakery:arch": "x86_64",
                "bakery:os": "debian-12",
                "bakery:base": "debian-12 12.0.0",
                "bakery:input-key": "0123abcd",
                "bakery:commit": "c0ffee",
                "bakery:sha256": artifact.disk.sha256,
                "bakery:raw-sha256": artifact.disk.raw_sha256,
            }
        shared = aws.client("ec2", region, CONSUMER).describe_images(ExecutableUsers=["self"])["Images"]
        assert [image["Name"] for image in shared] == [NAME]
    assert _tagging_accounts(aws) == Counter({CONSUMER: len(REGIONS)})  # the own ones are tagged by what makes them
    assert aws.actions().count("PutSnapshotBlock") == DATA // snapshots.BLOCK  # neither holes nor zeros
    assert {pointer.number for pointer in publication.pointers} == {1}
    assert set(publication.seconds) == {"upload", "register", "regions"}


def test_the_snapshot_holds_the_disk(aws: StandIn, bench: DiskPublisher, disks: list[Disk]) -> None:
    snapshot = bench.publish().locations[0].snapshot
    ebs = aws.client("ebs", HOME)
    content = bytearray(DISK_SIZE)
    for block in ebs.list_snapshot_blocks(SnapshotId=snapshot)["Blocks"]:
        index = block["BlockIndex"]
        data = ebs.get_snapshot_block(SnapshotId=snapshot, BlockIndex=index, BlockToken=block["BlockToken"])
        content[index * snapshots.BLOCK : (index + 1) * snapshots.BLOCK] = data["BlockData"].read()
    assert content == Path(disks[0].path).with_name("disk.raw").read_bytes()


def test_again_writes_nothing(aws: StandIn, bench: DiskPublisher) -> None:
    first = bench.publish()
    before = _writes(aws)
    assert bench.publish() == first  # with the seconds of the run that did the work
    assert _writes(aws) == before


def test_again_repairs_tags_and_shares(aws: StandIn, bench: DiskPublisher) -> None:
    first = bench.publish()
    ec2, location = aws.client("ec2", SECOND), first.locations[1]
    ec2.delete_tags(Resources=[location.id, location.snapshot], Tags=[{"Key": "bakery:version"}])
    ec2.modify_image_attribute(
        ImageId=location.id, Attribute="launchPermission", OperationType="remove", UserIds=[CONSUMER]
    )
    wrong = [finding for finding in bench.target().inspect(first) if finding.status != "correct"]
    assert [(finding.location.split(" ", 2)[2], finding.status) for finding in wrong] == [
        ("tags", "incorrect"),
        ("snapshot tags", "incorrect"),
        ("launch permissions", "incorrect"),
    ]
    bench.publish()
    assert all(finding.status == "correct" for finding in bench.target().inspect(first))


class TestConsumerTags:
    """Consumer accounts do not see the tags of the owner, and get their own."""

    def test_they_are_those_of_the_bakery(self, aws: StandIn, bench: DiskPublisher) -> None:
        """A tag of the definition could give rights in the consumer's account."""
        bench.publish()
        [image] = _images(aws, HOME)
        expected = {key: value for key, value in _tags(image).items() if key != "team"}
        assert expected["bakery:version"] == "1.0.0"
        assert _consumer_tags(aws) == [expected] * len(REGIONS)

    def test_one_look_for_each_location_and_no_write_where_they_are_right(
        self, aws: StandIn, bench: DiskPublisher
    ) -> None:
        publication = bench.publish()
        for act in (bench.publish, lambda: bench.target().inspect(publication)):
            before = aws.control("GET", "calls")
            act()
            calls = aws.control("GET", "calls")[len(before) :]
            looks = Counter(
                call["region"] for call in calls if call["account"] == CONSUMER and call["service"] == "ec2"
            )
            assert looks == dict.fromkeys(REGIONS, 1)
            assert "CreateTags" not in [call["action"] for call in calls]

    @pytest.mark.parametrize("distributes", [False, True])
    def test_what_is_wrong_is_found_and_repaired(
        self, aws: StandIn, bench: DiskPublisher, *, distributes: bool
    ) -> None:
        publication, right = bench.publish(), _consumer_tags(aws)
        location = next(one for one in publication.locations if one.account == CONSUMER and one.region == SECOND)
        ec2 = aws.client("ec2", SECOND, CONSUMER)
        ec2.delete_tags(Resources=[location.id], Tags=[{"Key": "bakery:version"}])
        ec2.create_tags(Resources=[location.id], Tags=[{"Key": "cost-center", "Value": "7"}])
        wrong = [finding for finding in bench.target().inspect(publication) if finding.status != "correct"]
        assert [(one.location, one.status, one.detail) for one in wrong] == [
            (f"{CONSUMER}/{SECOND} {location.id} tags", "incorrect", "bakery:version is not set, expected 1.0.0")
        ]
        before = _tagging_accounts(aws)[CONSUMER]
        if distributes:
            bench.target().distribute(publication, tags.of_artifact(bench.definition, bench.artifact()), silent)
        else:
            bench.publish()
        assert _tagging_accounts(aws)[CONSUMER] == before + 1
        right[1]["cost-center"] = "7"  # the tags of somebody else stay
        assert _consumer_tags(aws) == right
        assert all(finding.status == "correct" for finding in bench.target().inspect(publication))

    def test_an_account_that_denies_keeps_the_others(self, aws: StandIn, bench: DiskPublisher) -> None:
        """Its image is shared with it and its parameter written: only its tags are missing."""
        aws.fault("ec2", "CreateTags", account=CONSUMER, region=SECOND, error="UnauthorizedOperation", status=403)
        with pytest.raises(PartialError) as caught:
            bench.publish()
        assert caught.value.message == f"cannot publish in {CONSUMER}/{SECOND}; done in {HOME}, {THIRD}"
        assert f"the role bakery-tagger lacks a right: the stack 'consumer-{CONSUMER}' gives it" in caught.value.detail
        assert len(_pointers(aws, PARAMETER)) == len(ACCOUNTS) * len(REGIONS)
        assert [bool(found) for found in _consumer_tags(aws)] == [True, False, True]
        _assert_whole(aws, bench.publish())
        assert all(_consumer_tags(aws))

    def test_an_account_without_the_role_keeps_the_others(self, aws: StandIn, bench: DiskPublisher) -> None:
        policy = {"Effect": "Allow", "Action": ["ec2:*", "ebs:*", "ssm:*"], "Resource": "*"}
        publisher = f"arn:aws:iam::{HOME_ACCOUNT}:role/publisher"
        assume = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*/bakery-publisher"}
        aws.control("POST", "policies", {publisher: {"Statement": [policy, assume]}})
        keys = aws.client("sts").assume_role(RoleArn=publisher, RoleSessionName="test")["Credentials"]
        lease = {"access_key": keys["AccessKeyId"], "secret_key": keys["SecretAccessKey"]}
        target = AwsTarget(bench.definition, {**lease, "security_token": keys["SessionToken"]})
        expected = tags.of_artifact(bench.definition, bench.artifact())
        publication = bench.publish()
        with pytest.raises(PartialError) as caught:
            target.distribute(publication, expected, silent)
        assert caught.value.message == f"cannot publish in {CONSUMER}; done in {', '.join(REGIONS)}"
        assert f"create the role bakery-tagger in account {CONSUMER} (bakery apply consumer-{CONSUMER})" in (
            f"{caught.value.hint} {caught.value.detail}"
        )
        wrong = [finding for finding in target.inspect(publication) if finding.status != "correct"]
        assert [(one.location, one.status) for one in wrong] == [(CONSUMER, "unreachable")]

    def test_an_account_that_sees_the_image_later(
        self, aws: StandIn, bench: DiskPublisher, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looks, look = Counter[str](), consumer_tags.look

        def look_too_early(ec2: Any, image_id: str, where: str) -> Any:
            looks[where] += 1
            return look(ec2, image_id, where) if looks[where] > 2 else None

        monkeypatch.setattr(consumer_tags, "look", look_too_early)
        bench.publish()
        assert set(looks.values()) == {3}
        assert all(_consumer_tags(aws))

    def test_an_account_that_never_sees_the_image(
        self, aws: StandIn, bench: DiskPublisher, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        publication = bench.publish()
        monkeypatch.setattr(images, "share_image", lambda *_: None)
        monkeypatch.setattr(consumer_tags, "VISIBLE_SECONDS", 0.5)
        location = publication.locations[0]
        aws.client("ec2", HOME).modify_image_attribute(
            ImageId=location.id, Attribute="launchPermission", OperationType="remove", UserIds=[CONSUMER]
        )
        with pytest.raises(PartialError) as caught:
            bench.publish()
        assert f"cannot publish in {CONSUMER}/{HOME}; done in" in caught.value.message
        assert f"{CONSUMER}/{HOME} does not see {location.id}, which is shared with it" in caught.value.detail
        wrong = [one for one in bench.target().inspect(publication) if one.status != "correct"]
        assert [one.detail for one in wrong] == [f"not shared with {CONSUMER}"]


def test_killed_at_every_step(aws: StandIn, bench: DiskPublisher) -> None:
    steps = [
        ("ebs", "PutSnapshotBlock", HOME),  # in the middle of the upload
        ("ec2", "RegisterImage", HOME),  # after the snapshot
        ("ec2", "CopyImage", None),  # after registering
        ("ec2", "CopyImage", THIRD),  # after one of two copies
        ("ec2", "ModifyImageAttribute", SECOND),  # in the middle of sharing
        ("ssm", "PutParameter", None),  # before the parameters
        ("ssm", "PutParameter", THIRD),  # after some of the parameters
    ]
    for service, action, region in steps:
        seen = aws.actions().count(action)
        aws.fault(service, action, kind="reset", region=region, times=1000)
        _kill_when(bench.publish, lambda: aws.actions().count(action) > seen + 2)  # noqa: B023 - called in this turn
        aws.control("DELETE", "faults")
        assert all(len(_images(aws, region)) <= 1 for region in REGIONS)
    _assert_whole(aws, bench.publish())
    assert aws.actions().count("StartSnapshot") == 1  # the second run went on with what was half uploaded


def _kill_when(work: Callable[[], object], reached: Callable[[], bool]) -> None:
    """Run `work` in a process of its own and kill it, without any clean-up, once it got far enough."""
    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    while not reached():
        assert child.is_alive(), "it ended before it could be killed"
        time.sleep(1)
    child.kill()
    child.join()


def test_two_runs_at_once(aws: StandIn, tmp_path: Path, disks: list[Disk], monkeypatch: pytest.MonkeyPatch) -> None:
    """On two machines, where no lock file helps. The slower one takes up what the other made, or says so and fails."""
    for module in (calls, snapshots):
        monkeypatch.setattr(module, "VISIBLE_SECONDS", 1.0)
    benches = [DiskPublisher(tmp_path / name, disks) for name in ("one", "two")]
    runs = [multiprocessing.get_context("fork").Process(target=bench.publish) for bench in benches]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert 0 in [run.exitcode for run in runs]
    _assert_whole(aws, benches[0].publish())


def test_throttling_is_survived(aws: StandIn, bench: DiskPublisher) -> None:
    for action in ("RegisterImage", "CopyImage", "DescribeImages", "ModifySnapshotAttribute"):
        aws.fault("ec2", action, error="RequestLimitExceeded", status=503, times=6)
    aws.fault("ebs", "PutSnapshotBlock", error="RequestThrottledException", status=400, times=20)
    aws.fault("ssm", "PutParameter", error="ThrottlingException", status=400, times=12)
    _assert_whole(aws, bench.publish())


def test_lost_answers_make_nothing_twice(aws: StandIn, bench: DiskPublisher) -> None:
    for action in ("StartSnapshot", "PutSnapshotBlock", "CompleteSnapshot"):
        aws.fault("ebs", action, kind="after")
    for action, times in (("RegisterImage", 1), ("CopyImage", 2), ("ModifyImageAttribute", 3)):
        aws.fault("ec2", action, kind="after", times=times)
    aws.fault("ssm", "PutParameter", kind="after", times=6)
    _assert_whole(aws, bench.publish())
    assert aws.actions().count("CopyImage") == 4


def test_busy_copies_are_tried_again(aws: StandIn, bench: DiskPublisher) -> None:
    aws.fault("ec2", "CopyImage", region=SECOND, error="ResourceLimitExceeded", status=400, times=3)
    _assert_whole(aws, bench.publish())


def test_a_failed_copy_is_made_again_once(aws: StandIn, bench: DiskPublisher, monkeypatch: pytest.MonkeyPatch) -> None:
    _before(monkeypatch, snapshots, "remove_unused", lambda: aws.settings(image_outcome="failed"))
    _before(monkeypatch, images, "remove", lambda: aws.settings(image_outcome="available"))
    _assert_whole(aws, bench.publish())
    assert aws.actions().count("CopyImage") == 4


def test_copies_that_keep_failing(aws: StandIn, bench: DiskPublisher, monkeypatch: pytest.MonkeyPatch) -> None:
    _before(monkeypatch, snapshots, "remove_unused", lambda: aws.settings(image_outcome="failed"))
    with pytest.raises(PartialError) as caught:
        bench.publish()
    assert caught.value.message == f"cannot publish in {SECOND}, {THIRD}; done in {HOME}"
    assert {region for _, region in _pointers(aws, PARAMETER)} == {HOME}
    monkeypatch.undo()


def test_one_region_down_keeps_the_others(aws: StandIn, bench: DiskPublisher) -> None:
    aws.fault("ec2", "CopyImage", region=THIRD, error="UnauthorizedOperation", status=403)
    with pytest.raises(PartialError) as caught:
        bench.publish()
    assert caught.value.message == f"cannot publish in {THIRD}; done in {HOME}, {SECOND}"
    assert {region for _, region in _pointers(aws, PARAMETER)} == {HOME, SECOND}
    _assert_whole(aws, bench.publish())
    assert aws.actions().count("CopyImage") == 3


def test_a_copy_that_never_ends_keeps_the_others(
    aws: StandIn, bench: DiskPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = copies.Copy.look
    monkeypatch.setattr(copies, "COPY_SECONDS", 1.0)
    monkeypatch.setattr(copies.Copy, "look", lambda self: None if self.region == THIRD else look(self))
    with pytest.raises(PartialError) as caught:
        bench.publish()
    assert caught.value.message == f"cannot publish in {THIRD}; done in {HOME}, {SECOND}"
    assert "the copy is not available after" in caught.value.detail
    assert caught.value.exit_code == ExitCode.PARTIAL
    monkeypatch.setattr(copies.Copy, "look", look)
    monkeypatch.setattr(copies, "COPY_SECONDS", 60.0)
    _assert_whole(aws, bench.publish())


def test_a_region_that_never_answers_keeps_the_others(
    aws: StandIn, bench: DiskPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither its images nor its parameters; the calls end when their time is up."""
    patient = Config(retries={"mode": "standard", "total_max_attempts": 2}, read_timeout=0.5)
    monkeypatch.setattr(session, "CONFIG", calls.CONFIG.merge(patient))
    for service, action in (("ec2", "DescribeImages"), ("ssm", "GetParameters")):
        aws.fault(service, action, region=THIRD, kind="slow", seconds=60, times=1000)
    with pytest.raises(PartialError) as caught:
        bench.publish()
    assert caught.value.message == f"cannot publish in {THIRD}; done in {HOME}, {SECOND}"
    assert caught.value.exit_code == ExitCode.PARTIAL
    aws.control("DELETE", "faults")
    monkeypatch.setattr(session, "CONFIG", calls.CONFIG)
    _assert_whole(aws, bench.publish())


def test_an_account_that_denies_keeps_the_others(aws: StandIn, bench: DiskPublisher) -> None:
    """Its images are shared with it, as the definition says, and its parameters follow when it lets us in."""
    bench.definition = _definition(accounts=(CONSUMER, "310987654321"))
    aws.fault("sts", "AssumeRole", account=HOME_ACCOUNT, error="AccessDenied", status=403)
    with pytest.raises(PartialError) as caught:
        bench.publish()
    [denied] = {CONSUMER, "310987654321"} & set(caught.value.message.replace(";", " ").split())
    assert caught.value.message == f"cannot publish in {denied}; done in {', '.join(REGIONS)}"
    assert f"create the role bakery-publisher in account {denied}" in caught.value.detail
    assert caught.value.exit_code == ExitCode.PARTIAL
    pointers = bench.publish().pointers
    assert len(pointers) == 3 * len(REGIONS)
    assert {pointer.number for pointer in pointers} == {1}


def test_an_image_that_failed_to_register_is_made_anew(aws: StandIn, bench: DiskPublisher) -> None:
    aws.settings(image_outcome="failed")
    with pytest.raises(BakeryError, match="is failed"):
        bench.publish()
    aws.settings(image_outcome="available")
    _assert_whole(aws, bench.publish())


def _before(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, act: Callable[[], None]) -> None:
    real = getattr(module, name)

    def wrapped(*arguments: Any, **options: Any) -> Any:
        act()
        return real(*arguments, **options)

    monkeypatch.setattr(module, name, wrapped)


def test_a_consumer_without_the_role_stops_all(aws: StandIn, bench: DiskPublisher) -> None:
    aws.fault("sts", "AssumeRole", error="AccessDenied", status=403)
    with pytest.raises(BakeryError, match=f"{CONSUMER}:role/bakery-publisher") as caught:
        bench.publish()
    assert caught.value.hint.startswith(f"create the role bakery-publisher in account {CONSUMER}")
    assert not _writes(aws)


def test_an_image_that_is_not_shared_is_never_pointed_at(
    aws: StandIn, bench: DiskPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "share_image", lambda *_: None)
    monkeypatch.setattr(parameters, "LIVE_SECONDS", 1.0)
    monkeypatch.setattr(consumer_tags, "VISIBLE_SECONDS", 0.5)
    with pytest.raises(BakeryError) as caught:
        bench.publish()
    assert "ec2:DescribeImages" in caught.value.hint
    assert {account for account, _ in _pointers(aws, PARAMETER)} == {HOME_ACCOUNT}


def test_a_text_parameter_is_refused_before_anything_is_made(aws: StandIn, bench: DiskPublisher) -> None:
    aws.client("ssm", THIRD, CONSUMER).put_parameter(Name=PARAMETER, Value="ami-1", Type="String")
    before = _writes(aws)
    with pytest.raises(BakeryError, match="data type text, which cannot be changed") as caught:
        bench.publish()
    assert caught.value.where == f"{CONSUMER}/{THIRD}"
    assert _writes(aws) == before


def test_a_parameter_of_another_image_is_never_overwritten(aws: StandIn, bench: DiskPublisher) -> None:
    first = bench.publish("1.0.1")
    location = first.locations[0]
    ssm = aws.client("ssm", HOME)
    typed = {"Type": "String", "DataType": "aws:ec2:image"}
    ssm.put_parameter(Name=PARAMETER, Value=location.id, **typed)
    with pytest.raises(PartialError) as caught:
        bench.publish("1.0.0")
    assert caught.value.message == f"cannot publish in {HOME_ACCOUNT}/{HOME}; done in {SECOND}, {THIRD}"
    assert "belongs to another image" in caught.value.detail
    pointers = _pointers(aws, PARAMETER)
    assert pointers.pop((HOME_ACCOUNT, HOME)) == location.id
    assert len(pointers) == len(ACCOUNTS) * len(REGIONS) - 1


def test_an_image_of_somebody_else_is_never_touched(aws: StandIn, bench: DiskPublisher) -> None:
    other = bench.publish("1.0.1").locations[0].snapshot
    device = {"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": other}}
    aws.client("ec2", HOME).register_image(Name=NAME, RootDeviceName="/dev/xvda", BlockDeviceMappings=[device])
    before = _writes(aws)
    with pytest.raises(ConflictError, match="was not made from this disk"):
        bench.publish("1.0.0")
    assert _writes(aws) == before


def test_an_unknown_region_is_found_before_any_call(aws: StandIn, bench: DiskPublisher) -> None:
    bench.definition = _definition(regions=("eu-central-1", "us-eastt-1"))
    with pytest.raises(UsageError, match="no AWS region 'us-eastt-1'") as caught:
        bench.publish()
    assert caught.value.hint == "did you mean 'us-east-1'?"
    assert not aws.actions()


def test_no_credentials(aws: StandIn, bench: DiskPublisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(BakeryError, match="cannot log in to AWS") as caught:
        bench.publish()
    assert "AWS_ACCESS_KEY_ID" in caught.value.hint
    assert not aws.actions()


def test_expired_credentials(aws: StandIn, bench: DiskPublisher) -> None:
    aws.fault("sts", "GetCallerIdentity", error="ExpiredToken", status=403)
    with pytest.raises(BakeryError, match="cannot log in to AWS") as caught:
        bench.publish()
    assert "expired" in caught.value.hint
    assert not _writes(aws)


def test_nobody_answers(aws: StandIn, bench: DiskPublisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{qemu.free_port()}")
    with pytest.raises(BakeryError, match="cannot log in to AWS") as caught:
        bench.publish()
    assert "AWS_ENDPOINT_URL" in caught.value.hint


def test_a_disk_that_changed_is_refused(aws: StandIn, bench: DiskPublisher) -> None:
    artifact = bench.artifact()
    disk = Path(artifact.disk.path)
    data = bytearray(disk.read_bytes())
    data[-1] ^= 1
    disk.unlink()  # it is a link to the disk of the other tests
    disk.write_bytes(data)
    with pytest.raises(BakeryError, match="changed after it was tested"):
        bench.publish()
    assert not aws.actions()


def test_content_that_is_not_what_was_baked_leaves_no_snapshot(
    aws: StandIn, bench: DiskPublisher, disks: list[Disk]
) -> None:
    bench._disks = [replace(disks[0], blocks="0" * 64)]
    with pytest.raises(BakeryError, match="changed since it was baked"):
        bench.publish()
    assert not _snapshots(aws, HOME)


def test_encrypted(aws: StandIn, bench: DiskPublisher) -> None:
    for region in REGIONS:
        kms = aws.client("kms", region)
        kms.create_alias(AliasName="alias/bakery", TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])
    bench.definition = _definition(kms_alias="alias/bakery")
    _assert_whole(aws, bench.publish())
    assert all(snapshot["Encrypted"] for region in REGIONS for snapshot in _snapshots(aws, region))
    before = _writes(aws)
    bench.publish()
    assert _writes(aws) == before


def test_a_key_that_a_region_lacks_is_named_before_the_upload(aws: StandIn, bench: DiskPublisher) -> None:
    kms = aws.client("kms", HOME)
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/bakery", TargetKeyId=key)
    bench.definition = _definition(kms_alias="bakery")
    others = ", ".join(region for region in REGIONS if region != HOME)
    with pytest.raises(BakeryError, match=f"cannot encrypt with alias/bakery in {others}") as caught:
        bench.publish()
    assert "there is no KMS key alias/bakery" in caught.value.detail
    kms.disable_key(KeyId=key)
    bench.definition = _definition(kms_alias="alias/bakery", regions=(HOME,))
    with pytest.raises(BakeryError, match="the KMS key alias/bakery is in the state Disabled"):
        bench.publish()
    assert not _snapshots(aws, HOME)


def _record(catalog: Catalog, publication: Publication) -> Record:
    reserved = catalog.reserve("web", "x86_64", "1.0", publication.version, {}, "builder", "bake-private")
    assert reserved.version == publication.version
    return catalog.revise(
        replace(reserved, state="complete", sha256=publication.sha256, publications=(publication,)), "published"
    )


def _values(publication: Publication) -> dict[tuple[str, str], str]:
    return {(location.account, location.region): location.id for location in publication.locations}


def test_channels(aws: StandIn, bench: DiskPublisher, tmp_path: Path) -> None:
    aws.client("s3", "us-east-1").create_bucket(Bucket="catalog")
    catalog = Catalog(open_store("s3://catalog/images"), Keyring(tmp_path / "keys", {}))
    old, new = bench.publish("1.0.0"), bench.publish("1.0.1")
    first, second = _record(catalog, old), _record(catalog, new)
    targets = {"aws": bench.target()}

    # The first step fails in one place: nothing points anywhere.
    aws.fault("ssm", "PutParameter", region=THIRD, account=CONSUMER, error="AccessDeniedException", status=400)
    with pytest.raises(BakeryError, match=f"cannot write {CHANNEL}"):
        channels.promote(open_channel(catalog, targets, "stable"), first, "", is_new=True)
    assert _pointers(aws, CHANNEL) == {}
    assert catalog.channel("web", "x86_64", "stable") is None

    entry = channels.promote(open_channel(catalog, targets, "stable"), first, "", is_new=True)
    assert _pointers(aws, CHANNEL) == _values(old)
    assert {pointer.name for pointer in entry.pointers} == {CHANNEL}
    before = _writes(aws)
    assert channels.promote(open_channel(catalog, targets, "stable"), first, "", is_new=True) == entry
    assert _writes(aws) == before

    # A later step fails in the third region: all keep, or get back, what they had.
    aws.fault("ssm", "PutParameter", region=THIRD, account=HOME_ACCOUNT, error="AccessDeniedException", status=400)
    with pytest.raises(BakeryError, match=f"cannot write {CHANNEL}") as caught:
        channels.promote(open_channel(catalog, targets, "stable"), second, "", is_new=True)
    assert "aws: restored to 1.0.0" in caught.value.detail
    assert _pointers(aws, CHANNEL) == _values(old)
    assert catalog.channel("web", "x86_64", "stable") == entry

    channels.promote(open_channel(catalog, targets, "stable"), second, "", is_new=True)
    assert _pointers(aws, CHANNEL) == _values(new)
    assert channels.rollback(open_channel(catalog, targets), "").version == "1.0.0"
    assert _pointers(aws, CHANNEL) == _values(old)
    steps = [step.version for step in catalog.history("web", "x86_64", "stable")]
    assert steps == ["1.0.0", "1.0.1", "1.0.0"]


def test_a_text_parameter_of_a_channel(aws: StandIn, bench: DiskPublisher, tmp_path: Path) -> None:
    """It is named with the way out, which replaces it, also after a run that was killed while it did so."""
    catalog = Catalog(open_store(str(tmp_path / "catalog")), Keyring(tmp_path / "keys", {}))
    publication = bench.publish()
    record = _record(catalog, publication)
    ssm = aws.client("ssm", THIRD, CONSUMER)
    ssm.put_parameter(Name=CHANNEL, Value="ami-1", Type="String")
    channel = open_channel(catalog, {"aws": bench.target()}, "stable")
    with pytest.raises(ConflictError) as caught:
        channels.promote(channel, record, "", is_new=True)
    assert f"{CONSUMER}/{THIRD}: {CHANNEL} is ami-1 (data type text), expected none" in caught.value.detail
    assert "bakery promote web VERSION stable --overwrite" in caught.value.hint
    assert _pointers(aws, CHANNEL) == {(CONSUMER, THIRD): "ami-1"}

    child = multiprocessing.get_context("fork").Process(
        target=channels.promote, args=(channel, record, ""), kwargs={"is_new": True, "overwrite": True}
    )
    aws.fault("ssm", "PutParameter", region=THIRD, account=CONSUMER, kind="slow", seconds=5)
    before = aws.actions().count("PutParameter")
    child.start()
    while aws.actions().count("PutParameter") < before + len(ACCOUNTS) * len(REGIONS):
        assert child.is_alive()
    child.kill()
    child.join()
    channels.promote(channel, record, "", is_new=True, overwrite=True)
    assert _pointers(aws, CHANNEL) == _values(publication)
    [parameter] = ssm.get_parameters(Names=[CHANNEL])["Parameters"]
    assert parameter["DataType"] == "aws:ec2:image"


def test_an_audit_repairs_a_text_parameter_of_a_channel(aws: StandIn, bench: DiskPublisher, tmp_path: Path) -> None:
    catalog = Catalog(open_store(str(tmp_path / "catalog")), Keyring(tmp_path / "keys", {}))
    publication = bench.publish()
    channel = open_channel(catalog, {"aws": bench.target()}, "stable")
    channels.promote(channel, _record(catalog, publication), "", is_new=True)
    ssm = aws.client("ssm", SECOND)
    ssm.delete_parameter(Name=CHANNEL)
    ssm.put_parameter(Name=CHANNEL, Value=_values(publication)[HOME_ACCOUNT, SECOND], Type="String")
    [wrong] = [finding for _, finding in compare_pointers(channel) if finding.status != "correct"]
    assert (wrong.location, wrong.status) == (f"{HOME_ACCOUNT}/{SECOND}", "incorrect")
    assert "(data type text)" in wrong.detail
    channels.repair_pointers(channel)
    assert all(finding.status == "correct" for _, finding in compare_pointers(channel))
    assert _pointers(aws, CHANNEL) == _values(publication)


def test_a_version_that_lost_an_image_is_not_promoted(aws: StandIn, bench: DiskPublisher, tmp_path: Path) -> None:
    catalog = Catalog(open_store(str(tmp_path / "catalog")), Keyring(tmp_path / "keys", {}))
    publication = bench.publish()
    record = _record(catalog, publication)
    targets = {"aws": bench.target()}
    entry = channels.promote(open_channel(catalog, targets, "stable"), record, "", is_new=True)
    assert catalog.channel("web", "x86_64", "stable") == entry
    aws.client("ec2", SECOND).deregister_image(ImageId=publication.locations[1].id)
    with pytest.raises(BakeryError, match="cannot be used everywhere") as caught:
        channels.promote(open_channel(catalog, targets, "next"), record, "", is_new=True)
    assert f"{HOME_ACCOUNT}/{SECOND} {publication.locations[1].id}: missing" in caught.value.detail
    assert _pointers(aws, CHANNEL.replace("stable", "next")) == {}


def test_the_publication_is_kept(aws: StandIn, bench: DiskPublisher) -> None:
    publication = bench.publish()
    folder = bench.project.artifact_folder(ImageVersion("web", "x86_64", "1.0.0"))
    assert documents.load(Publication, folder / "publication-aws.json") == publication


class TestDistribution:
    """A published version goes where it is wanted without its disk, and is taken back from where it is not."""

    def _distribute(self, bench: DiskPublisher, publication: Publication) -> Publication:
        expected = tags.of_artifact(bench.definition, bench.artifact())
        return bench.target().distribute(publication, expected, silent)

    def test_more_regions_and_accounts(self, aws: StandIn, bench: DiskPublisher) -> None:
        bench.definition = _definition(regions=(HOME,), accounts=())
        first = bench.publish()
        uploads = aws.actions().count("PutSnapshotBlock")
        bench.definition = _definition()
        _assert_whole(aws, self._distribute(bench, first))
        assert aws.actions().count("PutSnapshotBlock") == uploads

    def test_another_first_region(self, aws: StandIn, bench: DiskPublisher) -> None:
        """The copies come from the region that has the image."""
        bench.definition = _definition(regions=(THIRD,))
        first = bench.publish()
        bench.definition = _definition()
        _assert_whole(aws, self._distribute(bench, first))

    def test_again_writes_nothing(self, aws: StandIn, bench: DiskPublisher) -> None:
        first = bench.publish()
        before = _writes(aws)
        assert replace(self._distribute(bench, first), seconds=first.seconds) == first
        assert _writes(aws) == before

    @pytest.mark.parametrize("region", REGIONS)
    def test_an_image_that_is_gone_is_made_again(self, aws: StandIn, bench: DiskPublisher, region: str) -> None:
        """The parameter of the version names the new one, everywhere."""
        first = bench.publish()
        (gone,) = [location for location in first.locations if location.owned and location.region == region]
        aws.client("ec2", region).deregister_image(ImageId=gone.id)
        aws.client("ec2", region).delete_snapshot(SnapshotId=gone.snapshot)
        repaired = self._distribute(bench, first)
        _assert_whole(aws, repaired)
        assert gone.id not in {location.id for location in repaired.locations}
        before = _writes(aws)
        self._distribute(bench, repaired)
        assert _writes(aws) == before

    def test_no_image_is_left(self, aws: StandIn, bench: DiskPublisher) -> None:
        first = bench.publish()
        for location in first.locations:
            if location.owned:
                aws.client("ec2", location.region).deregister_image(ImageId=location.id)
        with pytest.raises(NotFoundError, match=f"no image of {NAME} can be used") as caught:
            self._distribute(bench, first)
        assert "'bakery run --rebuild web'" in caught.value.hint

    def test_the_image_of_somebody_else_is_no_source(self, aws: StandIn, bench: DiskPublisher) -> None:
        """Not even with the tags of the version: it is a copy of an image that no record names."""
        first = bench.publish()
        for location in first.locations[1:3]:
            aws.client("ec2", location.region).deregister_image(ImageId=location.id)
        ec2 = aws.client("ec2", SECOND)
        root = {"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": first.locations[2].snapshot}}
        other = aws.client("ec2", THIRD).register_image(
            Name="evil", RootDeviceName="/dev/xvda", BlockDeviceMappings=[root]
        )["ImageId"]
        images.wait_available(cast(Any, aws.client("ec2", THIRD)), other)
        made_tags = [{"Key": key, "Value": value} for key, value in tags.of_publication(first).items()]
        copy = ec2.copy_image(
            Name=NAME,
            SourceImageId=other,
            SourceRegion=THIRD,
            TagSpecifications=[{"ResourceType": kind, "Tags": made_tags} for kind in ("image", "snapshot")],
        )["ImageId"]
        images.wait_available(cast(Any, ec2), copy)
        aws.client("ec2", HOME).deregister_image(ImageId=first.locations[0].id)
        with pytest.raises(ConflictError, match=f"{copy} but was not made from this disk"):
            self._distribute(bench, first)

    def test_withdrawn_from_an_account(self, aws: StandIn, bench: DiskPublisher) -> None:
        first = bench.publish()
        consumers = [location for location in first.locations if not location.owned]
        for _ in range(2):
            bench.target().withdraw(first, consumers, silent)
            for region in REGIONS:
                assert aws.client("ec2", region, CONSUMER).describe_images(ExecutableUsers=["self"])["Images"] == []
        for location in first.locations:
            if location.owned:
                ec2 = aws.client("ec2", location.region)
                answer = ec2.describe_snapshot_attribute(
                    SnapshotId=location.snapshot, Attribute="createVolumePermission"
                )
                assert answer["CreateVolumePermissions"] == []


def _once(act: Callable[[], None]) -> Callable[[], None]:
    """Does it when the first thread comes by; the others wait for that."""
    lock = threading.Lock()
    acts = [act]

    def act_once() -> None:
        with lock:
            if acts:
                acts.pop()()

    return act_once


def _note_errors(errors: list[object], response: Any) -> None:
    """Keeps the errors that AWS answered."""
    if response and "Error" in response[1]:
        errors.append(response[1]["Error"])


class TestSessions:
    """Sessions of roles last an hour."""

    def test_a_role_is_assumed_once(self, aws: StandIn, bench: DiskPublisher) -> None:
        publication, target = bench.publish(), bench.target()
        locations = [location.location for location in publication.locations]
        before = aws.actions().count("AssumeRole")
        for _ in range(3):
            target.inspect(publication)
            target.read_channel(publication, "stable", locations)
        assert aws.actions().count("AssumeRole") == before + 2  # the publisher and the tagger

    def test_it_is_renewed_before_its_end(
        self, aws: StandIn, bench: DiskPublisher, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Copies that take longer than it lasts: the parameters are written in a new one, and no call is refused."""
        sessions: list[RoleCredentials] = []
        refused: list[object] = []
        log_in = RoleCredentials.__init__

        def keep(self: RoleCredentials, assume: Callable[[], dict[str, str]]) -> None:
            log_in(self, assume)
            sessions.append(self)

        def pass_an_hour() -> None:
            aws.settings(clock_ahead=3700)
            for role in sessions:  # of the publisher and the tagger
                cast(Any, role)._expiry_time -= timedelta(seconds=3700)

        monkeypatch.setattr(RoleCredentials, "__init__", keep)
        monkeypatch.setattr(RoleCredentials, "_renew_ended", lambda _, response, **__: _note_errors(refused, response))
        _before(monkeypatch, copies, "finish", _once(pass_an_hour))
        publication = bench.publish()
        assert aws.actions().count("AssumeRole") == 4
        assert not refused
        aws.settings(clock_ahead=0)
        _assert_whole(aws, publication)

    def test_one_that_ends_early_is_renewed_once(
        self, aws: StandIn, bench: DiskPublisher, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """In the middle of a phase, while all regions use it."""
        _before(monkeypatch, parameters, "write_once", _once(lambda: aws.settings(clock_ahead=7200)))
        publication = bench.publish()
        assert aws.actions().count("AssumeRole") in (3, 4)  # the tagger too, if tags of another region follow
        aws.settings(clock_ahead=0)
        _assert_whole(aws, publication)

    def test_one_that_cannot_be_renewed_is_an_error(
        self, aws: StandIn, bench: DiskPublisher, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def end() -> None:
            aws.settings(clock_ahead=7200)
            aws.fault("sts", "AssumeRole", error="AccessDenied", status=403, times=100)

        _before(monkeypatch, parameters, "write_once", _once(end))
        with pytest.raises(PartialError) as caught:
            bench.publish()
        assert f"{CONSUMER}/{HOME}" in caught.value.message
        assert f"cannot assume arn:aws:iam::{CONSUMER}:role/bakery-publisher" in caught.value.detail
