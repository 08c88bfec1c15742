"""Where a bake finds what it reads: the user's own first, then what the bakery ships."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bakery.model.resources import SHIPPED, Resources

KINDS: dict[str, tuple[str, Callable[[Resources], Path]]] = {
    "template": ("packer/templates/qemu", lambda resources: resources.template("qemu")),
    "recipe": ("packer/base/debian", lambda resources: resources.recipe("debian")),
    "image test": ("packer/tests/test_web.py", lambda resources: resources.image_test("web")),
    "role": ("ansible/roles/nginx", lambda resources: resources.role("nginx")),
    "playbooks": ("ansible/playbooks", lambda resources: resources.playbooks),
    "tool pins": ("tools/tools.toml", lambda resources: resources.tool_pins),
}


@pytest.fixture
def resources(tmp_path: Path) -> Resources:
    return Resources(tmp_path / "project", tmp_path / "shipped")


@pytest.mark.parametrize("kind", KINDS)
def test_the_users_own_comes_first(resources: Resources, kind: str) -> None:
    path, find = KINDS[kind]
    assert find(resources) == resources.project / path, "a hint names where to write it"
    (resources.shipped / path).mkdir(parents=True)
    assert find(resources) == resources.shipped / path
    (resources.project / path).mkdir(parents=True)
    assert find(resources) == resources.project / path


def test_names_of_both(resources: Resources) -> None:
    for root, role in ((resources.project, "own"), (resources.shipped, "shipped"), (resources.shipped, "own")):
        (root / "ansible" / "roles" / role / "tasks").mkdir(parents=True)
    (resources.project / "ansible" / "roles" / "empty").mkdir()
    (resources.shipped / "packer" / "tests").mkdir(parents=True)
    (resources.shipped / "packer" / "tests" / "test_base.py").touch()
    assert resources.roles() == ["own", "shipped"]
    assert resources.image_tests() == ["base"]
    own, shipped = resources.roles_path.split(":")
    assert (own, shipped) == (f"{resources.project}/ansible/roles", f"{resources.shipped}/ansible/roles")


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkout_ships_each_kind(kind: str, tmp_path: Path) -> None:
    path, find = KINDS[kind]
    assert find(Resources(tmp_path)) == SHIPPED / path
    assert (SHIPPED / path).exists()
