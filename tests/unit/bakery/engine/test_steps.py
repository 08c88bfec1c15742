"""The single steps of the line, as their own verbs."""

import json
import shutil
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bakery.bake.request import BakeContext, BakeRequest
from bakery.engine import steps
from bakery.machine.disk_image import BaseDisk
from bakery.model import documents
from bakery.model.documents import Artifact, Verdict
from bakery.model.version import ImageVersion
from unit.bakery.cli.cli_runner import CliRunner

SECRETS = "secrets:\n  nginx_password: {path: secret/data/web, key: password}\ntests: [base]"


def test_step_by_step(bakery: CliRunner) -> None:
    for verb in ("bake", "verify", "publish"):
        answer = bakery(verb, "base")
        assert answer.code == 0, answer.err
        assert "base   1.0.0" in answer.out
    assert bakery.did == ["bake base", "verify base", "publish base"]
    assert bakery.states("base") == {"1.0.0": "complete"}


def test_bake_takes_up_what_was_baked_from_the_same_inputs(bakery: CliRunner) -> None:
    bakery("bake", "base")
    answer = bakery("bake", "base")
    assert (answer.code, bakery.did) == (0, ["bake base"])
    assert "baked before from the same inputs" in answer.err


def test_bake_bakes_again_what_was_made_from_others(bakery: CliRunner) -> None:
    """A folder of the number that was reserved, brought here from elsewhere."""
    bakery("bake", "base")
    folder = bakery.folder("base", "1.0.0")
    documents.save(
        replace(documents.load(Artifact, folder / "artifact.json"), input_key="o" * 64), folder / "artifact.json"
    )
    bakery.did.clear()
    (folder / "disk.qcow2").unlink()
    bakery.broken = {"bake base"}
    assert bakery("bake", "base").code == 1
    assert bakery.did == ["bake base"]


@pytest.mark.parametrize("options", [(), ("--keep",)])
def test_bake_keeps_the_disk_of_a_failure_if_asked(
    bakery: CliRunner, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    contexts: list[BakeContext] = []

    def bake(request: BakeRequest, base: BaseDisk, context: BakeContext) -> Artifact:
        contexts.append(context)
        return bakery.bake(request, base, context)

    monkeypatch.setattr(steps, "bake", bake)
    assert bakery("bake", "base", *options).code == 0
    assert [context.keep for context in contexts] == [bool(options)]


@pytest.mark.parametrize(
    ("options", "terminals", "kept"),
    [
        (("--keep",), ("stdin", "stderr"), True),
        (("--keep", "--json"), ("stdin", "stderr"), True),
        ((), ("stdin", "stderr"), False),
        (("--keep",), ("stderr",), False),
        (("--keep",), ("stdin",), False),
        (("--keep", "--quiet"), ("stdin", "stderr"), False),
    ],
)
def test_bake_keeps_a_guest_for_a_person_who_reads_how_to_log_in(
    bakery: CliRunner, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], terminals: tuple[str, ...], kept: bool
) -> None:
    contexts: list[BakeContext] = []

    def bake(request: BakeRequest, base: BaseDisk, context: BakeContext) -> Artifact:
        contexts.append(context)
        return bakery.bake(request, base, context)

    monkeypatch.setattr(steps, "bake", bake)
    for name in terminals:
        monkeypatch.setattr(getattr(sys, name), "isatty", lambda: True)
    assert bakery("bake", "base", *options).code == 0
    assert [context.keep_guest for context in contexts] == [kept]


def test_bake_says_what_it_keeps(bakery: CliRunner) -> None:
    bakery.line()
    answer = bakery("bake")
    assert (answer.code, bakery.did) == (
        0,
        ["bake base", "verify base", "publish base", "bake web", "verify web", "publish web"],
    )
    assert answer.out.count("kept: inputs unchanged; not refreshed") == 2


def test_bake_of_a_child_without_its_parent(bakery: CliRunner) -> None:
    answer = bakery("bake", "web")
    assert answer.code == 1
    assert "error: web cannot be baked yet: waits for base\nhint: run 'bakery run web'\n" in answer.err
    assert bakery.states("web") == {}


def test_bake_of_all_does_what_it_can(bakery: CliRunner) -> None:
    answer = bakery("bake")
    assert answer.code == 4
    assert "error: 1 of 2 images failed" in answer.err
    assert bakery.did == ["bake base"]


