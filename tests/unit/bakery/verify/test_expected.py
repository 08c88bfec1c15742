"""A verdict proves what its checks say, and only if each expected check is there."""

from pathlib import Path

import pytest

from bakery.clouds.definitions import Definition
from bakery.host.errors import UsageError
from bakery.machine import secret_search
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Artifact, Check, RemoteBuild
from bakery.model.project import Project
from bakery.verify import boot, expect_checks, find_gaps, hygiene, windows

TESTS = '''
"""Tests of an image."""

def test_release(host): ...

def helper(): ...

@pytest.mark.parametrize("port", [80, 443])
def test_ports(host, port): ...

class TestPage:
    def test_answers(self, host): ...

    def fixture(self): ...
'''
NAMES = ["test_web: test_release", "test_web: test_ports", "test_web.TestPage: test_answers"]


@pytest.fixture
def image(definition: ImageDefinition, project: Project) -> ImageDefinition:
    (project.root / "packer" / "tests").mkdir(parents=True)
    (project.root / "packer" / "tests" / "test_web.py").write_text(TESTS)
    return definition.model_copy(update={"tests": ("web",)})


def test_a_disk_of_linux(project: Project, image: ImageDefinition, artifact: Artifact) -> None:
    """A rule that is added is expected from then on: the names come from the rules that verify runs."""
    expected = [*hygiene.RULES, secret_search.NAME, boot.BOOTS, boot.SERVICES, *NAMES]
    assert expect_checks(project, image, artifact) == expected


def test_a_disk_of_windows_is_not_booted(project: Project, image: ImageDefinition, artifact: Artifact) -> None:
    server = image.model_copy(update={"os": "windows-2022", "tests": ()})
    assert expect_checks(project, server, artifact) == [*windows.RULES, secret_search.NAME]


def test_a_build_has_the_tests(project: Project, image: ImageDefinition, build: RemoteBuild) -> None:
    assert expect_checks(project, image, build) == NAMES


def test_tests_that_cannot_be_read(project: Project, image: ImageDefinition, artifact: Artifact) -> None:
    (project.root / "packer" / "tests" / "test_web.py").write_text("def test(:\n")
    with pytest.raises(UsageError, match="it is not valid Python") as caught:
        expect_checks(project, image, artifact)
    assert caught.value.where.endswith("test_web.py:1")


EXPECTED = ["no SSH host keys", "test_web: test_ports"]
GOOD = [Check("no SSH host keys", True), Check("test_web: test_ports[80]", True)]


@pytest.mark.parametrize(
    ("checks", "gaps"),
    [
        (GOOD, []),
        ([GOOD[0], Check("...packer.tests.test_web: test_ports", True)], []),
        ([*GOOD, Check("test_web: test_ports[443]", True)], []),
        ([], [f"missing: {name}" for name in EXPECTED]),
        (GOOD[1:], ["missing: no SSH host keys"]),
        ([GOOD[0], Check("test_web: test_port", True)], ["missing: test_web: test_ports"]),
        ([GOOD[0], *GOOD], ["2 times: no SSH host keys"]),
        ([*GOOD, Check("other", False)], ["failed: other"]),
        ([*GOOD, Check(EXPECTED[0], False)], [f"2 times: {EXPECTED[0]}", f"failed: {EXPECTED[0]}"]),
    ],
)
def test_gaps(checks: list[Check], gaps: list[str]) -> None:
    assert find_gaps(EXPECTED, checks) == gaps


def test_every_image_of_the_project_has_tests_that_are_expected(project_root: Path, artifact: Artifact) -> None:
    """Their files follow pytest's rules for names, by which they are read."""
    for path in sorted((project_root / "packer" / "tests").glob("test_*.py")):
        name = path.stem.removeprefix("test_")
        image = Definition.model_validate(
            {
                "name": "web",
                "description": "A web server",
                "os": "debian-12",
                "arch": "x86_64",
                "version": "1.0",
                "base": {"qemu": {"image": "debian-12"}},
                "targets": ("local",),
                "tests": (name,),
            }
        )
        shop = Project(project_root, project_root / "packer" / "images", project_root / ".bakery")
        assert [check for check in expect_checks(shop, image, artifact) if check.startswith(f"{path.stem}: ")], name
