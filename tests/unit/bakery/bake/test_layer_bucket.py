"""Machines share layers through a bucket: what one kept, the bake of another starts from, if it holds."""

import hashlib
import json
import shutil
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bakery.bake import layer_archives, layers
from bakery.host.errors import DiskError, UsageError
from bakery.layers.store import Layer, LayerStore
from bakery.machine import secret_search
from bakery.model import documents
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Check
from bakery.model.project import Project
from bakery.signing import open_keyring
from bakery.signing.documents import make_statement
from doubles.aws.client import HOME_ACCOUNT, HOME_REGION, StandIn, point_environment
from doubles.packer import PackerProject, define, make_world

ARCHIVE = "http://archive.example/dists/stable/InRelease"
ROLE = f"arn:aws:iam::{HOME_ACCOUNT}:role/bake"
PACKAGES, EARLY, LATE = range(3)  # numbers of roles
PREFIX = "team/layers"


@pytest.fixture
def cloud(aws_server: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """A cloud with a bucket, which BAKERY_LAYERS names."""
    aws_server.reset()
    point_environment(aws_server, monkeypatch)
    monkeypatch.setenv("AWS_DEFAULT_REGION", HOME_REGION)
    monkeypatch.setenv("BAKERY_LAYERS", f"s3://cache/{PREFIX}")
    configuration = {"LocationConstraint": HOME_REGION}
    aws_server.client("s3").create_bucket(Bucket="cache", CreateBucketConfiguration=configuration)
    return aws_server


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackerProject:
    made = make_world(tmp_path, monkeypatch)
    for name in ("early", "late"):
        made.role(name, {"meta/bakery.yml": "modes: [vm, chroot]\n"})
    monkeypatch.setattr(layer_archives, "fetch_digest", lambda _: "a" * 64)
    return made


@pytest.fixture
def other(world: PackerProject) -> PackerProject:
    """Another machine with the same project and key, and nothing else."""
    workspace = world.folder / "other"
    shutil.rmtree(workspace, ignore_errors=True)
    open_keyring(world.project).require_signer("bake-private")
    shutil.copytree(world.project.keys, workspace / "keys")
    return replace(world, project=replace(world.project, workspace=workspace), events=[])


def image() -> ImageDefinition:
    return define(mode="chroot", software={"roles": [{"name": "early"}, {"name": "late"}]})


def bake(
    machine: PackerProject, contents: Mapping[int, str], *, fresh: bool = False, secrets: tuple[str, ...] = ()
) -> str:
    """Bake on a machine, whose Packer leaves these layers by number of roles; the content that it starts from."""
    machine.events.clear()
    plan = layers.plan_layers(machine.job(image()), {"engine": "1"}, secrets)
    keys = {cut.roles: cut.key for cut in plan.cuts}
    with plan.started(fresh=fresh) as job:
        for roles, content in contents.items():
            leave_draft(job.drafts / f"{keys[roles]}.qcow2", content)
        return job.start.disk.read_text() if job.start else ""


def leave_draft(draft: Path, content: str) -> None:
    draft.write_text(content)
    description = {"archives": [f"{ARCHIVE} {'a' * 64}"], "upgraded": False, "seconds": 9.5}
    draft.with_suffix(".json").write_text(json.dumps(description))


def texts(machine: PackerProject, kind: str = "note") -> list[str]:
    return [event.text for event in machine.events if event.kind == kind]


def objects(cloud: StandIn) -> dict[str, bytes]:
    """The objects of the bucket below the prefix."""
    s3 = cloud.client("s3")
    keys = [one["Key"] for one in s3.list_objects_v2(Bucket="cache").get("Contents", ())]
    return {key.removeprefix(f"{PREFIX}/"): s3.get_object(Bucket="cache", Key=key)["Body"].read() for key in keys}


def put(cloud: StandIn, key: str, content: bytes) -> None:
    cloud.client("s3").put_object(Bucket="cache", Key=f"{PREFIX}/{key}", Body=content)


def stored(machine: PackerProject) -> list[Layer]:
    return [layer for layer, _ in LayerStore(machine.project.own_layers, machine.events.append).list_layers()]


def envelope_of(layer: Layer) -> str:
    """The object with the signature of a layer's document."""
    return f"{layer.key}/layer-{hashlib.sha256(documents.dump(layer)).hexdigest()}.dsse.json"


def writes(cloud: StandIn) -> int:
    return cloud.actions().count("PutObject")


def test_an_empty_bucket_is_a_miss(cloud: StandIn, world: PackerProject) -> None:
    assert bake(world, {}) == ""
    assert texts(world) == []
    assert objects(cloud) == {}


def test_a_layer_is_kept_here_and_in_the_bucket(cloud: StandIn, world: PackerProject) -> None:
    bake(world, {EARLY: "early"})
    [layer] = stored(world)
    assert objects(cloud) == {
        f"{layer.key}/disk-{layer.sha256}.qcow2": b"early",
        envelope_of(layer): (world.project.own_layers / layer.key / "layer.dsse.json").read_bytes(),
        f"{layer.key}/layer.json": (world.project.own_layers / layer.key / "layer.json").read_bytes(),
    }
    assert f"send the layer after the role early to s3://cache/{PREFIX}" in texts(world, "done")


def test_another_machine_starts_from_it(cloud: StandIn, world: PackerProject, other: PackerProject) -> None:
    bake(world, {PACKAGES: "packages", EARLY: "early"})
    assert bake(other, {}) == "early"
    assert stored(other) == [layer for layer in stored(world) if layer.last == "early"]
    assert texts(other, "done") == ["fetch the layer after the role early"]
    assert [event.fraction for event in other.events if event.kind == "progress"] == [1.0]
    before = cloud.actions()
    assert bake(other, {}) == "early"
    assert cloud.actions()[len(before) :] == ["GetObject"], "the later cut, and no other disk"


def test_the_last_layer_counts_wherever_it_is(cloud: StandIn, world: PackerProject, other: PackerProject) -> None:
    bake(world, {LATE: "late"})
    bake(other, {PACKAGES: "packages"}, fresh=True)
    assert bake(other, {}) == "late"


def test_a_fresh_bake_asks_for_no_layer_and_shares_its_own(
    cloud: StandIn, world: PackerProject, other: PackerProject
) -> None:
    bake(world, {EARLY: "early"})
    assert bake(other, {EARLY: "again"}, fresh=True) == ""
    assert b"again" in objects(cloud).values()


def test_a_disk_with_another_digest_is_removed(cloud: StandIn, world: PackerProject, other: PackerProject) -> None:
    bake(world, {PACKAGES: "packages", EARLY: "early"})
    layer = next(layer for layer in stored(world) if layer.last == "early")
    put(cloud, f"{layer.key}/disk-{layer.sha256}.qcow2", b"other")
    assert bake(other, {}) == "packages"
    [note, _] = texts(other)
    assert note == (
        f"the layer {layer.key} in s3://cache/{PREFIX} is damaged, since its disk has another digest, and was removed"
    )
    assert not [key for key in objects(cloud) if key.startswith(layer.key)]
    assert [one.last for one in stored(other)] == [""]


def test_a_document_without_a_disk_is_a_miss(cloud: StandIn, world: PackerProject, other: PackerProject) -> None:
    bake(world, {PACKAGES: "packages", EARLY: "early"})
    layer = next(layer for layer in stored(world) if layer.last == "early")
    disk = f"{PREFIX}/{layer.key}/disk-{layer.sha256}.qcow2"
    cloud.client("s3").delete_object(Bucket="cache", Key=disk)
    assert bake(other, {}) == "packages"
    assert [text.partition(",")[0] for text in texts(other)] == ["start from the layer with updates and packages"]


def test_a_killed_upload_is_a_miss_and_is_made_good(cloud: StandIn, world: PackerProject, other: PackerProject) -> None:
    bake(world, {EARLY: "early"})
    [layer] = stored(world)
    for name in (f"{layer.key}/layer.json", envelope_of(layer)):
        cloud.client("s3").delete_object(Bucket="cache", Key=f"{PREFIX}/{name}")
    assert bake(other, {EARLY: "early"}) == ""
    assert len(objects(cloud)) == 3


@pytest.mark.parametrize("forged", [b"{}", b"", b"x" * (2 << 20)])
def test_a_forged_signature_brings_no_disk(
    cloud: StandIn, world: PackerProject, other: PackerProject, forged: bytes
) -> None:
    bake(world, {EARLY: "early"})
    [layer] = stored(world)
    put(cloud, envelope_of(layer), forged)
    before = len(cloud.actions())
    assert bake(other, {}) == ""
    assert cloud.actions()[before:].count("GetObject") == 4, "three documents and a signature"
    assert stored(other) == []


def test_a_stranger_s_layer_is_not_used(cloud: StandIn, world: PackerProject, other: PackerProject) -> None:
    """It is signed, but not with a key that this machine trusts."""
    shutil.rmtree(other.project.keys)
    bake(world, {EARLY: "early"})
    assert bake(other, {}) == ""
    assert any("is not used: " in text for text in texts(other))
    assert stored(other) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"x" * (2 << 20)])
