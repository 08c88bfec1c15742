"""`bakery compare`: the differences between two versions."""

from collections.abc import Iterator
from typing import Annotated

import typer

from bakery.cli import options
from bakery.cli.session import find_catalog
from bakery.contents.comparison import Comparison, Side
from bakery.engine.overview import compare_records, find_record
from bakery.host.errors import UsageError
from bakery.model import documents
from bakery.reports import render_table

HELP = "A version, as 'bakery show' takes it."
Before = Annotated[str, typer.Argument(metavar="BEFORE", help=HELP)]
After = Annotated[str, typer.Argument(metavar="AFTER", help=HELP)]
COLUMNS = ("package", "before", "after")


def compare(
    before: Before,
    after: After,
    arch: options.Arch = options.ARCH,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
    json: options.Json = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print it for a release note or a merge request.")
    ] = False,
) -> None:
    """Show which packages, kernels and inputs differ between two versions.

    Example: bakery compare web@1.0.3 web@1.0.4
    """
    if json and markdown:
        raise UsageError("--json and --markdown exclude each other")
    image_catalog = find_catalog(workspace, catalog)
    comparison = compare_records(
        image_catalog, find_record(image_catalog, before, arch), find_record(image_catalog, after, arch)
    )
    if json:
        print(documents.dump(comparison).decode(), end="")
    else:
        print(render_markdown(comparison) if markdown else render(comparison))


def render(comparison: Comparison) -> str:
    """A line for each fact, a table of packages, and a line for each input."""
    lines = [_name_sides(comparison), *_facts(comparison)]
    if comparison.packages:
        lines += ["", render_table(COLUMNS, list(_package_rows(comparison)))]
    if comparison.inputs:
        lines += ["", *(f"input {change}" for change in comparison.inputs)]
    return "\n".join(lines)


def render_markdown(comparison: Comparison) -> str:
    """The same as a section with lists and a table."""
    lines = [f"## {_name_sides(comparison)}", "", *(f"- {fact}" for fact in _facts(comparison))]
    if comparison.packages:
        rows = [COLUMNS, ("---",) * len(COLUMNS), *_package_rows(comparison)]
        lines += ["", *(f"| {' | '.join(row)} |" for row in rows)]
    if comparison.inputs:
        lines += ["", *(f"- input {change}" for change in comparison.inputs)]
    return "\n".join(lines)


def _facts(comparison: Comparison) -> Iterator[str]:
    before, after = comparison.before, comparison.after
    if comparison.packages is None:
        unknown = " and ".join(f"{side.image} {side.version}" for side in (before, after) if side.size is None)
        yield f"packages: unknown, since the disk of {unknown} was not read"
    else:
        yield (
            f"packages: {comparison.count('added')} added, {comparison.count('removed')} removed, "
            f"{comparison.count('changed')} changed"
        )
    if before.kernels != after.kernels:
        yield f"kernels: {_kernel_text(before)} -> {_kernel_text(after)}"
    if before.size != after.size:
        yield f"size: {_size_text(before)} -> {_size_text(after)}"
    if before.sha256 == after.sha256:
        yield "the disks are equal"


def _name_sides(comparison: Comparison) -> str:
    before, after = comparison.before, comparison.after
    return f"{before.image} {before.version} -> {after.image} {after.version} ({comparison.arch})"


def _package_rows(comparison: Comparison) -> Iterator[tuple[str, ...]]:
    for change in comparison.packages or ():
        yield (f"{change.name}:{change.architecture}", change.before or "-", change.after or "-")


def _kernel_text(side: Side) -> str:
    return "unknown" if side.kernels is None else ", ".join(side.kernels) or "none"


def _size_text(side: Side) -> str:
    return "unknown" if side.size is None else f"{side.size / 1e6:.0f} MB"
