"""`bakery show`: everything that is known of one version."""

from collections.abc import Iterable, Iterator
from typing import Annotated

import typer

from bakery.cli import options
from bakery.cli.completion import complete_version_names
from bakery.cli.session import find_catalog
from bakery.engine.overview import Overview, describe_version, find_record, read_sbom, read_vex
from bakery.model import documents
from bakery.model.contents import ArchiveState, Contents, SbomFormat
from bakery.model.documents import Base, VendorBase, VulnerabilitySummary

WIDTH = 12  # columns of the names


def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="IMAGE, IMAGE@VERSION, IMAGE@CHANNEL, the ID of an image, a digest or a parameter.",
            autocompletion=complete_version_names,
        ),
    ],
    arch: options.Arch = options.ARCH,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
    sbom: Annotated[SbomFormat | None, typer.Option(help="Print its bill of materials.")] = None,
    vex: Annotated[bool, typer.Option("--vex", help="Print its OpenVEX document of ignored vulnerabilities.")] = False,
    json: options.Json = False,
) -> None:
    """Show the locations, the lineage and the contents of a version.

    IMAGE alone is its newest complete version. The packages themselves are in the JSON.

    Example: bakery show web@stable
    """
    image_catalog = find_catalog(workspace, catalog, quiet=json)
    record = find_record(image_catalog, name, arch)
    if sbom:
        print(read_sbom(image_catalog, record, sbom).decode(), end="")
        return
    if vex:
        print(read_vex(image_catalog, record).decode(), end="")
        return
    overview = describe_version(image_catalog, record)
    print(documents.dump(overview).decode() if json else render(overview), end="" if json else "\n")


def render(overview: Overview) -> str:
    """A line for each fact."""
    record = overview.record
    lines = [f"{record.image} {record.version} ({record.arch})"]
    for name, values in _facts(overview):
        lines += [f"{label:{WIDTH}}{value}" for label, value in zip([name, *[""] * len(values)], values, strict=False)]
    return "\n".join(lines)


def _facts(overview: Overview) -> Iterator[tuple[str, list[str]]]:
    """Names and their values, which may be none."""
    record = overview.record
    reason = f": {record.reason}" if record.state not in ("reserved", "complete") else ""
    pending = ", pending" if record.pending else ""
    yield "state", [f"{record.state}{pending}, {record.at} by {record.by}{reason}"]
    yield "channels", [", ".join(overview.channels)] if overview.channels else []
    yield "baked", [f"{record.baked}, mode {record.mode}, commit {record.commit or 'unknown'}"] if record.baked else []
    yield "digest", [record.sha256] if record.sha256 else []
    yield "built on", _list_names(overview.ancestors)
    yield "vendor", [_describe_base(builder, base) for builder, base in record.vendor_bases.items()]
    yield "base of", _list_names(overview.descendants)
    yield "checks", [f"{record.checks} passed"] if record.checks else []
    yield from _content_facts(overview.contents)
    yield "at bake", _describe_vulnerabilities(record.vulnerabilities)
    for publication in record.publications:
        ids = [
            " ".join(filter(None, (location.account, location.region, location.id)))
            for location in publication.locations
        ]
        yield publication.target, [*ids, *(pointer.name for pointer in publication.pointers)]


def _content_facts(contents: Contents | None) -> Iterator[tuple[str, list[str]]]:
    if contents is None:
        yield "contents", ["unknown: the image was not read"]
        return
    yield "system", [contents.os] if contents.os else []
    size = f", {contents.size / 1e6:.0f} MB" if contents.size is not None else ""
    yield "contents", [f"{len(contents.packages)} packages{size}"]
    yield "archives", [_describe_archive(state) for state in contents.archives]
    yield "kernels", list(contents.kernels)
    yield "boot", [file.path for file in contents.boot if file.path.lower().endswith(".efi")]


def _describe_archive(state: ArchiveState) -> str:
    """Address, suite, components, and the date of the signed list."""
    return f"{' '.join((state.uri, state.suite, *state.components))}, {state.date}"


def _describe_vulnerabilities(summary: VulnerabilitySummary | None) -> list[str]:
    if summary is None:
        return []
    counts = ", ".join(f"{count} {severity}" for severity, count in summary.counts.items())
    return [f"CVEs: {counts or 'none'}; database of {summary.database.built[:10]}"]


def _describe_base(builder: str, base: VendorBase) -> str:
    """The base that a builder started from, and its date."""
    return f"{builder}: {base.name} {base.identity}{f', {base.date}' if base.date else ''}"


def _list_names(versions: Iterable[Base]) -> list[str]:
    return [f"{version.name} {version.version}".rstrip() for version in versions]
