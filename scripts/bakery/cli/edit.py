"""`bakery add`, `remove` and `bump`: make frequent changes to a definition, each to one line of its file."""

import difflib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from bakery.bake import check_roles
from bakery.cli import options
from bakery.cli.plan import render
from bakery.cli.session import open_session
from bakery.clouds.definitions import Definition
from bakery.engine.session import Session
from bakery.host import files, yamlfile
from bakery.model import edit
from bakery.model import validation as strict
from bakery.model.definition import ImageDefinition


def add(
    image: options.Image,
    packages: Annotated[list[str], typer.Argument(metavar="PACKAGE", help="Package names, or NAME=VERSION.")],
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
) -> None:
    """Add packages to a definition.

    Leaves the rest of the file unchanged, and shows what a run would do next.

    Example: bakery add web jq curl
    """
    _edit_packages(edit.add_package, open_session(definitions, workspace, catalog), image, packages)
    _show_plan(open_session(definitions, workspace, catalog, quiet=True), image)


def remove(
    image: options.Image,
    packages: Annotated[list[str], typer.Argument(metavar="PACKAGE", help="Package names.")],
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
) -> None:
    """Remove packages from a definition.

    Leaves the rest of the file unchanged, and shows what a run would do next.

    Example: bakery remove web jq
    """
    _edit_packages(edit.remove_package, open_session(definitions, workspace, catalog), image, packages)
    _show_plan(open_session(definitions, workspace, catalog, quiet=True), image)


def bump(
    image: options.Image,
    major: Annotated[bool, typer.Option("--major/--minor", help="The number to raise.")] = False,
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
) -> None:
    """Start the next release line of an image.

    The catalog counts the third number, from 0 in a new release line. Shows what a run would do next.

    Example: bakery bump web --major
    """
    session = open_session(definitions, workspace, catalog)
    (chosen,) = session.definitions.select([image])
    path = session.definitions.sources[image]
    first, second = map(int, chosen.version.split("."))
    before = edit.read(path)
    text = edit.set_version(path, before, f"{first + 1}.0" if major else f"{first}.{second + 1}")
    _save_definition(session, chosen, before, text)
    _show_plan(open_session(definitions, workspace, catalog, quiet=True), image)


def _edit_packages(
    change: Callable[[Path, str, str], str], session: Session, image: str, packages: Sequence[str]
) -> None:
    (chosen,) = session.definitions.select([image])
    path = session.definitions.sources[image]
    before = text = edit.read(path)
    for name in packages:
        text = change(path, text, name)
    _save_definition(session, chosen, before, text)


def _save_definition(session: Session, image: ImageDefinition, before: str, text: str) -> None:
    """Write the file if its new content is valid, and show the lines that changed."""
    path: Path = session.definitions.sources[image.name]
    changed = strict.validate(Definition, "definition", path, yamlfile.parse(path, text))
    check_roles(session.project, changed, partial(session.definitions.where, image.name))
    files.write_atomic(path.resolve(), text.encode())  # a link stays one
    lines = difflib.unified_diff(before.splitlines(), text.splitlines(), str(path), str(path), n=0, lineterm="")
    print("\n".join(lines))


def _show_plan(session: Session, image: str) -> None:
    print(f"\n{render(session.plan([image]))}")
