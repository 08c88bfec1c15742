"""How verbs open a session: with or without a screen, and with the catalog alone.

Each names its catalog on standard error: after a forgotten BAKERY_CATALOG, the answer would be of another one.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bakery.catalog import Catalog
from bakery.cli import options
from bakery.engine import session as sessions
from bakery.engine.session import Session, locate, open_catalog
from bakery.host import files
from bakery.host.errors import BakeryError
from bakery.host.events import Reporter
from bakery.host.files import explain_refusals
from bakery.infra import env
from bakery.model.project import Project
from bakery.reports import Verbosity, watch


@contextmanager
def session(
    definitions: Path,
    workspace: Path,
    catalog: str,
    *,
    verb: str,
    must_exist: bool = False,
    json: bool = False,
    quiet: bool = False,
    verbose: bool = False,
) -> Iterator[Session]:
    """Open a session whose events are shown; NotFoundError if its catalog must exist and does not."""
    silent_session = open_session(definitions, workspace, catalog, must_exist=must_exist, quiet=json or quiet)
    with show_events(silent_session.project, verb, quiet=quiet, verbose=verbose) as report:
        yield replace(silent_session, report=report)


def open_session(
    definitions: Path, workspace: Path, catalog: str, *, must_exist: bool = False, quiet: bool = False
) -> Session:
    """Open a session without events; NotFoundError if its catalog must exist and does not."""
    opened = sessions.open_session(definitions, workspace, catalog, must_exist=must_exist)
    if not quiet:
        _name_catalog(opened.catalog)
    return opened


@contextmanager
def show_events(project: Project, verb: str, *, quiet: bool, verbose: bool) -> Iterator[Reporter]:
    """Events go to the screen and to `logs/<time>-<verb>.log`; its path is shown on failure."""
    files.make_private(project.workspace)  # disks, logs and caches have hashes of passwords
    log = project.logs / f"{time.strftime('%Y%m%d-%H%M%S')}-{verb}-{os.getpid()}.log"
    verbosity = Verbosity.QUIET if quiet else Verbosity.VERBOSE if verbose else Verbosity.NORMAL
    try:
        with watch(sys.stderr, verbosity, log, env.secret_values(os.environ)) as report, explain_refusals():
            yield report
    except BakeryError as error:
        error.log = error.log or log
        raise


def describe_project(workspace: Path) -> Project:
    """The project of the current folder, which need not have definitions, for verbs that read the catalog alone."""
    return Project(Path.cwd(), options.DEFINITIONS, workspace.absolute())


def find_catalog(workspace: Path, location: str, trusted: Path | None = None, *, quiet: bool = False) -> Catalog:
    """The catalog, which must exist, for verbs that read nothing else; one with its own location needs no project.

    `trusted` is a file with the keys to trust.
    """
    project = describe_project(workspace) if location else locate(options.DEFINITIONS, workspace)
    image_catalog = open_catalog(project, location, trusted, must_exist=True)
    if not quiet:
        _name_catalog(image_catalog)
    return image_catalog


def _name_catalog(image_catalog: Catalog) -> None:
    print(f"catalog {image_catalog.location}", file=sys.stderr)