def test_a_document_that_is_none_is_a_miss(
    cloud: StandIn, world: PackerProject, other: PackerProject, content: bytes
) -> None:
    bake(world, {EARLY: "early"})
    [layer] = stored(world)
    put(cloud, f"{layer.key}/layer.json", content)
    assert bake(other, {EARLY: "newer"}) == ""
    assert texts(other) == []
    assert objects(cloud)[f"{layer.key}/layer.json"] == documents.dump(stored(other)[0])


def test_the_document_of_another_layer_is_a_miss(cloud: StandIn, world: PackerProject, other: PackerProject) -> None:
    """Both are signed, so whoever writes to the bucket could exchange the disks of two images."""
    bake(world, {PACKAGES: "packages", EARLY: "early"})
    keys = {layer.last: layer.key for layer in stored(world)}
    for key, content in objects(cloud).items():
        if key.startswith(keys[""]):
            put(cloud, key.replace(keys[""], keys["early"]), content)
    assert bake(other, {}) == "packages"


def test_a_stranger_s_document_without_a_time_is_not_used(
    cloud: StandIn, world: PackerProject, other: PackerProject
) -> None:
    """Nothing in a document counts before its signature."""
    bake(world, {EARLY: "early"})
    [layer] = stored(world)
    put(cloud, f"{layer.key}/layer.json", documents.dump(replace(layer, created="")))
    assert bake(other, {}) == ""