@pytest.mark.parametrize(
    ("verb", "message"),
    [
        ("verify", "error: base 1.0 has not been baked here\nhint: run 'bakery bake base' first\n"),
        ("publish", "error: base 1.0 has not been baked here\nhint: run 'bakery bake base' first\n"),
    ],
)
def test_steps_that_come_too_early(bakery: CliRunner, verb: str, message: str) -> None:
    answer = bakery(verb, "base")
    assert answer.code == 1
    assert message in answer.err
    assert bakery.did == []


def test_publish_before_verify(bakery: CliRunner) -> None:
    bakery("bake", "base")
    answer = bakery("publish", "base")
    assert answer.code == 1
    assert "error: base-1.0.0-x86_64 was never tested\nhint: run 'bakery verify base'\n" in answer.err
    assert bakery.states("base") == {"1.0.0": "reserved"}


def test_publish_of_what_failed_its_tests(bakery: CliRunner) -> None:
    bakery("bake", "base")
    bakery.failing_checks = {"base"}
    answer = bakery("verify", "base")
    assert answer.code == 1
    assert "base 1.0.0 failed 1 of 2 checks\n  answers: port 80 is closed\nhint: " in answer.err
    answer = bakery("publish", "base")
    assert answer.code == 1
    assert "did not pass its tests" in answer.err
    assert bakery.states("base") == {"1.0.0": "reserved"}


def test_a_disk_that_changed_is_verified_again(bakery: CliRunner) -> None:
    bakery("bake", "base")
    bakery("verify", "base")
    verdict = bakery.folder("base", "1.0.0") / "verdict.json"
    documents.save(replace(documents.load(Verdict, verdict), sha256="e" * 64), verdict)
    bakery.line("base")
    assert bakery.did == ["verify base", "publish base"]


def test_what_was_baked_again_from_the_same_inputs_is_published(bakery: CliRunner) -> None:
    """Step by step, as jobs of a pipeline with `rebuild` do."""
    bakery.line("web")
    for arguments in (
        ("bake", "web", "--baked-before", "2026-02-01T00:00:00+00:00"),
        ("verify", "web"),
        ("publish", "web"),
    ):
        answer = bakery(*arguments)
        assert answer.code == 0, answer.err
    assert bakery.states("web") == {"1.0.0": "complete", "1.0.1": "complete"}
    entry = bakery.catalog.channel("web", "x86_64", "stable")
    assert entry and entry.version == "1.0.1"


def test_publish_again_changes_nothing(bakery: CliRunner) -> None:
    (before,) = bakery.line("base")
    assert bakery("publish", "base").code == 0
    assert bakery.catalog.record(ImageVersion("base", "x86_64", "1.0.0")) == before


def test_a_complete_version_is_published_again_without_its_disk(bakery: CliRunner) -> None:
    (before,) = bakery.line("base")
    shutil.rmtree(bakery.folder("base", "1.0.0"))
    assert bakery("publish", "base").code == 0
    assert bakery.catalog.record(ImageVersion("base", "x86_64", "1.0.0")) == before
    (bakery.project.store / before.publications[0].locations[0].id).unlink()
    answer = bakery("publish", "base")
    assert answer.code == 1
    assert "the store has no disk of base-1.0.0-x86_64\nhint: publish it from the workspace that baked it" in answer.err


@pytest.mark.parametrize("lost", ["artifact.json", "disk.qcow2"])
def test_a_complete_version_that_is_elsewhere_has_one_way_out(bakery: CliRunner, lost: str) -> None:
    """A bake would keep it, so nobody is sent there."""
    bakery.line("base")
    (bakery.folder("base", "1.0.0") / lost).unlink()
    answer = bakery("verify", "base")
    assert answer.code == 1
    folder = bakery.folder("base", "1.0.0")
    assert (
        "error: base 1.0 has not been baked here\n"
        f"hint: 1.0.0 is complete, so no run bakes it again: copy {folder}* from the machine that baked it, or bake a "
        "new version with 'bakery run --rebuild base'\n"
    ) in answer.err
    bakery.baked_at = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    assert bakery("run", "--rebuild", "base").code == 0
    assert bakery("publish", "base").code == 0
    assert bakery.states("base") == {"1.0.0": "complete", "1.0.1": "complete"}


