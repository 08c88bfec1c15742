"""Packer's own validator, with its real plugins, on every image file; and on wrong ones, before anything is started."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
IMAGE = """\
name: {name}
description: An image to validate
os: {os}
arch: x86_64
version: "1.0"
base:
  {base}
software: {software}
targets: [{target}]
distribution:
  aws: {{regions: [eu-central-1, us-east-1], accounts: ["210987654321"], kms_alias: alias/images}}
"""
QEMU = 'qemu: {url: "https://example.org/disk.qcow2", sha256: "' + "a" * 64 + '"}'
AMI = 'aws: {ami: {name: "base-*", owner: self}}'
# What is built -> name of the block in the image file.
SOURCES = {
    ("debian-12", QEMU, "local"): "packer/templates/qemu qemu.linux",
    ("windows-2022", QEMU, "local"): "packer/templates/qemu qemu.windows",
    ("debian-12", AMI, "aws"): "packer/templates/aws amazon-ebs.linux",
    ("windows-2022", AMI, "aws"): "packer/templates/aws amazon-ebs.windows",
}
OWN = """\
packer {
  required_plugins {
    qemu = { source = "github.com/hashicorp/qemu", version = ">= 1.0.9" }
  }
}
variable "base_disk" {}
variable "output_folder" {}
variable "manifest" {}
source "qemu" "mine" {
  disk_image       = true
  iso_url          = var.base_disk
  iso_checksum     = "none"
  output_directory = var.output_folder
  communicator     = "none"
}
build {
  sources = ["source.qemu.mine"]
  post-processor "manifest" { output = var.manifest }
}
"""

Validate = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def validate(tmp_path: Path) -> Validate:
    """`bakery validate` on definitions by name, in a workspace of its own."""

    def run(**definitions: str) -> subprocess.CompletedProcess[str]:
        for name, text in definitions.items():
            (tmp_path / f"{name}.yaml").write_text(text)
        command: list[str | Path] = [Path(sys.executable).with_name("bakery"), "validate"]
        places: list[str | Path] = ["--definitions", tmp_path, "--workspace", tmp_path / "workspace"]
        return subprocess.run([*command, *places], cwd=ROOT, capture_output=True, text=True, check=False)

    return run


def image(name: str, os: str = "debian-12", base: str = QEMU, target: str = "local") -> str:
    software = "{roles: [{name: windows_base}]}" if os.startswith("windows") else "{packages: [jq]}"
    return IMAGE.format(name=name, os=os, base=base, target=target, software=software)


def test_every_image_file_of_ours_is_valid(validate: Validate) -> None:
    found = {f"image{number}": image(f"image{number}", *what) for number, what in enumerate(SOURCES)}
    answer = validate(**found)
    assert answer.returncode == 0, answer.stderr
    assert [line.removesuffix(": ok") for line in answer.stdout.splitlines()[len(SOURCES) :]] == list(SOURCES.values())


def test_the_definitions_here_are_valid() -> None:
    command: list[str | Path] = [Path(sys.executable).with_name("bakery"), "validate"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A template of somebody's own."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "mine.pkr.hcl").write_text(OWN)
    return folder / "mine.pkr.hcl"


def test_a_template_of_ones_own(validate: Validate, own: Path) -> None:
    answer = validate(web=image("web") + "template: own\n")
    assert (answer.returncode, answer.stdout.splitlines()[-1]) == (0, "own: ok"), answer.stderr


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("communicator", "comunicator", "mine.pkr.hcl:14: Packer refuses the template: Unsupported argument"),
        ('variable "manifest" {}\n', "", "mine.pkr.hcl:17: Packer refuses the template: Failed preparing"),
        ("build {", 'variable "licence" {}\nbuild {', "Packer refuses the template: Unset variable"),
        ('">= 1.0.9"', '">= 99"', "Packer has no plugin github.com/hashicorp/qemu >= 99"),
        ("output = var.manifest", 'output = "x"', "own: the template never uses var.manifest"),
        ('"none"\n  output', '"none"\n  ', "own: the template never uses var.output_folder"),
        ('communicator     = "none"', 'communicator = "winrm"', "mine.pkr.hcl:14: the template uses winrm"),
    ],
    ids=["typing error", "undeclared", "needs a value", "plugin", "no manifest", "no output", "communicator"],
)
def test_what_is_refused(validate: Validate, own: Path, old: str, new: str, message: str) -> None:
    text = own.read_text()
    assert old in text
    own.write_text(text.replace(old, new) if old != '"none"\n  output' else text.replace("var.output_folder", '"out"'))
    answer = validate(web=image("web") + "template: own\n")
    assert answer.returncode == 64
    assert message in answer.stderr.splitlines()[0], answer.stderr
    assert "hint: " in answer.stderr
