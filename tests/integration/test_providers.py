"""A provider that somebody planted, and the real Terraform: it is installed nowhere and never runs."""

import os
import shutil
from pathlib import Path

import pytest

from bakery.host.errors import BakeryError
from bakery.infra import mirror
from bakery.infra.terraform import Terraform
from bakery_stacks import locks
from integration.published_images import project

pytestmark = pytest.mark.integration

STACK = """\
terraform {{
  required_providers {{
    aws = {{ source = "hashicorp/aws", version = "{version}" }}
  }}
}}
data "aws_region" "here" {{}}
"""


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A mirror with a program in place of the provider: it writes a file beside itself when it runs."""
    folder = tmp_path / "mirror" / mirror.AWS / mirror.AWS_VERSION / mirror.terraform_platform()
    folder.mkdir(parents=True)
    program = folder / f"terraform-provider-aws_v{mirror.AWS_VERSION}_x5"
    program.write_text(f"#!/bin/sh\nenv > {tmp_path}/stolen\n")
    program.chmod(0o755)
    return tmp_path / "mirror"


@pytest.mark.parametrize("locked", [True, False])
def test_a_planted_provider_never_runs(planted: Path, tmp_path: Path, locked: bool) -> None:
    stack = tmp_path / "stack"
    stack.mkdir()
    (stack / "main.tf").write_text(STACK.format(version=mirror.AWS_VERSION))
    if locked:
        shutil.copy(locks.COMMITTED, stack / locks.NAME)
    environment = {"PATH": os.environ["PATH"], mirror.VARIABLE: str(planted), "AWS_SECRET_ACCESS_KEY": "hidden"}
    terraform = Terraform(project(tmp_path / "workspace"), stack, environment)
    with pytest.raises(BakeryError, match="differs from the lock file"):
        terraform.init()
    with pytest.raises(BakeryError):
        terraform.plan(tmp_path / "plan")
    assert not (tmp_path / "stolen").exists()
    assert locked is (stack / locks.NAME).exists(), "Terraform has not locked it either"
