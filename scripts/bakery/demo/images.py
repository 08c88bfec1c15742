"""The demo's own copy of the definitions, so that it never touches the user's files."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from bakery.host import files

IMAGE = "web"
ROLE = "nginx"
VARIABLE = "nginx_message"
ARCHIVE_ROLE = "apt_archive"


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


def add_archive(folder: Path, variables: Mapping[str, Any]) -> None:
    """Add the role for the demo's package archive to the copy."""

    def add(roles: Any) -> None:
        roles.append({"name": ARCHIVE_ROLE, "vars": dict(variables)})

    _edit_roles(folder / f"{IMAGE}.yaml", add)


def _set_variable(path: Path, message: str) -> None:
    def change(roles: Any) -> None:
        for role in roles:
            if role["name"] == ROLE:
                role["vars"][VARIABLE] = message

    _edit_roles(path, change)


def _edit_roles(path: Path, edit: Callable[[Any], None]) -> None:
    """Change the list of roles as a user would in an editor, and leave the rest of the file unchanged."""
    yaml = YAML()
    definition = yaml.load(path)
    edit(definition["software"]["roles"])
    with path.open("w", encoding="utf-8") as stream:
        yaml.dump(definition, stream)
