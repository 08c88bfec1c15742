"""Debian 13 beside Debian 12: its base boots, takes packages and roles, and passes the same tests."""

from pathlib import Path

import pytest

from bakery.bake import bake
from bakery.bake.request import BakeContext, BakeRequest
from bakery.clouds import definitions
from bakery.engine import toolbox
from bakery.host.events import silent
from bakery.layers.base import prepare
from bakery.model.bases import QemuBase
from bakery.model.definition import RoleUse, Software
from bakery.model.project import Project
from bakery.verify import verify

# 300 s of a processor: systemd and cloud-init of Debian 13 start slower without acceleration.
pytestmark = [pytest.mark.integration, pytest.mark.root, pytest.mark.guest, pytest.mark.soak]


def test_it_is_baked_and_passes_the_tests(project_root: Path, tmp_path: Path) -> None:
    project = Project(project_root, project_root / "packer" / "images", tmp_path)
    defined = definitions.load(project.definitions).images["debian-13"]
    assert isinstance(defined.base.qemu, QemuBase)
    recipe = project_root / "packer" / "base" / "debian"
    base = prepare(defined.base.qemu, project_root / ".bakery" / "test-cache", recipe, silent)
    software = Software(packages=("tree",), roles=(RoleUse(name="nginx", vars={"nginx_message": "Baked to order."}),))
    image = defined.model_copy(update={"mode": "chroot", "software": software})
    context = BakeContext(project, toolbox.toolchain(project), None, silent)
    artifact = bake(BakeRequest(image, "1.0.0", {}, "k" * 64), base, context)
    verdict = verify(project, image, artifact, Path(artifact.disk.path), [], silent)
    assert [(check.name, check.detail) for check in verdict.checks if not check.passed] == []
    assert {"all services run", "test_base: test_release"} <= {check.name for check in verdict.checks}
