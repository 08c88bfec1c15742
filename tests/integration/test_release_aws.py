"""A release to many places of the strict AWS stand-in: throttled, and killed at each of its calls."""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from bakery.clouds.aws import images, session
from bakery.clouds.aws.calls import try_all
from bakery.clouds.aws.clients import Image
from bakery.clouds.aws.target import AwsTarget
from bakery.clouds.definitions import Definition
from bakery.host.events import silent
from bakery.machine import disk_image
from bakery.model.documents import Artifact, Base, Publication
from bakery.model.naming import full_name
from doubles.aws.client import HOME_ACCOUNT, StandIn, point_environment, running
from doubles.disks import describe_disk

pytestmark = pytest.mark.integration

# fmt: off
REGIONS = (
    "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "eu-south-1", "us-east-1", "us-east-2",
    "us-west-1", "us-west-2", "ca-central-1", "sa-east-1", "ap-east-1", "ap-south-1", "ap-northeast-1",
    "ap-northeast-2", "ap-northeast-3", "ap-southeast-1", "ap-southeast-2", "af-south-1",
)
# fmt: on
HOME = REGIONS[0]
CONSUMERS = tuple(f"{200_000_000_000 + number}" for number in range(4))
POINTS = 100  # of about 1,200, in about 10 min of an idle machine


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """An empty cloud that the environment points at."""
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")  # thousands of public images per region
    with running() as double:
        point_environment(double, monkeypatch)
        yield double


@pytest.mark.parametrize(("tokens", "per_second", "calls", "waste"), [(100, 20, 270, 0.1), (20, 10, 90, 1)])
def test_an_empty_bucket_fails_no_call(aws: StandIn, tokens: int, per_second: int, calls: int, waste: float) -> None:
    """The calls of 30 regions in one, and a bucket that is smaller than the documented one, as others use it too."""
    aws.fault("ec2", "Describe*", kind="bucket", tokens=tokens, per_second=per_second)
    account = session.connect(HOME)
    ec2 = account.ec2([HOME])[HOME]
    _, failures = try_all({str(number): number for number in range(calls)}, lambda _: images.find(ec2, "web"))
    assert not failures
    assert calls <= aws.actions().count("DescribeImages") <= (1 + waste) * calls


class Killed(BaseException):
    """The end of the process, as far as its calls can tell: none is sent or answered any more."""


@dataclass
class Killer:
    """Ends all calls before or after the one with this number; -1 for none. `count` are those since the start."""

    number: int = -1
    after: bool = False
    count: int = 0
    is_dead: bool = False

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def arm(self, number: int, *, after: bool) -> None:
        self.number, self.after, self.count, self.is_dead = number, after, 0, False

    def before_send(self, request: Any, **_: object) -> None:
        with self._lock:
            if self.is_dead:
                raise Killed
            request.context["kill"] = self.count == self.number
            self.count += 1
            if request.context["kill"] and not self.after:
                self.is_dead = True
                raise Killed

    def on_answer(self, context: Any, **_: object) -> None:
        with self._lock:
            self.is_dead = self.is_dead or context["kill"]
            if self.is_dead:
                raise Killed


@pytest.fixture
def killer(monkeypatch: pytest.MonkeyPatch) -> Killer:
    """Sees each call of all sessions; waits are short."""
    killer, make_session, nap = Killer(), session.core_session, time.sleep

    def session_with_killer() -> Any:
        core = make_session()
        core.register("before-send", killer.before_send)
        core.register("response-received", killer.on_answer)
        return core

    monkeypatch.setattr(session, "core_session", session_with_killer)
    monkeypatch.setattr(time, "sleep", lambda seconds: nap(seconds / 100))
    return killer


