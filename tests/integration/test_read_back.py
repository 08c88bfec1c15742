"""A build at the AWS stand-in is looked at: its real disk comes back block by block, and the real rules read it."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from bakery.catalog import Catalog, open_store
from bakery.clouds.definitions import Definition
from bakery.engine import inspection
from bakery.engine.inspection import READ_BACK, inspect_build
from bakery.engine.session import Session
from bakery.machine import disk_image
from bakery.machine.block_list import BLOCK
from bakery.machine.block_stream import list_blocks, open_raw
from bakery.machine.raw_disk import RawDisk
from bakery.model.definition import Definitions, ImageDefinition
from bakery.model.documents import Check, RemoteBuild, Verdict
from bakery.model.project import Project
from bakery.signing import Keyring
from doubles.aws.client import (
    HOME_REGION,
    ROOT,
    StandIn,
    available,
    change_blocks,
    register,
    upload_blocks,
)
from doubles.disks import write_disk

pytestmark = pytest.mark.integration

SECRET = "canary-5e1f08b2-pass"
KEY = "root/.ssh/authorized_keys"
PASSWD = "root:x:0:0:root:/root:/bin/bash\n"


@pytest.fixture
def definition() -> ImageDefinition:
    return Definition.model_validate(
        {
            "name": "web",
            "description": "A web server",
            "os": "debian-12",
            "arch": "x86_64",
            "version": "1.0",
            "base": {"aws": {"ami": {"name": "debian-12-amd64-*", "owner": "136693071363"}, "user": "debian"}},
            "targets": ("aws",),
            "distribution": {"aws": {"regions": (HOME_REGION,)}},
        }
    )


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """The session of a bake whose only secret is SECRET."""
    monkeypatch.setattr(inspection, "open_vault", lambda *_: nullcontext(object()))
    monkeypatch.setattr(inspection, "read_used_secrets", lambda *_: [SECRET])
    project = Project(tmp_path, tmp_path, tmp_path / "workspace")
    (tmp_path / "workspace" / "artifacts" / "web-1.0.0-x86_64-aws").mkdir(parents=True)
    return Session(
        project, Definitions({}, {}), Catalog(open_store(str(tmp_path / "catalog")), Keyring(tmp_path / "keys", {}))
    )


def make_raw(folder: Path, files: dict[str, str]) -> Path:
    """A raw disk whose root has these files."""
    tree = folder / "tree"
    for name, text in {"etc/passwd": PASSWD, "etc/machine-id": "", **files}.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    write_disk(tree, folder / "disk.qcow2")
    raw = folder / "copy.raw"
    disk_image.write_raw(folder / "disk.qcow2", raw)
    return raw


def register_disk(aws: StandIn, name: str, raw: Path) -> tuple[str, str]:
    """An image on a snapshot with the blocks of a disk, and the snapshot."""
    snapshot = upload_blocks(aws, dict(RawDisk(raw, BLOCK).written_blocks()))
    image = register(aws, name, BlockDeviceMappings=[{"DeviceName": ROOT, "Ebs": {"SnapshotId": snapshot}}])
    available(aws, image)
    return image, snapshot


def build_image(aws: StandIn, raw: Path) -> tuple[RemoteBuild, str]:
    """What Packer leaves: an image with the blocks of a disk. Gives the snapshot, too."""
    image, snapshot = register_disk(aws, "web-1.0.0-x86_64", raw)
    # fmt: off
    build = RemoteBuild(
        image="web", arch="x86_64", version="1.0.0", os="debian-12", target="aws", builder="amazon-ebs",
        input_key="k" * 64, inputs={}, base="debian", identity="b" * 64, ids={HOME_REGION: image},
        checks=(Check("nginx answers", True),), commit="c0ffee", tools={}, seconds={},
        created="2026-01-01T00:00:00+00:00", log="",
    )
    # fmt: on
    return build, snapshot


def look(session: Session, definition: ImageDefinition, build: RemoteBuild) -> tuple[Verdict, dict[str, Check]]:
    verdict = inspect_build(session, definition, build, Verdict.of_build(build))
    return verdict, {check.name: check for check in verdict.checks}


def test_a_clean_disk_passes_and_is_named_by_its_blocks(
    aws: StandIn, session: Session, definition: ImageDefinition, tmp_path: Path
) -> None:
    raw = make_raw(tmp_path, {})
    build, _ = build_image(aws, raw)
    verdict, checks = look(session, definition, build)
    assert list(checks)[:2] == ["nginx answers", READ_BACK]
    assert list_blocks(open_raw(raw)).sha256 in checks[READ_BACK].detail
    assert checks["no authorized keys"].passed and checks["no secret on the disk"].passed
    assert {"hygiene", "secrets"} <= verdict.seconds.keys()
    assert [path.name for path in session.project.cache.iterdir()] == [], "nothing of the disk stays"


def test_dirt_and_a_secret_are_found_in_what_the_cloud_holds(
    aws: StandIn, session: Session, definition: ImageDefinition, tmp_path: Path
) -> None:
    raw = make_raw(tmp_path, {KEY: "ssh-ed25519 AAAA packer\n", "etc/app.conf": f"password = {SECRET}\n"})
    build, _ = build_image(aws, raw)
    verdict, checks = look(session, definition, build)
    assert not verdict.passed
    assert (checks["no authorized keys"].passed, f"/{KEY}" in checks["no authorized keys"].detail) == (False, True)
    assert not checks["no secret on the disk"].passed and "/etc/app.conf" in checks["no secret on the disk"].detail


def test_a_disk_without_a_file_system_fails(
    aws: StandIn, session: Session, definition: ImageDefinition, tmp_path: Path
) -> None:
    build, snapshot = build_image(aws, make_raw(tmp_path, {}))
    blocks = aws.client("ebs").list_snapshot_blocks(SnapshotId=snapshot)["Blocks"]
    change_blocks(aws, snapshot, {block["BlockIndex"]: None for block in blocks if block["BlockIndex"]})
    verdict, checks = look(session, definition, build)
    assert not verdict.passed and not checks["root file system can be read"].passed
