"""A version goes to a target that never had it, from an image elsewhere: the workspace of its bake is gone."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from bakery.catalog import Catalog, Record, open_store
from bakery.clouds.definitions import Definition
from bakery.engine.distribution import distribute_version
from bakery.engine.session import Session
from bakery.engine.targets import open_targets
from bakery.host import files
from bakery.host.errors import NotFoundError, PartialError, render_error
from bakery.model.definition import Definitions, ImageDefinition
from bakery.model.documents import Artifact, Base
from bakery.model.project import Project
from bakery.signing import Keyring
from doubles.artifacts import artifact_of
from doubles.aws.client import HOME_REGION, StandIn, change_blocks, point_environment
from doubles.disks import describe_disk, write_disk

pytestmark = pytest.mark.integration

OTHER_REGION = "us-west-2"
AWS = {"aws": {"regions": (HOME_REGION, OTHER_REGION)}}


def define(*targets: str, distribution: Mapping[str, object] = AWS) -> ImageDefinition:
    return Definition.model_validate(
        {
            "name": "web",
            "description": "A web server",
            "os": "debian-12",
            "arch": "x86_64",
            "version": "1.0",
            "base": {"qemu": {"debootstrap": {"suite": "bookworm"}}},
            "targets": targets,
            "distribution": distribution if "aws" in targets else {},
        }
    )


@pytest.fixture
def session(aws: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    point_environment(aws, monkeypatch)
    project = Project(tmp_path, tmp_path, tmp_path / "workspace")
    catalog = Catalog(open_store(str(tmp_path / "catalog")), Keyring(project.workspace / "keys", {}))
    return Session(project, Definitions({}, {}), catalog)


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    """A disk that boots nothing, and has a file system with a file."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_text("of the version\n")
    disk = tmp_path / "baked" / "disk.qcow2"
    disk.parent.mkdir()
    write_disk(tmp_path / "tree", disk)
    return artifact_of(describe_disk(disk)[0], Base("debian bookworm", "", "d" * 64), image="web")


def publish(session: Session, definition: ImageDefinition, artifact: Artifact) -> Record:
    """A complete version at the targets of a definition; the file of its disk is gone afterwards."""
    disk = Path(artifact.disk.path)
    with open_targets(session, definition) as targets:
        publications = tuple(target.publish(artifact, disk, session.report) for target in targets.values())
    shutil.rmtree(disk.parent)
    reserved = session.catalog.reserve("web", "x86_64", "1.0", "k", {}, "builder", "bake-private")
    complete = replace(
        reserved,
        state="complete",
        os=artifact.os,
        sha256=artifact.disk.sha256,
        raw_sha256=artifact.disk.raw_sha256,
        size=artifact.disk.virtual_size,
        base=artifact.base,
        baked=artifact.created,
        publications=publications,
    )
    return session.catalog.revise(complete)


def distribute(session: Session, definition: ImageDefinition, record: Record) -> Record:
    with open_targets(session, definition) as targets:
        return distribute_version(session, definition, targets, record)


def test_from_an_image_at_aws_to_the_local_store(session: Session, artifact: Artifact) -> None:
    record = publish(session, define("aws"), artifact)
    record = distribute(session, define("aws", "local"), record)
    local = record.publication("local")
    assert local
    stored = session.project.store / local.locations[0].id
    assert files.sha256(stored) == artifact.disk.sha256
    assert not [*session.project.cache.iterdir()]
    assert distribute(session, define("aws", "local"), record) == record


def test_from_the_local_store_to_aws(session: Session, artifact: Artifact, aws: StandIn) -> None:
    record = publish(session, define("local"), artifact)
    record = distribute(session, define("local", "aws"), record)
    with open_targets(session, define("aws")) as targets:
        publication = record.publication("aws")
        assert publication
        findings = targets["aws"].inspect(publication)
    assert {finding.status for finding in findings} == {"correct"}
    assert len(findings) > 2


def test_another_image_is_read_if_one_was_changed(session: Session, artifact: Artifact, aws: StandIn) -> None:
    record = publish(session, define("aws"), artifact)
    publication = record.publication("aws")
    assert publication
    first, second = publication.locations
    for location in (first, second):
        change_blocks(aws, location.snapshot, {0: b"x" * 524_288})
        if location is first:
            changed = distribute(session, define("aws", "local"), record)
            assert changed.publication("local")
            shutil.rmtree(session.project.store)
    with pytest.raises(PartialError) as caught:
        distribute(session, define("aws", "local"), record)
    assert "no image gives the disk of web-1.0.0-x86_64 back" in render_error(caught.value)
    assert render_error(caught.value).count("its disk has the digest") == 2


def test_what_packer_would_have_to_build(session: Session, artifact: Artifact) -> None:
    record = publish(session, define("local"), artifact)
    base = {"aws": {"ami": {"name": "debian-12-*", "owner": "136693071363"}, "user": "debian"}}
    definition = define("local", "aws").model_copy(update={"base": type(define("local").base).model_validate(base)})
    with pytest.raises(NotFoundError, match=r"Packer never built web 1\.0\.0 at aws"):
        distribute(session, definition, record)
