"""Known vulnerabilities of real bills of materials, from the real grype and small databases in its own format."""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bakery import cli
from bakery.contents import DATABASE, DOCUMENT, read_disk, sbom_path
from bakery.engine.session import Session, open_session
from bakery.engine.vulnerabilities import (
    check_part,
    compare_known_vulnerabilities,
    keep_report,
    observe_vulnerabilities,
)
from bakery.host import process
from bakery.host.errors import BakeryError
from bakery.model import documents
from bakery.model.contents import SBOM_SUFFIXES, Contents
from bakery.model.documents import Artifact, Base, Disk, Verdict
from bakery.model.vulnerabilities import VulnerabilityReport
from bakery.signing import save_signed
from bakery.vulnerabilities import VARIABLE, Database, UnknownVulnerabilitiesError, match_packages, open_database
from doubles.artifacts import artifact_of
from doubles.disks import write_disk
from doubles.serving import at_work
from doubles.vulnerabilities import LIBDB, OPENSSL, SYSTEMD, TAR, Entry, write_database

pytestmark = pytest.mark.integration

TOOLS = Path(__file__).parents[2] / ".bakery" / "tools" / "bin"
GRYPE, SYFT = TOOLS / "grype", TOOLS / "syft"
PACKAGE = """\
Package: {name}
Status: install ok installed
Architecture: amd64
Maintainer: nobody
Version: {version}
Description: a package
{source}
"""
# As Debian 12 had them in summer 2025.
INSTALLED = (
    ("dpkg", "1.21.22", ""),
    ("linux-image-6.1.0-17-amd64", "6.1.69-1", "Source: linux-signed-amd64 (6.1.69+1)\n"),
    ("libssl3", "3.0.17-1~deb12u2", "Source: openssl\n"),
    ("openssl", "3.0.17-1~deb12u2", ""),
    ("systemd", "252.38-1~deb12u1", ""),
    ("tar", "1.34+dfsg-1.2+deb12u1", ""),
    ("libdb5.3", "5.3.28+dfsg2-1", "Source: db5.3\n"),
)
NGINX = Entry("CVE-2023-44487", "High", "nginx")  # which the disk does not have
DEFINITION = """\
name: debian-12
description: A base
os: debian-12
arch: x86_64
version: "1.0"
base:
  qemu:
    debootstrap: {suite: bookworm}
"""


@pytest.fixture(scope="module")
def baked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disk with a few packages of Debian 12, and what a bake writes beside it."""
    folder = tmp_path_factory.mktemp("baked")
    tree, disk = folder / "tree", folder / "disk.qcow2"
    (tree / "var/lib/dpkg").mkdir(parents=True)
    packages = (PACKAGE.format(name=name, version=version, source=source) for name, version, source in INSTALLED)
    (tree / "var/lib/dpkg/status").write_text("".join(packages))
    (tree / "etc").mkdir()
    (tree / "etc/os-release").write_text('ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n')
    write_disk(tree, disk)
    read_disk(document_of(disk), disk, SYFT)
    return folder


def document_of(disk: Path) -> Artifact:
    """The document of a disk whose digests do not matter."""
    return artifact_of(Disk(str(disk), "qcow2", 0, "a" * 64, "b" * 64, "c" * 64), Base("debian bookworm", "", "c" * 64))


@pytest.fixture
def session(baked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """A project whose only version, long ago, is that disk."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "packer/images").mkdir(parents=True)
    (tmp_path / "packer/images/debian-12.yaml").write_text(DEFINITION)
    session = open_session(Path("packer/images"), Path(".bakery"), "")
    artifact = document_of(baked / "disk.qcow2")
    folder = session.project.artifact_folder(artifact)
    folder.mkdir(parents=True)
    for path in (path for path in baked.iterdir() if path.is_file()):
        (folder / path.name).symlink_to(path)
    record = session.catalog.reserve("debian-12", "x86_64", "1.0", "k", {}, "somebody", "bake-private")
    sboms = {name: sbom_path(baked, name).read_bytes() for name in SBOM_SUFFIXES}
    contents = documents.load(Contents, baked / DOCUMENT)
    save_signed(contents, artifact, folder / DOCUMENT, session.keyring, "bake-private")
    digest = session.catalog.keep_contents(contents, (baked / DATABASE).read_bytes(), sboms)
    session.catalog.revise(
        replace(record, state="complete", version="1.0.0", contents=digest, baked="2026-01-31T12:00:00+00:00")
    )
    return session


