"""Terraform and cdktf as scripts that write down how they were called, and answer what a test wants."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bakery.infra import mirror
from bakery.project import Project

FAKE = """\
#!{python}
import json, os, sys
from pathlib import Path

here = Path(__file__).parent
calls = here / "calls.jsonl"
with calls.open("a") as stream:
    stream.write(json.dumps({{"argv": sys.argv[1:], "env": dict(os.environ), "cwd": os.getcwd()}}) + "\\n")
answer = json.loads((here / "answers.json").read_text()).get(sys.argv[1], {{}})
for option in sys.argv:
    if option.startswith("--outputs-file="):
        Path(option.split("=", 1)[1]).write_text(json.dumps(answer["outputs"]))
print(answer.get("stdout", ""))
print(answer.get("stderr", ""), file=sys.stderr)
sys.exit(answer.get("code", 0))
"""


@dataclass(frozen=True)
class Fake:
    """A wrapped tool. `answer` says how a subcommand ends, `calls` how it was called."""

    folder: Path

    def answer(self, command: str, **answer: Any) -> None:
        path = self.folder / "answers.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), command: answer}))

    @property
    def calls(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "calls.jsonl").read_text().splitlines()]


@pytest.fixture(autouse=True)
def no_mirror(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """What this machine has at its root is not looked at; what is put here is."""
    root = tmp_path / "root"
    root.mkdir()
    monkeypatch.setattr(mirror, "ROOT", root)
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path / "share"))
    return root


@pytest.fixture
def make_mirror() -> Callable[..., Path]:
    """Make a folder a mirror that has our provider for this machine."""

    def make(folder: Path, packed: bool = False, version: str = mirror.AWS_VERSION) -> Path:
        provider = folder / "registry.terraform.io" / "hashicorp" / "aws"
        if packed:
            provider.mkdir(parents=True)
            (provider / f"terraform-provider-aws_{version}_{mirror.machine()}.zip").touch()
        else:
            (provider / version / mirror.machine()).mkdir(parents=True)
        return folder

    return make


@pytest.fixture
def project(tmp_path: Path) -> Project:
    root = tmp_path / "project"
    project = Project(root, root / "packer" / "images", root / ".bakery")
    project.tool_bin.mkdir(parents=True)
    return project


@pytest.fixture
def fake(project: Project) -> Callable[[str], Fake]:
    """Install a fake of a program into the project's tools."""

    def install(name: str) -> Fake:
        program = project.tool_bin / name
        program.write_text(FAKE.format(python=sys.executable))
        program.chmod(0o755)
        (project.tool_bin / "answers.json").write_text("{}")
        return Fake(project.tool_bin)

    return install
