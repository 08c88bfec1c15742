"""The demo changes a copy of the definitions."""

import shutil
from pathlib import Path

import pytest

from bakery.clouds import definitions
from bakery.demo import images


@pytest.fixture
def source(tmp_path: Path, project_root: Path) -> Path:
    """The user's own definitions."""
    return Path(shutil.copytree(project_root / "packer" / "images", tmp_path / "source"))


def message(folder: Path) -> str:
    (use,) = definitions.load(folder).images[images.IMAGE].software.roles
    return str(use.vars[images.VARIABLE])


def test_a_copy_is_the_same(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "demo" / "images"
    assert images.prepare(source, folder, change=False) == 0
    for path in source.iterdir():
        assert (folder / path.name).read_text() == path.read_text()


def test_changes_are_counted(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "demo" / "images"
    seen = []
    for change in (False, True, False, True):
        count = images.prepare(source, folder, change)
        seen.append((count, message(folder)))
    first, second = "Baked after change 1", "Baked after change 2"
    assert [count for count, _ in seen] == [0, 1, 1, 2]
    assert [text for _, text in seen][1:] == [first, first, second]


def test_nothing_but_the_variable_changes(source: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_text() for path in source.iterdir()}
    folder = tmp_path / "demo" / "images"
    images.prepare(source, folder, change=True)
    assert {path.name: path.read_text() for path in source.iterdir()} == before, "the user's files are his"
    old = definitions.load(source).images[images.IMAGE]
    new = definitions.load(folder).images[images.IMAGE]
    assert old.model_dump(exclude={"software"}) == new.model_dump(exclude={"software"})
    assert message(source) in before["web.yaml"]
    comments = [line.partition("#")[2] for line in before["web.yaml"].splitlines() if "#" in line]
    assert comments
    assert all(comment in (folder / "web.yaml").read_text() for comment in comments)


def test_the_users_own_edits_come_along(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "demo" / "images"
    images.prepare(source, folder, change=True)
    web = source / "web.yaml"
    web.write_text(web.read_text().replace("team: web", "team: shop"))
    assert images.prepare(source, folder, change=False) == 1
    assert definitions.load(folder).images["web"].tags["team"] == "shop"
    assert message(folder) == "Baked after change 1"


def test_the_archive_is_one_more_role(source: Path, tmp_path: Path) -> None:
    """The definition is right with it, so the role has these variables."""
    folder = tmp_path / "demo" / "images"
    images.prepare(source, folder, change=True)
    variables = {
        "apt_archive_name": "demo",
        "apt_archive_uri": "http://127.0.0.1:8300",
        "apt_archive_suites": ["demo"],
        "apt_archive_key": "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabc\n",
    }
    images.add_archive(folder, variables)
    web, role = definitions.load(folder).images[images.IMAGE].software.roles
    assert web.vars[images.VARIABLE] == "Baked after change 1"
    assert (role.name, role.vars) == ("apt_archive", variables)
