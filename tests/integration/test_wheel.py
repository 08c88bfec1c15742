"""The wheel is enough: beside definitions, a user's project needs no file of the bakery's."""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from bakery.model.resources import SHIPPED
from doubles.programs import Programs

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
IMAGES = ROOT / "packer" / "images"


class User:
    """A folder with definitions alone, and the bakery out of its wheel."""

    def __init__(self, folder: Path) -> None:
        self.project, self.venv = folder / "project", folder / "venv"
        run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
        run(sys.executable, "-m", "venv", "--without-pip", self.venv, cwd=folder)
        (wheel,) = folder.glob("*.whl")
        python = self.venv / "bin" / "python"
        run(BIN / "uv", "pip", "install", "--quiet", "--offline", "--no-deps", "--python", python, wheel, cwd=folder)
        # The packages that it depends on; a `.pth` file in their folder, such as the checkout's own, is not read.
        self.packages = Path(sysconfig.get_path("purelib", vars={"base": str(self.venv)}))
        (self.packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
        (self.project / "packer" / "images").mkdir(parents=True)

    def define(self, *names: str) -> None:
        for name in names:
            (self.project / "packer" / "images" / name).write_bytes((IMAGES / name).read_bytes())

    def bakery(self, *arguments: str) -> str:
        return run(self.venv / "bin" / "bakery", *arguments, cwd=self.project)


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> User:
    return User(tmp_path_factory.mktemp("user"))


def test_the_package_is_the_wheels(user: User) -> None:
    code = "import bakery.model.resources as resources; print(resources.SHIPPED)"
    shipped = Path(run(user.venv / "bin" / "python", "-c", code, cwd=user.project).strip())
    assert shipped == user.packages / "bakery" / "_resources"
    for pattern in ("packer/templates/**/*", "packer/base/**/*", "packer/tests/*.py", "ansible/**/*", "tools/*.toml"):
        ours, theirs = (
            {path.relative_to(root): os.access(path, os.X_OK) for path in root.glob(pattern) if path.is_file()}
            for root in (SHIPPED, shipped)
        )
        assert ours, pattern
        assert {path: mode for path, mode in ours.items() if "__pycache__" not in path.parts} == theirs


def test_plan_gives_the_key_of_a_checkout(user: User, tmp_path: Path) -> None:
    names = [path.name for path in IMAGES.glob("*.yaml")]
    user.define(*names)
    theirs = json.loads(user.bakery("plan", "--json"))["actions"]
    workspace = ("--workspace", str(tmp_path))
    ours = json.loads(run(BIN / "bakery", "plan", "--json", *workspace, cwd=ROOT))["actions"]
    assert len(theirs) == len(names)
    assert [_without_tools(action["inputs"]) for action in theirs] == [
        _without_tools(action["inputs"]) for action in ours
    ]


def _without_tools(inputs: dict[str, str]) -> dict[str, str]:
    """The set-up installs tools beside a checkout, and the user of a wheel has others."""
    return {name: value for name, value in inputs.items() if not name.startswith("tool:")}


def test_validate_reads_roles_tests_and_templates(user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user.define("rocky-9.yaml")
    programs = Programs(tmp_path / "bin", monkeypatch)
    programs.shell("packer")
    assert "rocky-9.yaml: ok" in user.bakery("validate", "rocky-9")
    (call,) = [call for call in programs.calls("packer") if call.startswith("validate")]
    assert call.endswith("/bakery/_resources/packer/templates/aws")


def test_schema(user: User) -> None:
    assert json.loads(user.bakery("schema"))["title"] == "ImageDefinition"