def identifiers(database: Database, baked: Path, tmp_path: Path) -> list[tuple[str, str, str, str]]:
    """What grype finds on the disk."""
    found = match_packages(database, sbom_path(baked, "cyclonedx").read_bytes(), tmp_path)
    return [(one.id, one.severity, f"{one.package} {one.installed}", one.fixed) for one in found]


def test_matches_are_those_of_source_packages_and_versions(baked: Path, tmp_path: Path) -> None:
    archive = write_database(tmp_path / "database", [OPENSSL, SYSTEMD, TAR, LIBDB, NGINX])
    database = open_database(str(archive), GRYPE, tmp_path / "cache")
    assert identifiers(database, baked, tmp_path) == [
        ("CVE-2005-2541", "negligible", "tar 1.34+dfsg-1.2+deb12u1", ""),
        ("CVE-2019-8457", "critical", "libdb5.3 5.3.28+dfsg2-1", ""),
        ("CVE-2025-9230", "high", "libssl3 3.0.17-1~deb12u2", "3.0.17-1~deb12u3"),
        ("CVE-2025-9230", "high", "openssl 3.0.17-1~deb12u2", "3.0.17-1~deb12u3"),
    ], "systemd has the fix"


def test_a_signed_kernel_has_what_the_tracker_says_of_linux(baked: Path, tmp_path: Path) -> None:
    due, done = Entry("CVE-2024-1086", "High", "linux", "6.1.76-1"), Entry("CVE-2023-6931", "High", "linux", "6.1.69-1")
    database = open_database(str(write_database(tmp_path / "database", [due, done])), GRYPE, tmp_path / "cache")
    assert identifiers(database, baked, tmp_path) == [
        ("CVE-2024-1086", "high", "linux-image-6.1.0-17-amd64 6.1.69-1", "6.1.76-1")
    ]


def test_a_file_is_imported_again_when_it_changed(tmp_path: Path) -> None:
    first = write_database(tmp_path / "first", [OPENSSL])
    place = tmp_path / "database.tar.gz"
    place.write_bytes(first.read_bytes())
    before = open_database(str(place), GRYPE, tmp_path / "cache")
    assert before.state.digest == f"sha256:{hashlib.sha256(first.read_bytes()).hexdigest()}"
    stamp = (before.folder / "6/vulnerability.db").stat().st_mtime_ns
    assert open_database(str(place), GRYPE, tmp_path / "cache").state == before.state
    assert (before.folder / "6/vulnerability.db").stat().st_mtime_ns == stamp
    place.write_bytes(write_database(tmp_path / "second", [OPENSSL, LIBDB]).read_bytes())
    assert open_database(str(place), GRYPE, tmp_path / "cache").state.digest != before.state.digest


