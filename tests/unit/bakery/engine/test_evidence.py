"""What somebody tries who may write to the folder of artifacts, and has no key that signs."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from bakery.engine import evidence, vulnerabilities
from bakery.host import files
from bakery.host.errors import BakeryError
from bakery.model import documents
from bakery.model.contents import Contents
from bakery.model.documents import Artifact, Check, DatabaseState, Verdict, VulnerabilitySummary
from bakery.model.version import ImageVersion
from bakery.model.vulnerabilities import VulnerabilityReport
from bakery.signing import Keyring, open_keyring, save_signed
from bakery.verify import expect_checks
from unit.bakery.cli.cli_runner import CliRunner

ARTIFACT, VERDICT = "artifact.json", "verdict.json"


@pytest.fixture
def folder(bakery: CliRunner) -> Path:
    """A version that was baked and tested, and is not published yet."""
    for verb in ("bake", "verify"):
        assert bakery(verb, "base").code == 0
    return bakery.folder("base", "1.0.0")


def refuse(bakery: CliRunner, message: str) -> str:
    """Publishing fails before anything is stored; the text of the error."""
    answer = bakery("publish", "base")
    assert (answer.code, message in answer.err) == (1, True), answer.err
    assert "hint: " in answer.err
    assert bakery.states("base") == {"1.0.0": "reserved"}
    assert not list(bakery.project.store.glob("*"))
    return answer.err


def resign(bakery: CliRunner, path: Path, document: Any, folder: Path, duty: str = "verify") -> None:
    """What a job that has the key would write."""
    artifact = document if isinstance(document, Artifact) else documents.load(Artifact, folder / ARTIFACT)
    save_signed(document, artifact, path, open_keyring(bakery.project), duty)  # type: ignore[arg-type]


def change_verdict(bakery: CliRunner, folder: Path, **changes: Any) -> None:
    verdict = documents.load(Verdict, folder / VERDICT)
    resign(bakery, folder / VERDICT, replace(verdict, **changes), folder)


def change_artifact(bakery: CliRunner, folder: Path, **changes: Any) -> None:
    artifact = documents.load(Artifact, folder / ARTIFACT)
    resign(bakery, folder / ARTIFACT, replace(artifact, **changes), folder, "bake-private")


def test_what_was_baked_and_tested_is_published(bakery: CliRunner, folder: Path) -> None:
    assert bakery("publish", "base").code == 0
    assert bakery.states("base") == {"1.0.0": "complete"}


@pytest.mark.parametrize(("verb", "step"), [("verify", "verify base"), ("publish", "publish base")])
def test_a_key_that_cannot_sign_is_known_before_the_work(
    bakery: CliRunner, folder: Path, monkeypatch: pytest.MonkeyPatch, verb: str, step: str
) -> None:
    trusted = folder.parent / "keys.json"
    trusted.write_text(bakery("keys").out)
    monkeypatch.setenv("BAKERY_TRUSTED_KEYS", str(trusted))
    monkeypatch.setenv("BAKERY_SIGNING_KEY", str(folder.parent / "none.pem"))
    bakery.did.clear()
    answer = bakery(verb, "base")
    assert (answer.code, "the signing key cannot be read" in answer.err) == (1, True), answer.err
    assert step not in bakery.did


class TestForgery:
    """Documents that no job signed."""

    def test_a_folder_made_by_hand(self, bakery: CliRunner, folder: Path) -> None:
        """A disk of the attacker's own, with an artifact and an empty verdict that speak of it."""
        artifact = documents.load(Artifact, folder / ARTIFACT)
        shutil.rmtree(folder)
        folder.mkdir()
        (folder / "disk.qcow2").write_bytes(b"evil")
        digest = files.sha256(folder / "disk.qcow2")
        forged = replace(artifact, disk=replace(artifact.disk, sha256=digest), input_key="x", commit="deadbeef")
        documents.save(forged, folder / ARTIFACT)
        verdict = Verdict("base", "x86_64", "1.0.0", digest, True, (), "", {}, artifact.created)
        documents.save(verdict, folder / VERDICT)
        refuse(bakery, "artifact.json is not signed")

    def test_a_folder_signed_with_a_key_of_the_attackers(self, bakery: CliRunner, folder: Path) -> None:
        artifact = documents.load(Artifact, folder / ARTIFACT)
        forged = replace(artifact, commit="deadbeef")
        own = Keyring(folder / "keys", {})
        save_signed(forged, forged, folder / ARTIFACT, own, "bake-private")
        refuse(bakery, "signed by no trusted key of the duty bake-private")

    def test_a_changed_artifact(self, bakery: CliRunner, folder: Path) -> None:
        artifact = documents.load(Artifact, folder / ARTIFACT)
        documents.save(replace(artifact, commit="deadbeef"), folder / ARTIFACT)
        assert "different: content" in refuse(bakery, "artifact.json is not the document that was signed")

    def test_a_changed_verdict(self, bakery: CliRunner, folder: Path) -> None:
        verdict = documents.load(Verdict, folder / VERDICT)
        documents.save(replace(verdict, checks=()), folder / VERDICT)
        refuse(bakery, "verdict.json is not the document that was signed")

    def test_a_verdict_without_its_signature(self, bakery: CliRunner, folder: Path) -> None:
        (folder / "verdict.dsse.json").unlink()
        assert "hint: run 'bakery verify base' again" in refuse(bakery, "verdict.json is not signed")
        assert bakery("verify", "base").code == 0
        assert bakery("publish", "base").code == 0, "the hint works"

    def test_the_artifacts_signature_is_none_for_a_verdict(self, bakery: CliRunner, folder: Path) -> None:
        shutil.copy(folder / "artifact.dsse.json", folder / "verdict.dsse.json")
        refuse(bakery, "verdict.json is not the document that was signed")

    def test_a_forged_artifact_is_not_even_tested(self, bakery: CliRunner, folder: Path) -> None:
        (folder / "artifact.dsse.json").unlink()
        bakery.did.clear()
        answer = bakery("verify", "base")
        assert (answer.code, bakery.did) == (1, [])
        assert f"hint: remove {folder} and run 'bakery run base' again" in answer.err
        shutil.rmtree(folder)
        assert bakery("run", "base").code == 0, "the hint works"

    def test_a_run_does_not_take_up_a_forged_verdict(self, bakery: CliRunner, folder: Path) -> None:
        (folder / "verdict.dsse.json").unlink()
        bakery.line("base")
        assert bakery.did == ["verify base", "publish base"]


