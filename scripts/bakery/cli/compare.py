"""`bakery compare`: the differences between two versions."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from bakery.catalog import Catalog, Record
from bakery.cli import options
from bakery.cli.completion import complete_version_names
from bakery.cli.session import describe_project, find_catalog
from bakery.contents.comparison import Comparison, FileChange, PackageChange, Side
from bakery.engine.overview import compare_records, find_previous, find_record
from bakery.host.errors import NotFoundError, UsageError
from bakery.model import documents
from bakery.model.vulnerabilities import VulnerabilityChanges
from bakery.reports import render_table

Versions = Annotated[
    list[str],
    typer.Argument(
        metavar="VERSION",
        help="One or two versions, as 'bakery show' takes them.",
        autocompletion=complete_version_names,
    ),
]
COLUMNS = ("package", "before", "after")
KINDS = ("added", "removed", "changed")
SHOWN = 20  # files that differ; a release note stays readable


def compare(
    versions: Versions,
    arch: options.Arch = options.ARCH,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
    json: options.Json = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print it for a release note or a merge request.")
    ] = False,
) -> None:
    """Show what differs between two versions.

    Compares packages, kernels, boot files, other files, inputs and vulnerabilities. One version alone is compared with
    the complete version before it. Files of a package that differs are not listed.

    Vulnerabilities are compared by one database: the one that answered for both versions, or else the one that
    BAKERY_VULNERABILITY_DATABASE names.

    Example: bakery compare web@1.0.3 web@1.0.4

    Example: bakery compare web@stable
    """
    if json and markdown:
        raise UsageError("--json and --markdown exclude each other")
    if len(versions) > 2:
        raise UsageError(f"{len(versions)} versions", hint="compare takes one or two")
    image_catalog = find_catalog(workspace, catalog, quiet=json)
    before, after = _find_sides(image_catalog, [find_record(image_catalog, name, arch) for name in versions])
    comparison = compare_records(image_catalog, before, after, describe_project(workspace))
    if json:
        print(documents.dump(comparison).decode(), end="")
    else:
        print(render_markdown(comparison) if markdown else render(comparison))


def _find_sides(image_catalog: Catalog, records: Sequence[Record]) -> tuple[Record, Record]:
    """The two records to compare, of one or two that were named."""
    after = records[-1]
    before = records[0] if len(records) == 2 else find_previous(image_catalog, after)
    if before is None:
        raise NotFoundError(f"{after.image} {after.version} ({after.arch}) is the first complete version")
    return before, after


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
        unknown = [f"{side.image} {side.version}" for side in (before, after) if side.kernels is None]
        yield f"packages: unknown, since {' and '.join(unknown)} {'was' if len(unknown) == 1 else 'were'} not read"
    else:
        yield f"packages: {_count_kinds(comparison.packages)}"
    if comparison.files:
        yield f"files beside those of these packages: {_count_kinds(comparison.files)}"
        yield from (f"{change.kind}: {change.path}" for change in comparison.files[:SHOWN])
        if len(comparison.files) > SHOWN:
            yield f"{len(comparison.files) - SHOWN} more files: --json lists all"
    yield from _vulnerability_facts(comparison.vulnerabilities)
    if before.kernels != after.kernels:
        yield f"kernels: {_kernel_text(before)} -> {_kernel_text(after)}"
    if comparison.boot:
        yield f"boot files: {', '.join(comparison.boot)}"
    if _size_text(before) != _size_text(after):
        yield f"size: {_size_text(before)} -> {_size_text(after)}"
    if before.sha256 == after.sha256:
        yield "the disks are equal"


def _count_kinds(changes: Sequence[PackageChange | FileChange]) -> str:
    return ", ".join(f"{sum(change.kind == kind for change in changes)} {kind}" for kind in KINDS)


def _vulnerability_facts(changes: VulnerabilityChanges | None) -> Iterator[str]:
    if changes is None:
        yield "CVEs: unknown, since no database has answered for both versions"
        return
    counts = f"{len(changes.fixed)} fixed, {len(changes.introduced)} introduced"
    yield f"CVEs: {counts}; database of {changes.database.built[:10]}"
    for name, identifiers in (("fixed", changes.fixed), ("introduced", changes.introduced)):
        if identifiers:
            yield f"{name}: {', '.join(f'{identifier} ({identifiers[identifier]})' for identifier in identifiers)}"


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
