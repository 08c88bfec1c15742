"""Known vulnerabilities of versions, from their bills of materials and the database that the user names."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from bakery.catalog import Catalog, Record, actor, now
from bakery.contents import sbom_path
from bakery.engine import toolbox
from bakery.engine.contents import find_contents
from bakery.engine.session import Session
from bakery.host import files, parallel
from bakery.host.errors import BakeryError
from bakery.host.events import Event, report_step
from bakery.host.parallel import Outcome
from bakery.model import documents
from bakery.model.baked import part_folder
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Artifact, Check, DatabaseState, Part, Verdict, VulnerabilitySummary
from bakery.model.observations import Observations
from bakery.model.project import Project
from bakery.model.version import ImageVersion, Versioned
from bakery.model.vulnerabilities import (
    VulnerabilityChanges,
    VulnerabilityObservation,
    VulnerabilityReport,
    compare_vulnerabilities,
    count_identifiers,
)
from bakery.vulnerabilities import (
    CHECK,
    VARIABLE,
    Database,
    UnknownVulnerabilitiesError,
    judge_vulnerabilities,
    list_ignored,
    match_packages,
    open_database,
    write_vex,
)

REPORT = "vulnerabilities.json"
VEX = "openvex.json"


def open_named_database(project: Project) -> Database:
    """The database that the environment names; UnknownVulnerabilitiesError if there is none that can be used."""
    source = os.environ.get(VARIABLE, "")
    if not source:
        raise UnknownVulnerabilitiesError(
            "no vulnerability database is named",
            hint=f"set {VARIABLE} to a file, a folder or a mirror: docs/how-to/see-vulnerabilities.md",
        )
    return open_database(source, toolbox.find(project, "grype"), project.cache / "vulnerabilities")


def match_version(
    database: Database, of: Versioned, sbom: bytes, project: Project
) -> tuple[VulnerabilityReport, VulnerabilitySummary]:
    """The vulnerabilities of a version from its CycloneDX document, and what is kept of them elsewhere."""
    digest = hashlib.sha256(sbom).hexdigest()
    with files.scratch(project.cache, "vulnerabilities") as scratch:
        vulnerabilities = match_packages(database, sbom, scratch)
    report = VulnerabilityReport(of.image, of.arch, of.version, digest, vulnerabilities)
    summary = VulnerabilitySummary(
        database.state,
        sbom=digest,
        report=hashlib.sha256(documents.dump(report)).hexdigest(),
        counts=count_identifiers(vulnerabilities),
        fixed=count_identifiers(one for one in vulnerabilities if one.fixed),
    )
    return report, summary


def check_part(session: Session, definition: ImageDefinition, part: Part, verdict: Verdict) -> Verdict:
    """The verdict with the known vulnerabilities of a part, which are written beside it, and the checks of the gate.

    Without a gate, nothing fails: what cannot be known is a note. A gate fails if it cannot be answered.
    """
    gate, subject = definition.vulnerabilities, f"{part.image} {part.version}"
    if not gate and not os.environ.get(VARIABLE):
        return verdict
    try:
        with report_step(session.report, "verify", subject, "match packages with vulnerabilities"):
            sbom = _read_sbom(session, part)
            report, summary = match_version(open_named_database(session.project), part, sbom, session.project)
    except UnknownVulnerabilitiesError as error:
        if not gate:
            session.report(Event("note", "verify", subject, f"vulnerabilities are unknown: {error.message}"))
            return verdict
        detail = "\n".join(filter(None, (f"cannot be answered: {error.message}", error.detail, error.hint)))
        return replace(verdict, passed=False, checks=(*verdict.checks, Check(CHECK, passed=False, detail=detail)))
    folder = part_folder(session.project, part)
    documents.save(report, folder / REPORT)
    if not gate:
        return replace(verdict, vulnerabilities=summary)
    today = datetime.now(UTC).date()
    where = partial(session.definitions.where, definition.name)
    checks = (*verdict.checks, *judge_vulnerabilities(gate, report.vulnerabilities, today, where))
    vex = b""
    if ignored := list_ignored(gate, report.vulnerabilities, today):
        vex = write_vex(gate, ignored, part, actor(), now())
        files.write_atomic(folder / VEX, vex)
    return replace(
        verdict,
        passed=all(check.passed for check in checks),
        checks=checks,
        vulnerabilities=summary,
        vex=hashlib.sha256(vex).hexdigest() if vex else "",
    )


def require_gate(definition: ImageDefinition, part: Part, verdict: Verdict) -> None:
    """BakeryError if the definition has a gate and the part was tested before it had one."""
    if definition.vulnerabilities and CHECK not in (check.name for check in verdict.checks):
        again = f"verify {part.image}" if isinstance(part, Artifact) else f"run --rebuild {part.image}"
        raise BakeryError(
            f"{part.image} {part.version} was tested before its definition had a gate for vulnerabilities",
            hint=f"run 'bakery {again}'",
        )


def keep_report(session: Session, part: Part, verdict: Verdict) -> None:
    """Bring the vulnerabilities of a part and its OpenVEX document to the catalog, if it has them."""
    folder = part_folder(session.project, part)
    if verdict.vulnerabilities:
        report = documents.load(VulnerabilityReport, folder / REPORT)
        _require_digest(folder / REPORT, documents.dump(report), verdict.vulnerabilities.report, part)
        session.catalog.keep_vulnerabilities(report, verdict.vulnerabilities.report)
    if verdict.vex:
        vex = (folder / VEX).read_bytes()
        _require_digest(folder / VEX, vex, verdict.vex, part)
        session.catalog.keep_vex(part, vex, verdict.vex)


def _require_digest(path: Path, content: bytes, sha256: str, part: Part) -> None:
    """BakeryError unless a file has the bytes that the verdict names."""
    if hashlib.sha256(content).hexdigest() != sha256:
        again = f"verify {part.image}" if isinstance(part, Artifact) else f"run --rebuild {part.image}"
        raise BakeryError("it changed after the verdict", where=str(path), hint=f"run 'bakery {again}'")


def _read_sbom(session: Session, part: Part) -> bytes:
    """The CycloneDX document of a part."""
    contents = find_contents(session, part)
    if contents is None or "cyclonedx" not in contents.sboms:
        raise UnknownVulnerabilitiesError("the image has no bill of materials", hint="see the notes of its bake")
    return sbom_path(part_folder(session.project, part), "cyclonedx").read_bytes()


def observe_vulnerabilities(
    session: Session, images: Iterable[ImageDefinition], previous: Observations, jobs: int
) -> list[Outcome[VulnerabilityObservation | None]]:
    """Match the newest version of each image, and those that channels point at; an outcome for each.

    One outcome without a result stands for all of them if the database that the environment names cannot be used. If
    it names none, there are no outcomes: nothing is known.
    """
    if not os.environ.get(VARIABLE):
        session.report(Event("note", "refresh", "vulnerabilities", f"unknown: {VARIABLE} names no database"))
        return []
    try:
        database = open_named_database(session.project)
    except BakeryError as error:
        return [Outcome("vulnerabilities", None, error)]
    records = {
        f"{record.image} {record.version}": record for image in images for record in _list_records(session, image)
    }
    work = partial(_observe_record, session, database, records, previous.vulnerabilities_by_version)
    return parallel.run_parallel(list(records), work, jobs)


def compare_known_vulnerabilities(
    catalog: Catalog, before: Record, after: Record, project: Project
) -> VulnerabilityChanges | None:
    """The vulnerabilities that only one of two versions has; None if no database can answer for both.

    The answers of two databases cannot be compared: the newer database knows more of either version. The catalog's
    answers count if one database gave both; otherwise the database that the environment names is asked.
    """
    matches = catalog.newest_observations().vulnerabilities_by_version
    old, new = (_list_answers(record, matches.get(ImageVersion.of(record))) for record in (before, after))
    if states := old.keys() & new.keys():
        state = max(states, key=lambda state: state.built)
        reports = [catalog.vulnerabilities(before, old[state]), catalog.vulnerabilities(after, new[state])]
    else:
        try:
            database = open_named_database(project)
            state = database.state
            reports = [
                match_version(database, record, _read_sbom_of(catalog, record), project)[0]
                for record in (before, after)
            ]
        except UnknownVulnerabilitiesError:
            return None
    return compare_vulnerabilities(state, *(report.vulnerabilities for report in reports))


def _list_answers(record: Record, match: VulnerabilityObservation | None) -> dict[DatabaseState, str]:
    """The digests of the reports on a version that are known, by the database that gave them."""
    summaries = (record.vulnerabilities, match.summary if match else None)
    return {summary.database: summary.report for summary in summaries if summary}


def _read_sbom_of(catalog: Catalog, record: Record) -> bytes:
    """The CycloneDX document of a version."""
    sbom = catalog.sbom(record, "cyclonedx")
    if sbom is None:
        raise UnknownVulnerabilitiesError("it has no bill of materials")
    return sbom


def _list_records(session: Session, image: ImageDefinition) -> list[Record]:
    """The newest complete version of an image, and the versions that its channels point at."""
    newest = session.newest_record(image)
    records = {newest.version: newest} if newest else {}
    for head in session.catalog.heads(image.name, image.arch):
        if head.version not in records:
            records[head.version] = session.catalog.record(ImageVersion(image.name, image.arch, head.version))
    return [records[version] for version in sorted(records)]


def _observe_record(
    session: Session,
    database: Database,
    records: Mapping[str, Record],
    known: Mapping[ImageVersion, VulnerabilityObservation],
    name: str,
) -> VulnerabilityObservation | None:
    """The answer of the database for a version; None, with a note, if its packages are unknown.

    Grype is not asked again for an equal document and an equal database.
    """
    record = records[name]
    last = known.get(ImageVersion.of(record))
    contents = session.catalog.contents(record)
    digest = contents.sboms.get("cyclonedx") if contents else None
    if last and digest and (last.summary.sbom, last.summary.database) == (digest, database.state):
        return replace(last, at=now())
    try:
        sbom = _read_sbom_of(session.catalog, record)
        report, summary = match_version(database, record, sbom, session.project)
    except UnknownVulnerabilitiesError as error:
        session.report(Event("note", "refresh", name, f"vulnerabilities are unknown: {error.message}"))
        return None
    session.catalog.keep_vulnerabilities(report, summary.report)
    return VulnerabilityObservation(record.image, record.arch, record.version, now(), summary)