@pytest.mark.parametrize("created", ["2020-01-01T00:00:00+00:00", "2999-01-01T00:00:00+00:00"])
def test_a_layer_that_is_old_is_not_fetched(
    cloud: StandIn, world: PackerProject, other: PackerProject, created: str
) -> None:
    bake(world, {EARLY: "early"})
    layer = replace(stored(world)[0], created=created)
    signed = open_keyring(world.project).sign(make_statement(layer, f"layer {layer.key}", layer.sha256), "bake-private")
    put(cloud, f"{layer.key}/layer.json", documents.dump(layer))
    put(cloud, envelope_of(layer), signed)
    before = len(cloud.actions())
    assert bake(other, {}) == ""
    assert cloud.actions()[before:].count("GetObject") == 4


def test_a_layer_whose_archive_changed_is_not_fetched(
    cloud: StandIn, world: PackerProject, other: PackerProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    bake(world, {PACKAGES: "packages", EARLY: "early"})
    monkeypatch.setattr(layer_archives, "fetch_digest", lambda _: "c" * 64)
    for machine in (world, other):
        assert bake(machine, {}) == ""
        assert texts(machine) == [f"a layer is not used, because of the archive {ARCHIVE}: it has changed"]
    assert stored(other) == []


def test_a_newer_layer_replaces_the_one_with_its_key(
    cloud: StandIn, world: PackerProject, other: PackerProject
) -> None:
    bake(world, {EARLY: "early"})
    bake(world, {EARLY: "newer"}, fresh=True)
    assert bake(other, {}) == "newer"


def test_an_equal_layer_is_not_sent_again(cloud: StandIn, world: PackerProject, other: PackerProject) -> None:
    bake(world, {EARLY: "early"})
    [layer] = stored(world)
    sent = writes(cloud)
    bucket = layers.plan_layers(world.job(image()), {"engine": "1"}, ()).bucket
    assert bucket
    envelope = LayerStore(world.project.own_layers, world.events.append).envelope(layer)
    with (world.project.own_layers / layer.key / "disk.qcow2").open("rb") as disk:
        bucket.send(layer, disk, envelope)
        assert writes(cloud) == sent
        bucket.send(replace(layer, seconds=1.0), disk, envelope)
        assert writes(cloud) == sent + 3


def test_a_damaged_layer_here_comes_from_the_bucket(cloud: StandIn, world: PackerProject) -> None:
    bake(world, {EARLY: "early"})
    [layer] = stored(world)
    disk = world.project.own_layers / layer.key / "disk.qcow2"
    disk.chmod(0o644)
    disk.write_text("something else")
    assert bake(world, {}) == "early"


def test_a_layer_with_a_secret_is_not_sent(
    cloud: StandIn, world: PackerProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secret_search, "search", lambda *_: [Check("no secret on the disk", False)])
    bake(world, {EARLY: "hunter2-and-more"}, secrets=("hunter2-and-more",))
    assert objects(cloud) == {}


def test_a_failed_bake_shares_its_layers_and_an_interrupted_one_does_not(
    cloud: StandIn, world: PackerProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    for error, shared in ((KeyboardInterrupt, False), (ZeroDivisionError, True)):
        plan = layers.plan_layers(world.job(image()), {"engine": "1"}, ())
        with suppress(error), plan.started(fresh=True) as job:
            leave_draft(job.drafts / f"{job.cuts[EARLY]}.qcow2", "early")
            raise error
        assert [layer.last for layer in stored(world)] == ["early"]
        assert bool(objects(cloud)) == shared


def take_rights(cloud: StandIn, monkeypatch: pytest.MonkeyPatch, *rights: str) -> None:
    """Let this machine have these rights alone in S3."""
    keys = cloud.client("sts").assume_role(RoleArn=ROLE, RoleSessionName="bake")["Credentials"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", keys["SessionToken"])
    arns = {"s3:ListBucket": "arn:aws:s3:::cache"}
    statements = [
        {"Effect": "Allow", "Action": [right], "Resource": [arns.get(right, f"arn:aws:s3:::cache/{PREFIX}/*")]}
        for right in rights
    ]
    cloud.control("POST", "policies", {ROLE: {"Statement": statements}})


MINIMAL = ("s3:ListBucket", "s3:GetObject", "s3:PutObject")


def test_the_documented_rights_are_enough(
    cloud: StandIn, world: PackerProject, other: PackerProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_rights(cloud, monkeypatch, *MINIMAL)
    bake(world, {PACKAGES: "packages", EARLY: "early"})
    assert bake(other, {}) == "early"


def test_without_the_right_to_remove_a_damaged_layer_is_named(
    cloud: StandIn, world: PackerProject, other: PackerProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    bake(world, {EARLY: "early"})
    [layer] = stored(world)
    put(cloud, f"{layer.key}/disk-{layer.sha256}.qcow2", b"other")
    take_rights(cloud, monkeypatch, *MINIMAL)
    assert bake(other, {EARLY: "newer"}) == ""
    [note] = texts(other)
    assert note.endswith("and cannot be removed: no access to the bucket")
    assert b"newer" in objects(cloud).values(), "the bucket is used in spite of that"


def test_a_machine_that_may_only_read(
    cloud: StandIn, world: PackerProject, other: PackerProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    bake(world, {EARLY: "early"})
    take_rights(cloud, monkeypatch, "s3:ListBucket", "s3:GetObject")
    assert bake(other, {LATE: "late"}) == "early"
    assert len(stored(other)) == 2
    [_, note] = texts(other)
    assert note.startswith(f"the bake goes on without the layers in s3://cache/{PREFIX}: no access to the bucket: ")
    assert "s3:PutObject" in note


def deny(cloud: StandIn, patch: pytest.MonkeyPatch) -> None:
    take_rights(cloud, patch)


def hang_up(_: StandIn, patch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.getsockname()[1]}")


def forget_login(_: StandIn, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        patch.delenv(name)


def mistype_bucket(_: StandIn, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("BAKERY_LAYERS", "s3://cash")


def mistype_profile(_: StandIn, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("AWS_PROFILE", "nobody")


@pytest.mark.parametrize(
    ("break_it", "reason", "hint"),
    [
        (deny, "no access to the bucket: ", "s3:GetObject"),
        (hang_up, "the bucket cannot be reached: ", "AWS_ENDPOINT_URL"),
        (forget_login, "the bucket cannot be used: ", "AWS_ACCESS_KEY_ID"),
        (mistype_bucket, "the bucket does not exist", "make it"),
        (mistype_profile, "the bucket cannot be used: ", "AWS_PROFILE"),
    ],
)
def test_a_bucket_that_cannot_be_used_costs_one_note(
    cloud: StandIn,
    world: PackerProject,
    monkeypatch: pytest.MonkeyPatch,
    break_it: Callable[[StandIn, pytest.MonkeyPatch], None],
    reason: str,
    hint: str,
) -> None:
    break_it(cloud, monkeypatch)
    assert bake(world, {PACKAGES: "packages", EARLY: "early"}) == ""
    [note] = texts(world)
    assert note.startswith("the bake goes on without the layers in s3://ca")
    assert f": {reason}" in note
    assert hint in note
    assert bake(world, {}) == "early", "its own layers are there"


def test_a_bucket_that_fails_in_the_middle_leaves_no_part_of_a_layer(
    cloud: StandIn, world: PackerProject, other: PackerProject
) -> None:
    bake(world, {EARLY: "early"})
    before = objects(cloud)
    cloud.fault("s3", "PutObject", error="InternalError", status=500, times=2)
    bake(world, {EARLY: "newer"}, fresh=True)
    assert objects(cloud) == before
    [note] = texts(world)
    assert "the bucket cannot be reached" in note
    assert bake(other, {}) == "early"


def test_an_own_folder_that_cannot_be_written_costs_the_layers_alone(
    cloud: StandIn, world: PackerProject, other: PackerProject
) -> None:
    bake(world, {EARLY: "early"})
    other.project.cache.mkdir(parents=True)
    other.project.own_layers.touch()
    assert bake(other, {}) == ""
    [note] = texts(other)
    assert note.startswith(f"the bake keeps no layers: {other.project.own_layers}: ")


def refusing(error: Exception) -> Callable[..., Any]:
    """A function that raises an error."""

    def refuse(*_: object) -> None:
        raise error

    return refuse


def test_an_own_folder_that_fills_up_ends_the_layers_of_the_bucket(
    cloud: StandIn, world: PackerProject, other: PackerProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each layer of the bucket would be fetched in vain."""
    bake(world, {EARLY: "early"})
    refuse = DiskError("cannot be written: No space left on device")
    monkeypatch.setattr(LayerStore, "keep", refusing(refuse))
    assert bake(other, {}) == ""
    assert texts(other) == [f"no layer can be fetched to {other.project.own_layers}: {refuse.message}"]


@pytest.mark.parametrize("location", ["s3://", "s3:///x", "s3:/cache", "S3://cache", "gs://cache/x", "file:///tmp/x"])
def test_another_location_is_refused_before_a_bake_starts(
    world: PackerProject, monkeypatch: pytest.MonkeyPatch, location: str
) -> None:
    monkeypatch.setenv("BAKERY_LAYERS", location)
    with pytest.raises(UsageError, match="is not a location of layers") as caught:
        layers.plan_layers(world.job(image()), {"engine": "1"}, ())
    assert "s3://BUCKET/PREFIX" in caught.value.hint


@pytest.mark.parametrize("location", ["cache", "./s3:", "/a/b:c", "../x"])
def test_a_folder_is_no_bucket(monkeypatch: pytest.MonkeyPatch, location: str, tmp_path: Path) -> None:
    monkeypatch.setenv("BAKERY_LAYERS", location)
    project = Project(tmp_path, tmp_path, tmp_path)
    assert (project.layers, project.layer_bucket) == (Path(location).absolute(), "")