def test_a_version_that_is_elsewhere_is_baked_anew_where_inputs_changed(bakery: CliRunner) -> None:
    bakery.line("base")
    (bakery.folder("base", "1.0.0") / "artifact.json").unlink()
    bakery.write("packer/base/debian/network.yaml", "# another\n")
    assert "hint: run 'bakery bake base' first\n" in bakery("publish", "base").err
    assert bakery("bake", "base").code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["publish", "base", "--channel", "Bad Channel"],
        ["ci", "plan.json", "--runner-image", "r", "--vault-audience", "v", "--channel", "Bad Channel"],
        ["promote", "base", "1.0.0", "Bad Channel"],
        ["rollback", "base", "Bad Channel"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_bad_name_of_a_channel_is_refused_before_any_work(bakery: CliRunner, arguments: list[str]) -> None:
    for verb in ("bake", "verify"):
        bakery(verb, "base")
    bakery.did.clear()
    answer = bakery(*arguments)
    assert (answer.code, bakery.did) == (64, [])
    assert answer.err.startswith("error: 'Bad Channel' is not a channel name\nhint: 2 to 50 small letters")
    assert bakery.states("base") == {"1.0.0": "reserved"}


def test_a_bad_version_is_refused_before_any_work(bakery: CliRunner) -> None:
    answer = bakery("promote", "base", "../channels/stable", "stable")
    assert answer.code == 64
    assert answer.err.startswith("error: '../channels/stable' is not a version\nhint: three numbers, such as 1.0.3;")


def test_json(bakery: CliRunner) -> None:
    baked = json.loads(bakery("bake", "base", "--json").out)
    verdicts = json.loads(bakery("verify", "base", "--json").out)
    records = json.loads(bakery("publish", "base", "--json").out)
    assert [found[0]["schema"] for found in (baked, verdicts, records)] == [
        "bakery/artifact/1",
        "bakery/verdict/1",
        "bakery/record/1",
    ]


class TestVault:
    def test_is_not_needed_without_secrets(self, bakery: CliRunner) -> None:
        bakery.broken = {"login"}
        assert len(bakery.line()) == 2

    def test_is_opened_to_look_ahead_for_the_bake_and_for_the_search(self, bakery: CliRunner) -> None:
        bakery.line("base")
        bakery.edit("web", "tests: [base]", SECRETS)
        bakery.line("web")
        assert bakery.did == ["login", "login", "bake web", "login", "verify web", "publish web"]

    def test_that_does_not_answer(self, bakery: CliRunner) -> None:
        bakery.line("base")
        bakery.edit("web", "tests: [base]", SECRETS)
        bakery.broken = {"login"}
        answer = bakery("run", "web")
        assert answer.code == 1
        assert "login failed" in answer.err
        assert bakery.states("web") == {}


def test_quiet_and_verbose(bakery: CliRunner) -> None:
    assert bakery("run", "base", "--quiet").err == ""
    bakery.write("packer/base/debian/network.yaml", "# another\n")
    assert "recipe/network.yaml" in bakery("run", "base", "--verbose").err


@pytest.mark.parametrize("damage", [b"", b"[]", b'{"schema": "bakery/contents/9"}', b"\xff"])
@pytest.mark.parametrize("name", ["contents.json", "verdict.json", "publication-local.json"])
def test_a_damaged_document_that_costs_little_is_made_again(bakery: CliRunner, name: str, damage: bytes) -> None:
    bakery.packages = {"base": {"acl": "2.3"}}
    bakery.broken = {"publish base"}
    assert bakery("run", "base").code == 1
    (bakery.folder("base", "1.0.0") / name).write_bytes(damage)
    bakery.broken = set()
    answer = bakery("run", "base")
    assert (answer.code, bakery.states("base")) == (0, {"1.0.0": "complete"}), answer.err
    assert bakery("show", "base").code == 0


def test_a_damaged_artifact_says_the_way_out(bakery: CliRunner) -> None:
    bakery("bake", "base")
    folder = bakery.folder("base", "1.0.0")
    (folder / "artifact.json").write_bytes(b"{")
    answer = bakery("run", "base")
    assert answer.code == 1
    assert f"hint: it is damaged: remove {folder} and run 'bakery run base' again" in answer.err
    shutil.rmtree(folder)
    assert bakery("run", "base").code == 0
