"""`bakery attest`: the signed statement about a version, and its comparison with what the clouds hold."""

import json as json_format
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from bakery.cli import options
from bakery.cli.completion import complete_version_names
from bakery.cli.session import describe_project, find_catalog, show_events
from bakery.clouds.definitions import load_valid
from bakery.engine.attest import (
    Attestation,
    check_images,
    read_provenance,
    refuse_other_version,
    require_equal,
    verify_provenance,
)
from bakery.engine.overview import find_record
from bakery.engine.read_back import ImageReader
from bakery.model import documents
from bakery.model.definition import ImageDefinition
from bakery.model.naming import full_name
from bakery.provenance import read_payload
from bakery.reports import render_table
from bakery.signing import open_keyring

WIDTH = 12  # columns of the names
DIGITS = 16  # of a digest where a person compares two


def attest(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="IMAGE, IMAGE@VERSION, IMAGE@CHANNEL, or the ID of an image.",
            autocompletion=complete_version_names,
        ),
    ],
    verify: Annotated[
        bool, typer.Option("--verify", help="Check the signature, read each image back and compare it.")
    ] = False,
    keys: Annotated[
        Path | None,
        typer.Option("--keys", help="Trust the keys of this file alone, for the catalog and for the statement."),
    ] = None,
    arch: options.Arch = options.ARCH,
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Show where a version comes from, and check its images.

    Prints the signed statement about it. With --verify, exits with 1 if an image differs, and with 4 if one cannot be
    read. The ID of an image limits the comparison to it.

    Example: bakery attest web@stable --verify
    """
    image_catalog = find_catalog(workspace, catalog, keys, quiet=json or quiet)
    project = describe_project(workspace)
    record = find_record(image_catalog, name, arch)
    envelope = read_provenance(image_catalog, record)
    if not verify and keys is None:
        _print_statement(read_payload(envelope, image_catalog.location), "not checked: see --verify and --keys", json)
        return
    statement = verify_provenance(envelope, image_catalog.location, open_keyring(project, keys))
    refuse_other_version(statement, record)
    if not verify:
        _print_statement(statement, "valid", json)
        return
    with show_events(project, "attest", quiet=quiet, verbose=verbose) as report:
        definition = _find_definition(definitions, record.image)
        reader = ImageReader(definition, project, "attest", full_name(record), report)
        attestation = check_images(image_catalog, record, statement, reader, name)
        text = documents.dump(attestation).decode() if json else f"{_render_attestation(attestation)}\n"
        print(text, end="")
        require_equal(attestation)


def _find_definition(folder: Path, image: str) -> ImageDefinition | None:
    """The definition of an image, whose logins are used; None for a reader who has only the catalog."""
    return load_valid(folder)[0].images.get(image) if folder.is_dir() else None


def _render_attestation(attestation: Attestation) -> str:
    """A line per image."""
    rows = [
        (result.target, result.account or "-", result.region or "-", result.id, result.status, result.detail)
        for result in attestation.locations
    ]
    return render_table(("target", "account", "region", "id", "status", "detail"), rows)


def _print_statement(statement: Mapping[str, Any], signature: str, json: bool) -> None:
    if json:
        print(json_format.dumps(statement, indent=2))
        return
    for name, values in [*_statement_facts(statement), ("signature", [signature])]:
        for label, value in zip([name, *[""] * len(values)], values, strict=False):
            print(f"{label:{WIDTH}}{value}")


def _statement_facts(statement: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Names and their values, which may be none."""
    build, run = statement["predicate"]["buildDefinition"], statement["predicate"]["runDetails"]
    version = build["externalParameters"]
    yield "version", [f"{version['image']} {version['version']} ({version['arch']})"]
    yield "subjects", [_describe_digests(subject) for subject in statement["subject"]]
    yield "input key", [build["internalParameters"]["inputKey"]]
    yield "built from", [_describe_digests(source) for source in build["resolvedDependencies"]]
    yield "built by", [f"{run['builder']['id']}, {run['metadata']['invocationId']}"]
    yield "at", [f"{run['metadata']['startedOn']} to {run['metadata']['finishedOn']}"]


def _describe_digests(resource: Mapping[str, Any]) -> str:
    digests = (f"{name} {digest[:DIGITS]}" for name, digest in resource.get("digest", {}).items())
    return " ".join(filter(None, (resource.get("name"), resource.get("uri"), *digests)))
