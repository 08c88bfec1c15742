"""Checks that the text of a user's own template keeps the contract, of which Packer's validator knows nothing."""

import re
from collections.abc import Iterator
from pathlib import Path

from bakery.clouds import BUILDERS
from bakery.host.errors import UsageError
from bakery.model.definition import ImageDefinition

DOCS = "docs/how-to/bring-your-own-template.md has the contract"
COMMUNICATOR = re.compile(r'^\s*communicator\s*=\s*"(\w+)"')


def check_template(folder: Path, definition: ImageDefinition, builder: str) -> None:
    """Raise UsageError unless the template uses the variables that the bakery needs, and fits the definition's OS."""
    files = sorted(folder.glob("*.pkr.hcl"))
    text = "\n".join(file.read_text(encoding="utf-8", errors="replace") for file in files)
    missing = [name for name in BUILDERS[builder].required if f"var.{name}" not in text]
    if missing:
        raise UsageError(
            f"the template never uses {' and '.join(f'var.{name}' for name in missing)}", where=str(folder), hint=DOCS
        )
    expected = "winrm" if definition.windows else "ssh"
    communicators = [(place, kind) for file in files for place, kind in _find_communicators(file)]
    if communicators and all(kind != expected for _, kind in communicators):
        place, kind = communicators[0]
        raise UsageError(
            f"the template uses {kind}, but {definition.name} is {definition.os}, which needs {expected}",
            where=place,
            hint=DOCS,
        )


def _find_communicators(file: Path) -> Iterator[tuple[str, str]]:
    """(file:line, kind) of the communicators that log in to a guest."""
    for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if (match := COMMUNICATOR.match(line)) and match[1] != "none":
            yield f"{file}:{number}", match[1]