def test_a_folder_of_grype_is_used_where_it_is(tmp_path: Path) -> None:
    archive = write_database(tmp_path / "database", [OPENSSL])
    imported = open_database(str(archive), GRYPE, tmp_path / "cache")
    again = open_database(str(imported.folder), GRYPE, tmp_path / "other")
    assert (again.folder, again.state.digest) == (imported.folder, imported.state.digest)
    (imported.folder / "imported").unlink()
    assert open_database(str(imported.folder), GRYPE, tmp_path / "other").state.digest.startswith("xxh64:")
    assert not (tmp_path / "other").exists()


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[str]:
    """The address of a folder in which grype looks for v6/latest.json."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "mirror"))
    with at_work(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as server:
        yield f"http://127.0.0.1:{server.server_address[1]}"


def test_a_mirror_is_asked_for_a_newer_database(tmp_path: Path, mirror: str) -> None:
    built = datetime.now(UTC) - timedelta(days=2)
    write_database(tmp_path / "mirror/v6", [OPENSSL], built)
    address = mirror.replace("http://", "http://reader:hidden@")
    first = open_database(address, GRYPE, tmp_path / "cache")
    assert (first.state.source, first.state.built) == (mirror, f"{built:%Y-%m-%dT%H:%M:%SZ}")
    notes = [path.read_text() for path in (tmp_path / "cache").rglob("*.json")]
    assert ["hidden" in note for note in notes] == [False]
    (archive,) = (tmp_path / "mirror/v6").glob("*.tar.gz")
    assert first.state.digest == f"sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()}"
    assert open_database(address, GRYPE, tmp_path / "other").state == first.state
    for path in (tmp_path / "mirror/v6").iterdir():
        path.unlink()
    write_database(tmp_path / "mirror/v6", [OPENSSL, LIBDB], built + timedelta(days=1))
    assert open_database(address, GRYPE, tmp_path / "cache").state.built > first.state.built


def test_a_mirror_out_of_reach_is_no_answer(tmp_path: Path, mirror: str) -> None:
    (tmp_path / "mirror").mkdir()
    with pytest.raises(UnknownVulnerabilitiesError, match="the vulnerability database cannot be used") as caught:
        open_database(mirror, GRYPE, tmp_path / "cache")
    assert caught.value.where == mirror


def test_a_database_that_grype_calls_too_old_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = write_database(tmp_path / "database", [OPENSSL], datetime.now(UTC) - timedelta(days=10))
    with pytest.raises(UnknownVulnerabilitiesError) as caught:
        open_database(str(archive), GRYPE, tmp_path / "cache")
    assert "max allowed age is 5 days" in caught.value.detail
    monkeypatch.setenv("GRYPE_DB_MAX_ALLOWED_BUILT_AGE", "720h")
    assert open_database(str(archive), GRYPE, tmp_path / "cache").state.digest.startswith("sha256:")


def test_the_user_s_own_settings_of_grype_hide_nothing(
    baked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".grype.yaml").write_text("ignore: [{vulnerability: CVE-2019-8457}]\n")
    monkeypatch.chdir(tmp_path)
    database = open_database(str(write_database(tmp_path / "database", [LIBDB])), GRYPE, tmp_path / "cache")
    assert [found[0] for found in identifiers(database, baked, tmp_path)] == ["CVE-2019-8457"]


def test_packages_of_an_unknown_distribution_are_no_answer(baked: Path, tmp_path: Path) -> None:
    document = json.loads(sbom_path(baked, "cyclonedx").read_bytes())
    document["components"] = [
        {**part, "purl": part["purl"].partition("?")[0]} for part in document["components"] if "purl" in part
    ]
    database = open_database(str(write_database(tmp_path / "database", [LIBDB])), GRYPE, tmp_path / "cache")
    with pytest.raises(UnknownVulnerabilitiesError, match="does not know the distribution"):
        match_packages(database, json.dumps(document).encode(), tmp_path)


def test_a_release_that_the_database_does_not_have_is_no_answer(baked: Path, tmp_path: Path) -> None:
    later = replace(OPENSSL, release="13")
    database = open_database(str(write_database(tmp_path / "database", [later])), GRYPE, tmp_path / "cache")
    with pytest.raises(UnknownVulnerabilitiesError, match="the vulnerability database has no data on debian 12"):
        identifiers(database, baked, tmp_path)
    assert [database.knows("debian", version) for version in ("13.2", "14", "")] == [True, False, True]
    assert [database.knows(name, "9") for name in ("rocky", "nobody")] == [False, False]


def observe(session: Session) -> dict[str, int]:
    """Refresh the vulnerabilities as the verb does; the counts of the only version."""
    (image,) = session.definitions.images.values()
    outcomes = observe_vulnerabilities(session, [image], session.catalog.newest_observations(), 1)
    (found,) = [outcome.result for outcome in outcomes if outcome.result]
    session.catalog.keep_observations([], [found])
    return {str(severity): count for severity, count in found.summary.counts.items()}


def test_status_shows_a_new_cve_of_a_version_baked_long_ago(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The version itself is not touched: its record stays as it was."""
    before = session.newest_record(session.definitions.images["debian-12"])
    monkeypatch.setenv(VARIABLE, str(write_database(tmp_path / "first", [TAR])))
    assert observe(session) == {"negligible": 1}
    archive = write_database(tmp_path / "second", [TAR, OPENSSL, LIBDB])
    monkeypatch.setenv(VARIABLE, str(archive))
    monkeypatch.setattr("sys.argv", ["bakery", "refresh"])
    assert cli.main() == 4, "an image that names no package archive holds up no match"
    table = capsys.readouterr().out.splitlines()
    assert table[-1].split()[:6] == ["debian-12", "1.0.0", "1", "1", "0", "0"]
    monkeypatch.setattr("sys.argv", ["bakery", "status"])
    assert cli.main() == 0
    row = capsys.readouterr().out.splitlines()[1].split()
    assert (row[0], row[1], row[5]) == ("debian-12", "1.0.0", "1/1")
    monkeypatch.setattr("sys.argv", ["bakery", "status", "--json"])
    cli.main()
    (state,) = json.loads(capsys.readouterr().out)["images"]
    assert state["matches"]["summary"]["database"]["source"] == str(archive)
    found = [{key: one[key] for key in ("id", "package", "fixed", "severity")} for one in state["vulnerabilities"]]
    assert {"id": "CVE-2025-9230", "package": "libssl3", "fixed": "3.0.17-1~deb12u3", "severity": "high"} in found
    assert session.newest_record(session.definitions.images["debian-12"]) == before


