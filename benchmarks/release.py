"""A release to up to 400 locations at AWS, against the least one that has each kind of step: wall time and calls.

The cloud is ideal and in this process, so the seconds are those that calls wait for
each other, the pauses of the bakery, and its own CPU time.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest import mock

import lookup
from ideal_cloud import IdealCloud

from bakery.catalog import Catalog, Record
from bakery.clouds.aws.target import AwsTarget
from bakery.clouds.definitions import Definition
from bakery.engine import channels
from bakery.engine.pointers import Channel
from bakery.host import files
from bakery.host.events import silent
from bakery.machine import disk_image
from bakery.machine.block_stream import describe_image, digest_disk, open_raw
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Artifact, Base, Disk
from bakery.signing import Keyring

DELAY = 0.2  # seconds of a call
COPY_SECONDS = 15.0  # of a copy of a minute, four times as fast
LEAST = (2, 2)  # regions and accounts: the home and a copy, the own account and a consumer
SHAPES = ((1, 1), (20, 1), (20, 5), (20, 20))
MANY = (20, 5)  # of the rows that have a goal
STEPS = ("publish", "publish again", "promote")
# fmt: off
REGIONS = (
    "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "eu-south-1", "us-east-1", "us-east-2",
    "us-west-1", "us-west-2", "ca-central-1", "sa-east-1", "ap-east-1", "ap-south-1", "ap-northeast-1",
    "ap-northeast-2", "ap-northeast-3", "ap-southeast-1", "ap-southeast-2", "af-south-1",
)
# fmt: on
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "own", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_EC2_METADATA_DISABLED": "true"}


@dataclass
class Release:
    """Seconds, CPU seconds and calls of one release, by step."""

    seconds: dict[str, float] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    clients: int = 0  # of botocore, in all steps


@dataclass(frozen=True)
class Releases:
    """Releases by regions and accounts; `slow` are those with copies that take their time."""

    quick: dict[tuple[int, int], Release]
    slow: dict[tuple[int, int], Release]


def measure(folder: Path) -> Releases:
    """Release a version to each number of locations."""
    quick = {shape: _release(folder / f"quick-{shape[0]}-{shape[1]}", *shape) for shape in (LEAST, *SHAPES)}
    slow = {
        shape: _release(folder / f"slow-{shape[0]}-{shape[1]}", *shape, copy_seconds=COPY_SECONDS)
        for shape in (LEAST, MANY)
    }
    return Releases(quick, slow)


def _release(folder: Path, regions: int, accounts: int, copy_seconds: float = 0) -> Release:
    folder.mkdir(parents=True)
    cloud, result = IdealCloud(DELAY, copy_seconds), Release()
    definition = make_definition(regions, accounts)
    artifact = _make_artifact(folder)
    catalog = Catalog(lookup.MemoryStore(), Keyring(folder / "keys", {}))
    reserved = catalog.reserve("web", "x86_64", "1.0", "key", {}, "benchmark", "bake-private")

    def publish() -> None:
        publication = AwsTarget(definition).publish(artifact, Path(artifact.disk.path), silent)
        assert len(publication.pointers) == regions * accounts
        complete = replace(
            reserved, state="complete", sha256=artifact.disk.sha256, raw_sha256=artifact.disk.raw_sha256,
            publications=(publication,),
        )  # fmt: skip
        records.append(complete)

    def promote() -> None:
        channel = Channel(catalog, "web", "x86_64", "stable", {"aws": AwsTarget(definition)}, "benchmark", silent)
        assert len(channels.promote(channel, record, "", is_new=True).pointers) == regions * accounts

    records: list[Record] = []
    with cloud.in_use(), mock.patch.dict(os.environ, ENVIRONMENT):
        _time(result, cloud, "publish", publish)
        if copy_seconds:  # the other steps copy nothing
            return result
        _time(result, cloud, "publish again", publish)
        record = catalog.revise(records[-1])
        _time(result, cloud, "promote", promote)
    result.clients = cloud.clients
    return result


def _time(result: Release, cloud: IdealCloud, step: str, work: Callable[[], None]) -> None:
    calls, cpu, began = cloud.calls.total(), time.process_time(), time.perf_counter()
    work()
    result.seconds[step] = time.perf_counter() - began
    result.cpu[step] = time.process_time() - cpu
    result.calls[step] = cloud.calls.total() - calls


def make_definition(regions: int, accounts: int) -> ImageDefinition:
    consumers = tuple(f"{200_000_000_000 + number}" for number in range(accounts - 1))
    return Definition.model_validate(
        {
            "name": "web",
            "description": "A web server",
            "os": "debian-12",
            "arch": "x86_64",
            "version": "1.0",
            "base": {"qemu": {"image": "debian-12"}},
            "targets": ("aws",),
            "distribution": {"aws": {"regions": REGIONS[:regions], "accounts": consumers}},
        }
    )


def _make_artifact(folder: Path) -> Artifact:
    """A disk of 1 MiB, so that its upload is short."""
    raw, disk = folder / "disk.raw", folder / "disk.qcow2"
    raw.write_bytes(b"\1" * (1 << 20))
    disk_image.to_qcow2(raw, disk)
    return describe_artifact("1.0.0", describe_image(disk, files.sha256(disk), digest_disk(open_raw(raw))))


def describe_artifact(version: str, disk: Disk) -> Artifact:
    """As if a version of the image had been baked with a disk."""
    # fmt: off
    return Artifact(
        image="web", arch="x86_64", version=version, os="debian-12", mode="vm", input_key="key", inputs={},
        base=Base("debian-12", "12.0.0", "f" * 64), disk=disk, commit="c0ffee", tools={}, seconds={},
        created="2026-01-01T00:00:00+00:00", log="",
    )
    # fmt: on


def main() -> None:
    """Print what each release took, for a look at one of them."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="bakery-bench-") as folder:
        releases = measure(Path(folder))
    for name, group in (("quick", releases.quick), ("slow", releases.slow)):
        least = group[LEAST]
        for shape, release in group.items():
            for step in release.seconds:
                print(
                    f"{name} {shape[0]}x{shape[1]} {step}: {release.seconds[step]:.1f} s "
                    f"({release.seconds[step] / least.seconds[step]:.2f}), CPU {release.cpu[step]:.1f} s, "
                    f"{release.calls[step]} calls, {release.clients} clients"
                )


if __name__ == "__main__":
    main()
