"""Finds the files that a bake reads besides definitions: first in the user's project, then in the bakery."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
# The wheel has the files inside of the package, a checkout has them around it.
SHIPPED = _PACKAGE / "_resources" if (_PACKAGE / "_resources").is_dir() else _PACKAGE.parents[1]


@dataclass(frozen=True)
class Resources:
    """A path in `project` if it exists there, else in `shipped`; in `project` if it is in neither.

    Folders are not merged: a user's own template shares no file with the shipped one.
    """

    project: Path
    shipped: Path = SHIPPED

    def template(self, folder: str) -> Path:
        """A folder of *.pkr.hcl."""
        return self._first_path("packer", "templates", folder)

    def recipe(self, name: str) -> Path:
        """A folder that says how a base disk is made."""
        return self._first_path("packer", "base", name)

    def image_test(self, name: str) -> Path:
        """A module that runs inside a booted image."""
        return self._first_path("packer", "tests", f"test_{name}.py")

    def image_tests(self) -> list[str]:
        """Names of all image tests."""
        return self._unique_names("packer/tests/test_*.py", lambda path: path.stem.removeprefix("test_"))

    def role(self, name: str) -> Path:
        """The folder in which Ansible finds a role by way of `roles_path`."""
        return self._first_path("ansible", "roles", name)

    def roles(self) -> list[str]:
        """Names of all roles."""
        return self._unique_names("ansible/roles/*/tasks", lambda path: path.parent.name)

    @property
    def roles_path(self) -> str:
        """The value of ANSIBLE_ROLES_PATH, in the order of `role`."""
        return ":".join(str(root / "ansible" / "roles") for root in self._search_roots)

    @property
    def playbooks(self) -> Path:
        """The folder of bake.yml, bake-windows.yml and ansible.cfg."""
        return self._first_path("ansible", "playbooks")

    @property
    def tool_pins(self) -> Path:
        """The versions that the set-up installs."""
        return self._first_path("tools", "tools.toml")

    @property
    def tools(self) -> Path:
        """The folder of the set-up: programs in bin/, plugins in packer-plugins/."""
        return self._first_path(".bakery", "tools")

    @property
    def _search_roots(self) -> tuple[Path, ...]:
        return tuple(dict.fromkeys((self.project, self.shipped)))

    def _first_path(self, *parts: str) -> Path:
        paths = [root.joinpath(*parts) for root in self._search_roots]
        return next((path for path in paths if path.exists()), paths[0])

    def _unique_names(self, pattern: str, name_of: Callable[[Path], str]) -> list[str]:
        return sorted({name_of(path) for root in self._search_roots for path in root.glob(pattern)})