class TestArtifact:
    """Signed documents, in the folder of a version for which they were not made."""

    @pytest.mark.parametrize("verb", ["verify", "publish"])
    @pytest.mark.parametrize(
        ("changes", "name"),
        [
            ({"version": "1.0.9"}, "base-1.0.9-x86_64"),
            ({"image": "web"}, "web-1.0.0-x86_64"),
            ({"arch": "aarch64"}, "base-1.0.0-aarch64"),
        ],
    )
    def test_of_another_version(
        self, bakery: CliRunner, folder: Path, verb: str, changes: dict[str, str], name: str
    ) -> None:
        change_artifact(bakery, folder, **changes)
        bakery.did.clear()
        answer = bakery(verb, "base")
        assert (answer.code, bakery.did, bakery.states("base")) == (1, [], {"1.0.0": "reserved"})
        assert f"the folder has a document of {name}\nhint: remove {folder}" in answer.err

    def test_of_other_inputs(self, bakery: CliRunner, folder: Path) -> None:
        change_artifact(bakery, folder, input_key="x")
        err = refuse(bakery, "was baked from other inputs than its version was reserved for")
        assert f"remove {folder} and run 'bakery run base' again" in err

    def test_that_names_other_inputs_under_the_right_key(self, bakery: CliRunner, folder: Path) -> None:
        change_artifact(bakery, folder, inputs={"engine": "1"})
        refuse(bakery, "was baked from other inputs than its version was reserved for")

    def test_on_an_image_where_a_distribution_was_reserved(self, bakery: CliRunner, folder: Path) -> None:
        artifact = documents.load(Artifact, folder / ARTIFACT)
        change_artifact(bakery, folder, base=replace(artifact.base, name="web", version="1.0.0"))
        refuse(bakery, "was built on another base than its reservation names")

    @pytest.mark.parametrize("field", ["sha256", "version"])
    def test_on_another_parent(self, bakery: CliRunner, field: str) -> None:
        bakery.line("base")
        bakery.content["base"] = "other content"
        bakery("run", "--rebuild", "base")
        for verb in ("bake", "verify"):
            assert bakery(verb, "web").code == 0
        web = bakery.folder("web", "1.0.0")
        base = documents.load(Artifact, web / ARTIFACT).base
        assert base.version == "1.0.1"
        change_artifact(bakery, web, base=replace(base, **{field: {"sha256": "0" * 64, "version": "1.0.0"}[field]}))
        answer = bakery("publish", "web")
        assert (answer.code, "was built on another base than its reservation names" in answer.err) == (1, True)
        assert bakery.states("web") == {"1.0.0": "reserved"}

    def test_on_another_download(self, bakery: CliRunner) -> None:
        bakery.edit("base", "debootstrap:\n      suite: bookworm", f"url: https://a/disk\n    sha256: {'d' * 64}")
        bakery.base_name = "https://a/disk"
        for verb in ("bake", "verify"):
            assert bakery(verb, "base").code == 0, bakery(verb, "base").err
        folder = bakery.folder("base", "1.0.0")
        artifact = documents.load(Artifact, folder / ARTIFACT)
        change_artifact(bakery, folder, base=replace(artifact.base, sha256="e" * 64))
        refuse(bakery, "was built on another base than its reservation names")
        change_artifact(bakery, folder, base=artifact.base)
        assert bakery("publish", "base").code == 0

    def test_with_other_bytes_than_the_complete_version(self, bakery: CliRunner, folder: Path) -> None:
        assert bakery("publish", "base").code == 0
        (before,) = [bakery.catalog.record(documents.load(Artifact, folder / ARTIFACT))]
        (folder / "disk.qcow2").write_bytes(b"evil")
        disk = documents.load(Artifact, folder / ARTIFACT).disk
        change_artifact(bakery, folder, disk=replace(disk, sha256=files.sha256(folder / "disk.qcow2")))
        (bakery.project.store / before.publications[0].locations[0].id).unlink()  # else the workspace is not asked
        answer = bakery("publish", "base")
        assert "base-1.0.0-x86_64 is complete, with other content than this workspace has" in answer.err
        assert bakery.catalog.record(before) == before