class Releases:
    """Versions of one disk, each released once; the same logged in target for all."""

    def __init__(self, aws: StandIn, folder: Path) -> None:
        self._aws = aws
        raw, disk = folder / "disk.raw", folder / "disk.qcow2"
        raw.write_bytes(random.Random(1).randbytes(1 << 20))  # noqa: S311 - noise, the same in each run
        disk_image.to_qcow2(raw, disk)
        self._disk = disk
        # fmt: off
        self._artifact = Artifact(
            image="web", arch="x86_64", version="1.0.0", os="debian-12", mode="vm", input_key="0123abcd", inputs={},
            base=Base("debian-12", "12.0.0", "f" * 64), disk=describe_disk(disk)[0], commit="c0ffee",
            tools={}, seconds={}, created="2026-01-01T00:00:00+00:00", log="",
        )
        # fmt: on
        self._target = AwsTarget(_definition())

    def publish(self, number: int) -> Publication:
        """Publish version 1.0.`number`."""
        publication = self._target.publish(replace(self._artifact, version=f"1.0.{number}"), self._disk, silent)
        return replace(publication, seconds={})

    def image_ids(self, number: int) -> dict[str, str]:
        """The images of a version that exist, by region. No region has two, and each snapshot belongs to one."""
        version = replace(self._artifact, version=f"1.0.{number}")
        described, _ = try_all({region: region for region in REGIONS}, lambda region: self._look(region, version))
        return {region: image for region, image in described.items() if image}

    def _look(self, region: str, version: Artifact) -> str:
        ec2 = self._aws.client("ec2", region)
        name = full_name(version)
        found: list[Image] = ec2.describe_images(Owners=["self"], Filters=[{"Name": "name", "Values": [name]}])[
            "Images"
        ]
        assert len(found) <= 1, f"two images in {region}"
        return found[0]["ImageId"] if found else ""

    def assert_whole(self, number: int, publication: Publication) -> None:
        """One image on one snapshot in each region, and each parameter at it."""
        version = replace(self._artifact, version=f"1.0.{number}")
        ids = self.image_ids(number)
        expected = {(account, region): ids[region] for account in (HOME_ACCOUNT, *CONSUMERS) for region in REGIONS}
        assert {(*place.location, place.id) for place in publication.locations} == {
            (*location, image) for location, image in expected.items()
        }
        for region in REGIONS:
            filters = [{"Name": "tag:Name", "Values": [full_name(version)]}]
            snapshots = self._aws.client("ec2", region).describe_snapshots(Filters=filters)["Snapshots"]
            used = {place.snapshot for place in publication.locations if place.region == region}
            assert {snapshot["SnapshotId"] for snapshot in snapshots} == used, f"orphans in {region}"
        name = f"/bakery/web/x86_64/1.0.{number}"
        values = {}
        for account, region in expected:
            answer = self._aws.client("ssm", region, account).get_parameters(Names=[name])
            values[account, region] = answer["Parameters"][0]["Value"]
        assert values == expected


def _definition() -> Any:
    return Definition.model_validate(
        {
            "name": "web",
            "description": "A web server",
            "os": "debian-12",
            "arch": "x86_64",
            "version": "1.0",
            "base": {"qemu": {"image": "debian-12"}},
            "targets": ("aws",),
            "distribution": {"aws": {"regions": REGIONS, "accounts": CONSUMERS}},
        }
    )


# `test_killed_at_every_step` in test_publish_aws.py kills a release to six places with less.
@pytest.mark.soak
def test_killed_before_and_after_each_call(
    aws: StandIn, killer: Killer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A release to 100 places. After each kill, the same command ends with what a release without one has."""
    releases = Releases(aws, tmp_path)
    releases.assert_whole(0, releases.publish(0))
    killer.arm(-1, after=False)
    releases.publish(1)
    points = [(number, after) for number in range(killer.count) for after in (False, True)]
    tried = [points[index * len(points) // POINTS] for index in range(POINTS)] if len(points) > POINTS else points
    states: Counter[int] = Counter()
    for version, (number, after) in enumerate(tried, 2):
        killer.arm(number, after=after)
        with pytest.raises((Killed, KeyboardInterrupt)):  # the second from threads that waited
            releases.publish(version)
        killer.arm(-1, after=False)
        survivors = releases.image_ids(version)
        publication = releases.publish(version)
        releases.assert_whole(version, publication)
        ids = {place.region: place.id for place in publication.locations}
        assert {region: ids[region] for region in survivors} == survivors, f"made again after call {number}"
        assert releases.publish(version) == publication
        states[len(survivors)] += 1
    with capsys.disabled():
        print(f"\nkilled at {len(tried)} of {len(points)} points; images at the kill: {dict(sorted(states.items()))}")  # noqa: T201
