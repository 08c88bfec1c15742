"""Published Terraform modules: the README lists every input and output, as the code has them."""

import re
from pathlib import Path

import pytest

MODULES = sorted(path.parent for path in (Path(__file__).parents[2] / "modules").glob("*/versions.tf"))
BLOCK = re.compile(r'^(?:variable|output) "(\w+)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| `(\w+)` \|(.*)\|$", re.MULTILINE)


def attribute(block: str, name: str) -> str:
    found = re.search(rf"^  {name} += (.*)$", block, re.MULTILINE)
    return found[1] if found else ""


def declared(path: Path) -> dict[str, list[str]]:
    """By name: the cells that a row of the table has besides."""
    rows = {}
    for name, block in BLOCK.findall(path.read_text()):
        typed = [attribute(block, "type"), f"`{attribute(block, 'default')}`"] if attribute(block, "type") else []
        rows[name] = [cell.replace("``", "") for cell in (*typed, attribute(block, "description").strip('"'))]
    return rows


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_the_readme_lists_inputs_and_outputs(module: Path) -> None:
    rows = ROW.findall((module / "README.md").read_text())
    told = {name: [cell.strip() for cell in cells.split("|")] for name, cells in rows}
    assert told == declared(module / "variables.tf") | declared(module / "outputs.tf")
    assert len(told) >= 9


def test_there_is_a_module() -> None:
    assert [module.name for module in MODULES] == ["image"]
