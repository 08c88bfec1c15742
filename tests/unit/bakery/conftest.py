"""Shared values: a baked version, a project that runs within milliseconds, a Packer that does what a test says."""

import signal
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from bakery.clouds import CLOUDS
from bakery.clouds.definitions import Definition
from bakery.engine import contents, evidence, prerequisites, publish, steps, toolbox
from bakery.host import files
from bakery.host.vault import Vault
from bakery.machine import disk_image, network
from bakery.model import resources
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Artifact, Base, Check, Disk, RemoteBuild, Verdict
from bakery.model.project import Project
from bakery.model.version import ImageVersion
from bakery.signing.keyring import SIGNING_KEY, TRUSTED_KEYS
from bakery.vulnerabilities import VARIABLE
from doubles.packer import PackerProject, make_world
from doubles.programs import Programs
from unit.bakery.cli.cli_runner import FILES, CliRunner

NOW = "2026-01-01T00:00:00+00:00"


@pytest.fixture
def definition() -> ImageDefinition:
    return Definition.model_validate(
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
    disk = project.artifact_folder(ImageVersion("web", "x86_64", "1.0.0")) / "disk.qcow2"
    files.write_atomic(disk, b"a disk")
    # fmt: off
    return Artifact(
        image="web", arch="x86_64", version="1.0.0", os="debian-12", mode="vm", input_key="0123abcd", inputs={},
        base=Base("debian-12", "12.0.0", "f" * 64),
        disk=Disk(str(disk), "qcow2", 6, files.sha256(disk), "e" * 64, "b" * 64),
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


@pytest.fixture
def bakery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[CliRunner]:
    """An image `web` built on an image `base`, both for the local target; only syft is on PATH."""
    root = tmp_path / "project"
    monkeypatch.setattr(resources, "SHIPPED", tmp_path / "shipped")  # which has nothing
    workshop = CliRunner(Project(root, Path("packer/images"), root / ".bakery", resources.SHIPPED), capsys, monkeypatch)
    for path, text in FILES.items():
        workshop.write(path, text)
    monkeypatch.chdir(root)
    Programs(tmp_path / "programs", monkeypatch).shell("syft")  # `read_disk` below does not start it
    monkeypatch.setenv("PATH", str(tmp_path / "programs"))
    for name in (VARIABLE, SIGNING_KEY, TRUSTED_KEYS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(toolbox, "machine", lambda: {"type": "q35"})
    monkeypatch.setattr(toolbox, "toolchain", lambda *_: None)
    monkeypatch.setattr(prerequisites, "find_faults", workshop.find_faults)
    for name, cloud in CLOUDS.items():
        monkeypatch.setitem(CLOUDS, name, replace(cloud, try_login=workshop.try_login))
    monkeypatch.setattr(steps, "bake", workshop.bake)
    monkeypatch.setattr(steps, "verify", workshop.verify)
    monkeypatch.setattr(evidence, "expect_checks", workshop.expect_checks)
    monkeypatch.setattr(network, "find_obstacle", lambda: "")  # it starts programs, and asks a metadata service
    monkeypatch.setattr(disk_image, "as_raw", nullcontext)  # a disk here is a text, not a qcow2
    monkeypatch.setattr(contents, "read_disk", workshop.read_disk)
    monkeypatch.setattr(contents, "read_archive", workshop.read_archive)
    monkeypatch.setattr(steps, "prepare", workshop.prepare)
    monkeypatch.setattr(steps, "publish", workshop.publishing(publish.publish))
    monkeypatch.setattr(steps, "read_used_secrets", lambda *_: ["hidden"])
    monkeypatch.setattr(Vault, "login", workshop.vault)
    before = signal.getsignal(signal.SIGTERM)
    yield workshop
    signal.signal(signal.SIGTERM, before)  # main() takes it


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackerProject:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return make_world(tmp_path, monkeypatch)
