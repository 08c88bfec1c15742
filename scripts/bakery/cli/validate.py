"""`bakery validate`: is every definition and every image file right, before anything is started."""

import os
from pathlib import Path
from typing import Annotated

import typer

from bakery.bake import validator
from bakery.cli import options, reportfile
from bakery.engine import toolbox
from bakery.engine.checks import check
from bakery.engine.session import Session, open_session
from bakery.host import parallel
from bakery.host.errors import BakeryError, UsageError, render_error
from bakery.host.parallel import Outcome
from bakery.model.definition import ImageDefinition
from bakery.reports import junit


def validate(
    images: options.Images = None,
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
    report: Annotated[
        Path | None,
        typer.Option("--junit", help="Write a JUnit report there, for CI.", callback=reportfile.writable),
    ] = None,
) -> int:
    """Check definitions and image files before anything starts.

    Keys, types, lineage, roles, tests and regions of definitions; then Packer's own validator on every template that
    they use, side by side. Errors say file:line; all of them are shown.

    Example: bakery validate --definitions packer/images
    """
    outcomes: list[Outcome[str]] = []
    try:
        session = open_session(definitions, workspace, options.CATALOG)
        selected = session.definitions.select(images or [])
    except UsageError as error:
        outcomes.append(Outcome(str(definitions), None, error))
    else:
        outcomes += _definitions(session, selected)
        if not any(outcome.error for outcome in outcomes):
            outcomes += _templates(session, selected)
    with reportfile.written(
        report, lambda: junit("bakery validate", [(outcome.name, outcome.error) for outcome in outcomes])
    ):
        for outcome in outcomes:
            if not outcome.error:
                print(f"{outcome.name}: ok")
        _raise([outcome.error for outcome in outcomes if outcome.error])
    return 0


def _definitions(session: Session, selected: list[ImageDefinition]) -> list[Outcome[str]]:
    by_file = {str(session.definitions.sources[image.name]): image for image in selected}

    def work(name: str) -> str:
        check(session, by_file[name])
        return name

    return parallel.run_parallel(list(by_file), work, 1)


def _templates(session: Session, selected: list[ImageDefinition]) -> list[Outcome[str]]:
    found = {str(template): template for template in validator.templates(selected)}
    if not found:
        return []
    toolchain = toolbox.toolchain(session.project, "tcg")  # either will do, and trying kvm out takes seconds

    def work(name: str) -> str:
        validator.validate(session.project, found[name], toolchain)
        return name

    return parallel.run_parallel(list(found), work, os.cpu_count() or 1)


def _raise(errors: list[BakeryError]) -> None:
    """The error itself if it is alone, else one that lists all."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise UsageError(f"{len(errors)} things are wrong", detail="\n".join(map(render_error, errors)))
