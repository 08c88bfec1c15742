"""docs/how-to/add-a-cloud.md adds a cloud: its code, in a copy of the project, builds and publishes there."""

import json
import os
import re
import shutil
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from bakery.host import process

pytestmark = pytest.mark.integration

PAGE = Path("docs/how-to/add-a-cloud.md")
FILE = re.compile(r"^`([\w./-]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TOOL = re.compile(r"^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINE = re.compile(r"line to `CLOUDS`:\n\n```python\n(.*?)```", re.DOTALL)

# Builds nothing, and says that it did as Packer does.
PACKER = """\
import json, pathlib, sys
if sys.argv[1] == "version":
    print("Packer v{version}")
if sys.argv[1] == "build":
    file = next(word.removeprefix("-var-file=") for word in sys.argv if word.startswith("-var-file="))
    variables = json.loads(pathlib.Path(file).read_text())
    ansible = json.loads(pathlib.Path(variables["ansible_vars"]).read_text())
    pathlib.Path(ansible["archives_report"]["__ansible_unsafe"]).touch()  # by the seal
    build = {"packer_run_uuid": "1", "artifact_id": f"{variables['region']}:toy-of-{variables['block']}"}
    pathlib.Path(variables["manifest"]).write_text(json.dumps({"builds": [build], "last_run_uuid": "1"}))
    print("==> Builds finished. The artifacts of successful builds are:")
"""

Bakery = Callable[..., str]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `bakery` needs of the project, with the toy cloud in it."""
    source, copy = Path(__file__).parents[2], tmp_path_factory.mktemp("toy")
    for folder in ("scripts", "ansible", "packer/tests", "packer/templates", "tools"):
        shutil.copytree(source / folder, copy / folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    page = (source / PAGE).read_text()
    for name, text in FILE.findall(page):
        file = copy / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (tool,) = TOOL.findall(page)
    with (copy / "tools" / "tools.toml").open("a") as tools:
        tools.write(f"\n{tool}")
    (line,) = LINE.findall(page)
    clouds = copy / "scripts" / "bakery" / "clouds" / "__init__.py"
    text = clouds.read_text()
    assert "import aws, azure, local, vsphere" in text
    text = text.replace("import aws, azure, local, vsphere", "import aws, azure, local, toy, vsphere")
    clouds.write_text(re.sub(r"(CLOUDS: .*?)^}", rf"\1{line}}}", text, flags=re.MULTILINE | re.DOTALL))
    packer = copy / ".bakery" / "tools" / "bin" / "packer"
    packer.parent.mkdir(parents=True)
    pin = tomllib.loads((copy / "tools" / "tools.toml").read_text())["packer"]["version"]
    packer.write_text(f"#!{sys.executable} -IS\n{PACKER.replace('{version}', pin)}")
    packer.chmod(0o755)
    return copy


@pytest.fixture(scope="module")
def bakery(project: Path) -> Bakery:
    """`bakery ARGUMENTS` of the copy."""

    def run(*arguments: str) -> str:
        environment = {"PYTHONPATH": str(project / "scripts"), "PATH": os.environ["PATH"], "HOME": str(project)}
        command = [sys.executable, "-c", "import sys; from bakery.cli import main; sys.exit(main())", *arguments]
        return process.run(command, cwd=project, env=environment).stdout

    return run


def test_the_definition_is_valid(bakery: Bakery) -> None:
    assert bakery("validate") == "packer/images/doll.yaml: ok\npacker/templates/toy toy-block.linux: ok\n"


def test_the_schema_has_its_keys(bakery: Bakery) -> None:
    schema = json.loads(bakery("schema"))
    assert "toy" in schema["properties"]["targets"]["items"]["enum"]
    assert schema["$defs"]["ToyBase"]["properties"]["block"]["description"].startswith("name of the building block")
    assert "toy" in schema["$defs"]["Distribution"]["properties"]


def test_it_is_built_published_and_then_kept(bakery: Bakery, project: Path) -> None:
    (action,) = json.loads(bakery("plan", "--json"))["actions"]
    assert (action["kind"], action["inputs"]["base:toy"]) == ("bake", '{"block":"wood"}')
    assert action["inputs"]["tool:packer-plugin-toy"] == "missing", "nobody installed the plugin"
    assert "tool:packer-plugin-amazon" not in action["inputs"], "a tool of another builder only"
    (build,) = json.loads(bakery("bake", "--builder", "toy", "--json"))
    assert (build["builder"], build["ids"]) == ("toy-block", {"attic": "toy-of-wood"})
    (record,) = json.loads(bakery("publish", "--json"))
    (publication,) = record["publications"]
    assert [location["region"] for location in publication["locations"]] == ["attic", "cellar"]
    assert (project / "box" / "cellar" / "channel-stable").read_text() == "box/cellar/doll-1.0.0-x86_64"
    (project / "box" / "cellar" / "channel-stable").write_text("box/cellar/by-hand")
    assert "4 comparisons: 4 correct" in bakery("audit", "--fix")
    assert (project / "box" / "cellar" / "channel-stable").read_text() == "box/cellar/doll-1.0.0-x86_64"
    (kept,) = json.loads(bakery("plan", "--json"))["actions"]
    assert (kept["kind"], kept["reason"]) == ("keep", "inputs unchanged; not refreshed")


def test_ci_bakes_it_where_clouds_are(bakery: Bakery, project: Path) -> None:
    plan = json.loads(bakery("plan", "--json"))
    plan["actions"][0] |= {"kind": "bake"}
    (project / "plan.json").write_text(json.dumps(plan))
    image = f"registry.example.com/runner@sha256:{'0' * 64}"
    pipeline = bakery("ci", "plan.json", "--runner-image", image, "--vault-audience", "vault", "--target", "toy")
    assert "bake-public doll:" in pipeline
    assert "bakery bake doll --builder toy" in pipeline
