"""The demo's own copy of the definitions, so that `CHANGE=1` never touches the user's files."""

import json
import shutil
from pathlib import Path

from ruamel.yaml import YAML

from bakery.host import files

IMAGE = "web"
ROLE = "nginx"
VARIABLE = "nginx_message"


def prepare(source: Path, folder: Path, change: bool) -> int:
    """Copy the definitions and set the role variable for the count of changes; returns the count."""
    counter = folder.with_name("changes.json")
    count = int(json.loads(counter.read_text())) if counter.exists() else 0
    count += 1 if change else 0
    folder.mkdir(parents=True, exist_ok=True)
    for path in source.glob("*.yaml"):
        shutil.copyfile(path, folder / path.name)
    if count:
        _set_variable(folder / f"{IMAGE}.yaml", f"Baked after change {count}")
    files.write_atomic(counter, json.dumps(count).encode())
    return count


def _set_variable(path: Path, message: str) -> None:
    """Set the variable as a user would in an editor, and leave the rest of the file unchanged."""
    yaml = YAML()
    definition = yaml.load(path)
    for role in definition["software"]["roles"]:
        if role["name"] == ROLE:
            role["vars"][VARIABLE] = message
    with path.open("w", encoding="utf-8") as stream:
        yaml.dump(definition, stream)