class TestVerdict:
    """Signed verdicts that do not prove that this disk passed every check."""

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"version": "1.0.9"}, "the verdict is for base-1.0.9-x86_64, not for base-1.0.0-x86_64"),
            ({"image": "web"}, "the verdict is for web-1.0.0-x86_64"),
            ({"arch": "aarch64"}, "the verdict is for base-1.0.0-aarch64"),
            ({"sha256": "0" * 64}, "the verdict is for a disk other than base-1.0.0-x86_64"),
            ({"checks": ()}, "has no verdict on every check"),
            ({"passed": False}, "has no verdict on every check"),
        ],
    )
    def test_of_another_part_or_empty(
        self, bakery: CliRunner, folder: Path, changes: dict[str, Any], message: str
    ) -> None:
        change_verdict(bakery, folder, **changes)
        assert "hint: run 'bakery verify base' again" in refuse(bakery, message)

    @pytest.mark.parametrize(
        ("change", "detail"),
        [
            (lambda checks: checks[1:], "missing: boots"),
            (lambda checks: (*checks, checks[0]), "2 times: boots"),
            (lambda checks: (*checks, Check("extra", False, "seen")), "extra: seen"),
            (lambda checks: (Check("boots", False, "black screen"), *checks[1:]), "boots: black screen"),
        ],
    )
    def test_with_other_checks(
        self, bakery: CliRunner, folder: Path, change: Callable[[tuple[Check, ...]], tuple[Check, ...]], detail: str
    ) -> None:
        """`passed` says yes."""
        checks = documents.load(Verdict, folder / VERDICT).checks
        change_verdict(bakery, folder, checks=change(checks))
        assert detail in refuse(bakery, "base-1.0.0-x86_64")
        bakery.line("base")
        assert bakery.did == ["verify base", "publish base"], "a run tests it again"

    def test_from_before_a_rule_was_added(
        self, bakery: CliRunner, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(evidence, "expect_checks", expect_checks)
        assert "missing: no SSH host keys" in refuse(bakery, "has no verdict on every check")


class TestReports:
    """Files that a signed verdict names by their digests."""

    def test_a_changed_report(self, bakery: CliRunner, folder: Path) -> None:
        database = DatabaseState("file", "2026-01-01T00:00:00+00:00", "d" * 64)
        change_verdict(bakery, folder, vulnerabilities=VulnerabilitySummary(database, "e" * 64, "f" * 64))
        documents.save(VulnerabilityReport("base", "x86_64", "1.0.0", "e" * 64, ()), folder / vulnerabilities.REPORT)
        assert "hint: run 'bakery verify base'" in refuse(bakery, "it changed after the verdict")

    def test_a_changed_openvex_document(self, bakery: CliRunner, folder: Path) -> None:
        change_verdict(bakery, folder, vex="f" * 64)
        (folder / vulnerabilities.VEX).write_text("{}")
        assert "hint: run 'bakery verify base'" in refuse(bakery, "it changed after the verdict")


class TestContents:
    """The list of packages, by which a gate judges and a catalog answers."""

    @pytest.fixture
    def listed(self, bakery: CliRunner) -> Path:
        """The document of a version that was baked and tested."""
        bakery.packages = {"base": {"openssl": "3.0.1"}}
        for verb in ("bake", "verify"):
            assert bakery(verb, "base").code == 0
        return bakery.folder("base", "1.0.0") / "contents.json"

    def packages(self, bakery: CliRunner) -> list[tuple[str, str]]:
        """What the catalog says of the published version."""
        assert bakery("publish", "base").code == 0
        contents = bakery.catalog.contents(bakery.catalog.record(ImageVersion("base", "x86_64", "1.0.0")))
        assert contents
        return [(package.name, package.version) for package in contents.packages]

    def test_are_read_again_if_somebody_changed_them(self, bakery: CliRunner, listed: Path) -> None:
        contents = documents.load(Contents, listed)
        (package,) = contents.packages
        documents.save(replace(contents, packages=(replace(package, version="9"),)), listed)
        assert self.packages(bakery) == [("openssl", "3.0.1")]

    def test_are_read_again_if_nobody_signed_them(self, bakery: CliRunner, listed: Path) -> None:
        listed.with_suffix(".dsse.json").unlink()
        bakery.packages = {"base": {"openssl": "3.0.1"}}
        assert self.packages(bakery) == [("openssl", "3.0.1")]

    @pytest.mark.parametrize("name", ["packages.tar.gz", "sbom.cdx.json", "sbom.spdx.json"])
    def test_are_read_again_if_a_file_does_not_fit(self, bakery: CliRunner, listed: Path, name: str) -> None:
        (listed.parent / name).write_text("clean")
        assert self.packages(bakery) == [("openssl", "3.0.1")]
        assert (listed.parent / name).read_text() != "clean"

    def test_of_a_gate_are_those_of_the_bake(
        self, bakery: CliRunner, listed: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A list without the vulnerable package, with a document that names its digest."""
        bakery.edit("base", "tests: [base]", "tests: [base]\nvulnerabilities: {fail_on: high}")
        monkeypatch.setattr(vulnerabilities, "open_named_database", lambda _: None)
        (listed.parent / "sbom.cdx.json").write_text("clean")
        digest = files.sha256(listed.parent / "sbom.cdx.json")
        contents = documents.load(Contents, listed)
        documents.save(replace(contents, sboms={**contents.sboms, "cyclonedx": digest}), listed)
        answer = bakery("verify", "base")
        assert (answer.code, "the image has no bill of materials" in answer.err) == (1, True), answer.err


def test_a_published_version_says_what_was_tested(bakery: CliRunner, folder: Path) -> None:
    """The envelope alone has the whole document, for tools that know only in-toto."""
    verdict = documents.load(Verdict, folder / VERDICT)
    envelope = (folder / "verdict.dsse.json").read_bytes()
    statement = open_keyring(bakery.project).verify(envelope, "verify", "here")
    assert statement.predicate == json.loads(json.dumps(asdict(verdict)))
    assert [subject.digest for subject in statement.subject] == [{"sha256": verdict.sha256}]


def test_an_outage_of_vault_is_no_answer(bakery: CliRunner, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run must not test again only because the keys could not be read."""
    bakery.broken = {"login"}
    with monkeypatch.context() as with_vault, pytest.raises(BakeryError, match="login failed"):
        with_vault.setenv("BAKERY_SIGNING_KEY", "vault:transit")
        bakery.line("base")
    assert bakery.states("base") == {"1.0.0": "reserved"}