def test_equal_packages_and_databases_ask_grype_once(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(write_database(tmp_path / "database", [OPENSSL])))
    expected = observe(session)
    asked: list[str] = []
    monkeypatch.setattr("bakery.engine.vulnerabilities.match_packages", lambda *_: asked.append("grype"))
    assert (observe(session), asked) == (expected, [])


def test_two_versions_are_matched_with_the_named_database(
    session: Session, baked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second version has the fix, as its bill of materials says."""
    before = session.newest_record(session.definitions.images["debian-12"])
    assert before
    fixed = sbom_path(baked, "cyclonedx").read_bytes().replace(b"3.0.17-1~deb12u2", b"3.0.17-1~deb12u3")
    contents = replace(
        documents.load(Contents, baked / DOCUMENT),
        version="1.0.1",
        sboms={"cyclonedx": hashlib.sha256(fixed).hexdigest()},
    )
    digest = session.catalog.keep_contents(contents, (baked / DATABASE).read_bytes(), {"cyclonedx": fixed})
    after = replace(before, version="1.0.1", contents=digest)
    monkeypatch.setenv(VARIABLE, str(write_database(tmp_path / "database", [OPENSSL, LIBDB])))
    changes = compare_known_vulnerabilities(session.catalog, before, after, session.project)
    assert changes
    assert (changes.fixed, changes.introduced) == ({"CVE-2025-9230": "high"}, {})


def verdict_of(artifact: Artifact) -> Verdict:
    """A verdict of a disk that boots."""
    at = datetime.now(UTC).isoformat()
    return Verdict(artifact.image, artifact.arch, artifact.version, artifact.disk.sha256, True, (), "tcg", {}, at)


def check(session: Session, baked: Path, gate: str) -> Verdict:
    """The verdict of the disk by a definition with a gate."""
    (session.project.root / "packer/images/debian-12.yaml").write_text(f"{DEFINITION}{gate}")
    again = open_session(Path("packer/images"), Path(".bakery"), "")
    artifact = document_of(baked / "disk.qcow2")
    return check_part(again, again.definitions.images["debian-12"], artifact, verdict_of(artifact))


def test_a_gate_judges_the_disk_and_its_exceptions_become_openvex(
    session: Session, baked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = write_database(tmp_path / "database", [OPENSSL, LIBDB])
    monkeypatch.setenv(VARIABLE, str(archive))
    gate = "vulnerabilities:\n  fail_on: high\n  only_fixed: true\n"
    failed = check(session, baked, gate)
    assert [(one.name, one.passed) for one in failed.checks] == [("no known vulnerabilities", False)]
    assert "CVE-2025-9230 (high): openssl 3.0.17-1~deb12u2, fixed in 3.0.17-1~deb12u3" in failed.checks[0].detail
    assert failed.vulnerabilities
    assert failed.vulnerabilities.counts == {"critical": 1, "high": 1}
    assert failed.vulnerabilities.database.source == str(archive)

    entry = '{id: CVE-2025-9230, reason: no TLS server, until: "%s"}'
    passed = check(session, baked, f"{gate}  ignore:\n    - {entry % '2999-12-31'}\n")
    assert (passed.passed, len(passed.checks)) == (True, 2)
    artifact = document_of(baked / "disk.qcow2")
    vex = session.project.artifact_folder(artifact) / "openvex.json"
    assert passed.vex == hashlib.sha256(vex.read_bytes()).hexdigest()
    keep_report(session, artifact, passed)
    report = session.catalog.vulnerabilities(artifact, passed.vulnerabilities.report if passed.vulnerabilities else "")
    assert report == documents.load(VulnerabilityReport, vex.with_name("vulnerabilities.json"))

    expired = check(session, baked, f"{gate}  ignore:\n    - {entry % '2026-01-31'}\n")
    assert not expired.passed
    line = DEFINITION.count("\n") + 5
    assert expired.checks[1].detail.startswith(f"packer/images/debian-12.yaml:{line}: CVE-2025-9230 was ignored until")


def test_grype_reads_the_openvex_document(
    session: Session, baked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(write_database(tmp_path / "database", [OPENSSL])))
    ignore = '  ignore: [{id: CVE-2025-9230, reason: no TLS server, until: "2999-12-31"}]\n'
    check(session, baked, f"vulnerabilities:\n  fail_on: high\n{ignore}")
    database = open_database(os.environ[VARIABLE], GRYPE, session.project.cache / "vulnerabilities")
    vex = session.project.artifact_folder(document_of(baked / "disk.qcow2")) / "openvex.json"
    document = sbom_path(baked, "cyclonedx")
    answer = process.run([GRYPE, f"sbom:{document}", "--vex", vex, "-o", "json"], env=database.variables).stdout
    assert {match["vulnerability"]["id"] for match in json.loads(answer)["matches"]} == {"CVE-2025-9230"}


def test_a_bill_of_materials_of_another_disk_is_no_answer(
    session: Session, baked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(write_database(tmp_path / "database", [TAR])))
    path = sbom_path(session.project.artifact_folder(document_of(baked / "disk.qcow2")), "cyclonedx")
    path.unlink()
    path.write_text("{}")
    verdict = check(session, baked, "vulnerabilities:\n  fail_on: high\n")
    assert (verdict.passed, verdict.checks[0].detail.splitlines()[0]) == (
        False,
        "cannot be answered: the image has no bill of materials",
    )


def test_a_name_of_nothing_is_an_error_without_a_gate(
    session: Session, baked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "/nowhere.db")
    with pytest.raises(BakeryError, match="names no file, folder"):
        check(session, baked, "")
