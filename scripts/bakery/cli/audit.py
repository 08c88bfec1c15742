"""`bakery audit`: compare the catalog with the targets, and repair the difference."""

from collections import Counter
from collections.abc import Mapping
from typing import Annotated

import typer

from bakery.cli import options
from bakery.cli.session import session
from bakery.clouds.target import Status
from bakery.engine.audit import Audited, audit_image
from bakery.host import files
from bakery.host.errors import BakeryError, ExitCode, NotFoundError, join_errors
from bakery.host.parallel import raise_failures, run_parallel
from bakery.host.text import count_of
from bakery.model import documents
from bakery.reports import render_junit, render_table

HINTS: Mapping[Status, str] = {
    "incorrect": "run 'bakery audit --fix'",
    "missing": "run 'bakery audit --fix'",
    "unexpected": "remove it by hand, unless 'bakery audit --fix' does: nothing refers to it any more",
    "unreachable": "look at the login and the network, and run it again",
}
Fix = Annotated[bool, typer.Option("--fix", help="Repair what is wrong, then compare again.")]
All = Annotated[bool, typer.Option("--all", help="List what is correct, too.")]


def audit(
    images: options.Images = None,
    fix: Fix = False,
    show_all: All = False,
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
    jobs: options.Jobs = options.JOBS,
    json: options.Json = False,
    junit: options.JunitReport = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Compare published images with what their targets have.

    Looks at the newest version of each image, those that channels point at, and those that were deprecated, disabled or
    revoked: images, tags, shares, parameters, and each pointer of each channel. Exits with 1 if anything is not as the
    catalog says.

    Example: bakery audit web --fix
    """
    with session(
        definitions, workspace, catalog, verb="audit", must_exist=True, json=json, quiet=quiet, verbose=verbose
    ) as verb_session:
        selected = [definition.name for definition in verb_session.definitions.select(images or [])]
        outcomes = run_parallel(
            selected, lambda name: audit_image(verb_session, verb_session.definitions.images[name], fix=fix), jobs
        )
        results = [result for outcome in outcomes if outcome.result for result in outcome.result[0]]
        failures = [failure for outcome in outcomes if outcome.result for failure in outcome.result[1]]
        if json:
            print(documents.dump_all(results).decode(), end="")
        else:
            print(render(results, show_all=show_all))
        if junit:
            unread = [(outcome.name, outcome.error) for outcome in outcomes if outcome.error]
            cases = [(result.name, _as_error(result)) for result in results]
            files.write_atomic(junit, render_junit("audit", [*cases, *unread, *failures]))
        raise_failures(outcomes)
        if failures:
            hint = "remove the cause of each, and run it again; the rest is repaired"
            raise join_errors(failures, f"{count_of(len(failures), 'repair')} failed", hint)
    return ExitCode.OK if all(result.status == "correct" for result in results) else ExitCode.FAILED


def render(results: list[Audited], *, show_all: bool) -> str:
    """A line per difference, or per comparison, and a summary."""
    rows = [
        (each.image, each.version, each.channel or "-", each.target, each.location, each.status, each.detail or "-")
        for each in results
        if show_all or each.status != "correct"
    ]
    counts = Counter(result.status for result in results)
    summary = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    header = ("image", "version", "channel", "target", "location", "status", "detail")
    table = [render_table(header, rows)] if rows else []
    return "\n\n".join([*table, f"{count_of(len(results), 'comparison')}: {summary or 'none'}"])


def _as_error(result: Audited) -> BakeryError | None:
    if result.status == "correct":
        return None
    kind = NotFoundError if result.status == "missing" else BakeryError
    return kind(f"{result.status}: {result.detail}", where=result.location, hint=HINTS[result.status])
