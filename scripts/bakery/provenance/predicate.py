"""The statement about a version: SLSA's predicate of provenance, version 1 (slsa.dev/spec/v1.0/provenance)."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bakery.catalog import Record
from bakery.model.contents import Contents
from bakery.model.documents import VendorBase
from bakery.provenance.subjects import DISK_BYTES, HeldImage, list_sizes, list_subjects
from bakery.signing.statement import STATEMENT_TYPE

PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:image-bakery:build:1"  # the meaning of the parameters: docs/how-to/check-an-image.md
COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Run:
    """The run that made a version: the project that it belongs to, the job, and its times in ISO 8601."""

    builder: str
    invocation: str
    started: str
    finished: str


def describe_provenance(
    record: Record, contents: Contents | None, images: Sequence[HeldImage], run: Run
) -> dict[str, Any]:
    """The statement about a complete version, whose disks were read."""
    return {
        "_type": STATEMENT_TYPE,
        "subject": list_subjects(images),
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "image": record.image,
                    "version": record.version,
                    "arch": record.arch,
                    "os": record.os,
                    "mode": record.mode,
                },
                "internalParameters": {
                    "inputKey": record.input_key,
                    "inputs": dict(record.inputs),
                    DISK_BYTES: list_sizes(images),
                },
                "resolvedDependencies": [*_list_dependencies(record, contents)],
            },
            "runDetails": {
                "builder": {"id": run.builder, "version": dict(record.tools)},
                "metadata": {
                    "invocationId": run.invocation,
                    "startedOn": run.started,
                    "finishedOn": run.finished,
                },
                "byproducts": [*_list_byproducts(record)],
            },
        },
    }


def _list_dependencies(record: Record, contents: Contents | None) -> Iterator[Mapping[str, Any]]:
    """The commit of the definition, the base, vendors' bases, and the state of each package archive."""
    if COMMIT.match(record.commit):
        commit, _, mark = record.commit.partition("-")
        changed = {"annotations": {"changed": True}} if mark else {}  # files differed from the commit
        yield {"name": "definitions", "digest": {"gitCommit": commit}, **changed}
    if base := record.base:
        yield {"name": f"{base.name} {base.version}".strip(), "digest": {"sha256": base.sha256}}
    for builder, vendor in record.vendor_bases.items():
        yield _describe_vendor_base(builder, vendor)
    for state in contents.archives if contents else ():
        yield {
            "uri": f"{state.uri}/dists/{state.suite}",
            "digest": {"sha256": state.sha256},
            "annotations": {"components": list(state.components), "date": state.date},
        }


def _describe_vendor_base(builder: str, base: VendorBase) -> dict[str, Any]:
    dates = {"date": base.date, "asked": base.at}
    annotations = {name: date for name, date in dates.items() if date}
    return {"name": base.name, "uri": f"urn:image-bakery:base:{builder}:{base.identity}", "annotations": annotations}


def _list_byproducts(record: Record) -> Iterable[Mapping[str, Any]]:
    report = record.vulnerabilities.report if record.vulnerabilities else ""
    digests = {"contents.json": record.contents, "vulnerabilities.json": report, "openvex.json": record.vex}
    return ({"name": name, "digest": {"sha256": digest}} for name, digest in digests.items() if digest)
