"""The definitions that come with the project, and the examples, are right."""

import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from bakery.clouds import definitions
from bakery.clouds.aws.settings import AwsDistribution
from bakery.engine.checks import check
from bakery.engine.session import Session, open_catalog
from bakery.model.project import Project

ROOT = Path(__file__).parents[3]
IMAGES = sorted((ROOT / "packer" / "images").glob("*.yaml"))
EXAMPLES = sorted((ROOT / "examples" / "definitions").glob("*.yaml"))


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """The project with its examples copied to where definitions are, as their README says."""
    for path in (*IMAGES, *EXAMPLES):
        shutil.copyfile(path, tmp_path / path.name)
    project = Project(ROOT, tmp_path, tmp_path / "workspace")
    return Session(
        project,
        definitions.load(tmp_path),
        open_catalog(project, ""),
    )


@pytest.mark.parametrize("path", [*IMAGES, *EXAMPLES], ids=lambda path: path.stem)
def test_a_definition_is_right(session: Session, path: Path) -> None:
    check(session, session.definitions.images[path.stem])


def test_every_family_and_kind_of_base_is_there(session: Session) -> None:
    images = session.definitions.images.values()
    assert {image.os for image in images} == {"debian-12", "debian-13", "ubuntu-24.04", "rocky-9", "windows-2022"}
    assert {image.name for image in images if image.parent == "debian-13"} == {"web", "app", "vault", "gitlab-runner"}


def test_every_role_is_used_by_an_image(session: Session) -> None:
    used = {use.name for image in session.definitions.images.values() for use in image.software.roles}
    included = {"fetch_parameter", "seal", "vendor_file"}  # by other roles, and by every bake
    without_checksum = {"ssm_agent"}  # docs/how-to/add-an-image.md says why
    of_the_demo = {"apt_archive"}  # no archive is there for everybody
    assert {
        path.name for path in (ROOT / "ansible" / "roles").iterdir()
    } - used == included | without_checksum | of_the_demo


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_an_image_that_production_starts(session: Session, path: Path) -> None:
    """What a stack needs of its image: there, in the home region, by a key that it may use, in its channel."""
    environment = YAML(typ="safe").load(ROOT / "cdktf" / "environments" / "production.yaml")
    image = session.definitions.images[path.stem]
    settings = image.distribution.of(AwsDistribution)
    assert settings is not None
    assert "aws" in image.targets
    assert environment["home_region"] in settings.regions
    assert settings.kms_alias == f"alias/bakery-{environment['name']}"
    assert image.channel == environment["channel"]


def test_every_example_is_explained() -> None:
    readme = (ROOT / "examples" / "definitions" / "README.md").read_text()
    assert [path.name for path in EXAMPLES if f"]({path.name})" not in readme] == []
