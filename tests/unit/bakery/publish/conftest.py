"""One baked version, 1.0.0 of `web`, that the tests publish."""

from pathlib import Path

import pytest

from bakery import files
from bakery.definition import ImageDefinition
from bakery.documents import Artifact, Base, Check, Disk, RemoteBuild, Verdict
from bakery.project import Project

NOW = "2026-01-01T00:00:00+00:00"


@pytest.fixture
def definition() -> ImageDefinition:
    return ImageDefinition.model_validate(
        {
            "name": "web",
            "description": "A web server",
            "os": "debian-12",
            "arch": "x86_64",
            "version": "1.0",
            "base": {"qemu": {"image": "debian-12"}},
            "targets": ("local", "aws"),
            "distribution": {"aws": {"regions": ("eu-central-1", "us-east-1")}},
        }
    )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(root=tmp_path, definitions=tmp_path, workspace=tmp_path / "workspace")


@pytest.fixture
def artifact(project: Project) -> Artifact:
    disk = project.artifact_folder("web", "x86_64", "1.0.0") / "disk.qcow2"
    files.write_atomic(disk, b"a disk")
    # fmt: off
    return Artifact(
        image="web", arch="x86_64", version="1.0.0", os="debian-12", mode="vm", input_key="0123abcd", inputs={},
        base=Base("debian-12", "12.0.0", "f" * 64), disk=Disk(str(disk), "qcow2", 6, files.sha256(disk), "e" * 64),
        commit="c0ffee", tools={}, seconds={}, created=NOW, log="",
    )
    # fmt: on


@pytest.fixture
def build() -> RemoteBuild:
    # fmt: off
    return RemoteBuild(
        image="web", arch="x86_64", version="1.0.0", os="debian-12", target="aws", builder="amazon-ebs",
        input_key="0123abcd", inputs={}, base="{}", identity="b" * 64,
        ids={"eu-central-1": "ami-1", "us-east-1": "ami-2"}, checks=(Check("nginx runs", True),),
        commit="c0ffee", tools={}, seconds={}, created=NOW, log="",
    )
    # fmt: on


@pytest.fixture
def verdict(artifact: Artifact) -> Verdict:
    return Verdict("web", "x86_64", "1.0.0", artifact.disk.sha256, True, (), "tcg", {}, NOW)
