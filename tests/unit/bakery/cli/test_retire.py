"""Old versions are deprecated, disabled and removed; what is in use stays."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bakery.clouds import CLOUDS
from bakery.clouds.local.target import LocalTarget
from bakery.clouds.target import Target, Use
from bakery.engine.session import Session
from bakery.engine.targets import open_targets
from bakery.host.errors import BakeryError
from bakery.model.definition import ImageDefinition
from bakery.model.version import ImageVersion
from unit.bakery.cli.cli_runner import CliRunner

POLICY = "retention: {keep: 1, deprecate_after_days: 10, disable_after_days: 11, remove_after_days: 12}\n"


@pytest.fixture
def aged(bakery: CliRunner) -> CliRunner:
    """Four versions of web, baked long ago; the channel points at the newest."""
    bakery.line()
    for before, after in (("hello", "one"), ("one", "two"), ("two", "three")):
        bakery.edit("web", before, after)
        bakery.line()
    bakery.write("packer/images/web.yaml", (bakery.project.definitions / "web.yaml").read_text() + POLICY)
    return bakery


def use(monkeypatch: pytest.MonkeyPatch, *uses: Use, version: str = "") -> None:
    """Let the target say that somebody uses a version, or each one."""

    def find_uses(self: Any, publication: Any) -> list[Use]:
        return [*uses] if publication.version == version or not version else []

    monkeypatch.setattr(LocalTarget, "find_uses", find_uses)


def disk(runner: CliRunner, version: str) -> Path:
    return runner.project.store / f"web-{version}-x86_64.qcow2"


def test_a_version_goes_step_by_step(aged: CliRunner) -> None:
    assert aged.states("web") == {f"1.0.{patch}": "complete" for patch in range(4)}
    answer = aged("retire", "--dry-run")
    assert answer.code == 0
    assert [line.split()[:5] for line in answer.out.splitlines()[1:]] == [
        ["web", f"1.0.{patch}", "complete", "->", "deprecated"] for patch in range(3)
    ]
    assert "stable would roll back to it" in answer.out.splitlines()[3]
    assert set(aged.states("web").values()) == {"complete"}
    assert aged("retire", "--yes").code == 0
    assert list(aged.states("web").values()) == ["deprecated", "deprecated", "complete", "complete"]
    assert aged("retire", "--yes").out == aged("retire", "--dry-run").out  # the next step has its own days
    answer = aged("retire", "web@1.0.0", "--to", "disabled", "--yes")
    assert (answer.code, answer.out.splitlines()[-1]) == (0, "web 1.0.0 is disabled")
    assert not disk(aged, "1.0.0").exists()
    assert aged("retire", "web@1.0.0", "--to", "removed", "--yes").code == 0
    assert aged.states("web")["1.0.0"] == "removed"
    assert aged("audit").code == 0


def test_restore_undoes_all_but_the_last_step(aged: CliRunner) -> None:
    before = disk(aged, "1.0.0").read_bytes()
    for state in ("deprecated", "disabled"):
        assert aged("retire", "web@1.0.0", "--to", state, "--yes").code == 0
        answer = aged("restore", "web", "1.0.0", "--reason", "needed")
        assert (answer.code, answer.out) == (0, "web 1.0.0 is complete again: needed\n")
        assert disk(aged, "1.0.0").read_bytes() == before
    assert aged("promote", "web", "1.0.0", "stable").code == 0
    assert aged("rollback", "web", "stable").code == 1
    aged("promote", "web", "1.0.3", "stable")
    aged("promote", "web", "1.0.2", "stable")
    aged("promote", "web", "1.0.3", "stable")
    for state in ("disabled", "removed"):
        assert aged("retire", "web@1.0.0", "--to", state, "--yes").code == 0
    answer = aged("restore", "web", "1.0.0", "--reason", "needed")
    assert answer.code == 1
    assert "web 1.0.0 is removed and cannot be complete" in answer.err
    assert "hint: its images are gone: run 'bakery run --rebuild web'" in answer.err


@pytest.mark.parametrize("state", ["deprecated", "disabled"])
def test_a_retired_version_is_not_promoted_and_the_hint_works(aged: CliRunner, state: str) -> None:
    aged("retire", "web@1.0.0", "--to", state, "--yes")
    answer = aged("promote", "web", "1.0.0", "stable")
    assert answer.code == 1
    assert f"web 1.0.0 is {state}: only a complete version can be promoted" in answer.err
    assert "hint: run 'bakery restore web 1.0.0 --reason TEXT' first" in answer.err
    assert aged("restore", "web", "1.0.0", "--reason", "TEXT").code == 0
    assert aged("promote", "web", "1.0.0", "stable").code == 0


def test_nothing_is_removed_that_was_not_disabled_before(aged: CliRunner) -> None:
    answer = aged("retire", "web@1.0.0", "--to", "removed", "--yes")
    assert answer.code == 1
    assert "web 1.0.0 is complete and cannot be removed" in answer.err
    assert "hint: disable it first: 'bakery retire web@1.0.0 --to disabled'" in answer.err
    assert aged.states("web")["1.0.0"] == "complete"


def test_what_is_in_use_stays(aged: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Use("210987654321/eu-west-1", "launch template", "lt-1 (fleet)", "ami-1"))
    answer = aged("retire", "web@1.0.0", "--to", "disabled", "--yes")
    assert answer.code == 1
    assert "launch template lt-1 (fleet) in 210987654321/eu-west-1" in answer.out
    assert aged.states("web")["1.0.0"] == "complete"
    # Deprecation takes nothing from anybody.
    assert aged("retire", "web@1.0.0", "--to", "deprecated", "--yes").code == 0


@pytest.mark.parametrize(("at", "code"), [("2026-01-01T00:00:00+00:00", 0), ("2199-01-01T00:00:00+00:00", 1)])
def test_a_launch_counts_for_some_days(aged: CliRunner, monkeypatch: pytest.MonkeyPatch, at: str, code: int) -> None:
    use(monkeypatch, Use("eu-west-1", "launch", "", "ami-1", at))
    answer = aged("retire", "web@1.0.0", "--to", "disabled", "--yes")
    assert answer.code == code
    assert ("started on 2199-01-01 in eu-west-1" in answer.out) == bool(code)


def test_a_target_that_does_not_answer_keeps_the_version(aged: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise BakeryError("cannot ask for references", detail="AccessDenied")

    monkeypatch.setattr(LocalTarget, "find_uses", refuse)
    answer = aged("retire", "web@1.0.0", "--to", "disabled", "--yes")
    assert answer.code == 1
    assert "its users are unknown: local: cannot ask for references: AccessDenied" in answer.out


def test_the_newest_version_and_those_of_channels_stay(aged: CliRunner) -> None:
    answer = aged("retire", "web@1.0.3", "--to", "deprecated", "--yes")
    assert answer.code == 1
    assert "it is the newest complete version" in answer.out
    assert "stable points at it" in answer.out
    assert aged("rollback", "web", "stable").code == 0
    answer = aged("retire", "web@1.0.2", "web@1.0.1", "--to", "disabled", "--yes")
    assert answer.code == 1
    assert "stable points at it" in answer.out
    assert "stable would roll back to it" in answer.out


def test_a_parent_stays_while_its_child_can_be_used(bakery: CliRunner) -> None:
    bakery.line()
    bakery.write("packer/base/debian/network.yaml", "# mended\n")
    bakery.line("base")
    answer = bakery("retire", "base@1.0.0", "--to", "disabled", "--yes")
    assert answer.code == 1
    assert "web 1.0.0 is built on it" in answer.out


def test_a_state_of_terraform_keeps_a_version(aged: CliRunner, tmp_path: Path) -> None:
    state = tmp_path / "terraform.tfstate"
    resource = {"instances": [{"attributes": {"ami": disk(aged, "1.0.0").name}}]}
    state.write_text(json.dumps({"terraform_version": "1.14.0", "resources": [resource]}))
    call = ("retire", "web@1.0.0", "web@1.0.1", "--to", "disabled", "--yes", "--terraform-state", str(state))
    answer = aged(*call)
    assert answer.code == 4
    assert f"{state} has web-1.0.0-x86_64.qcow2" in answer.out
    assert list(aged.states("web").values())[:2] == ["complete", "disabled"]


@pytest.mark.parametrize("text", ["", "[]", '{"version": 4}', None])
def test_a_file_that_is_no_state(aged: CliRunner, tmp_path: Path, text: str | None) -> None:
    """Nothing is retired if the file with all users could not be read."""
    file = tmp_path / "state"
    if text is not None:
        file.write_text(text)
    answer = aged("retire", "--yes", "--terraform-state", str(file))
    assert answer.code == 64
    assert f"{file}: not a state of Terraform" in answer.err
    assert set(aged.states("web").values()) == {"complete"}


def test_a_question_is_asked(aged: CliRunner) -> None:
    answer = aged("retire")
    assert answer.code == 64
    assert "nobody is there to answer: 2 versions will be deprecated?" in answer.err
    assert "hint: --yes says yes" in answer.err
    assert set(aged.states("web").values()) == {"complete"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("web@1.0.0",), "web@1.0.0 names a version"),
        (("--to", "disabled"), "--to needs the names of versions"),
        (("web", "--to", "disabled"), "--to needs the names of versions"),
        (("--reason", "old"), "--reason is for named versions"),
        (("wbe",), "no image named 'wbe'"),
    ],
)
def test_what_cannot_be_meant_is_refused(aged: CliRunner, arguments: tuple[str, ...], message: str) -> None:
    answer = aged("retire", *arguments, "--yes")
    assert answer.code == 64
    assert message in answer.err


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("{keep: 2}", "it retires nothing"),
        ("{remove_after_days: 9}", "a version is disabled for some days before it is removed"),
        ("{disable_after_days: 9, remove_after_days: 9}", "it is not after disable_after_days (9)"),
        ("{deprecate_after_days: 9, disable_after_days: 8}", "it is not after deprecate_after_days (9)"),
        ("{keep: 0, deprecate_after_days: 9}", "'retention.keep' is 0; it must be 1 or more"),
    ],
)
def test_a_policy_that_makes_no_sense(bakery: CliRunner, policy: str, message: str) -> None:
    text = (bakery.project.definitions / "web.yaml").read_text()
    bakery.write("packer/images/web.yaml", f"{text}retention: {policy}\n")
    answer = bakery("validate")
    assert answer.code == 64
    assert message in answer.err
    assert "web.yaml:" in answer.err


@pytest.mark.parametrize("state", ["deprecated", "disabled", "removed", "revoked"])
def test_a_change_that_was_interrupted_is_finished(
    aged: CliRunner, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """The record has the state, the images do not: the same verb, and audit, bring them there."""
    if state == "removed":
        aged("retire", "web@1.0.0", "--to", "disabled", "--yes")
    call: tuple[str, ...] = ("retire", "web@1.0.0", "--to", state, "--yes")
    if state == "revoked":
        call = ("revoke", "web", "1.0.0", "--reason", "leaks", "--yes")

    def fail(*_: Any) -> None:
        raise BakeryError("the target does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(LocalTarget, "set_availability", fail)
        assert aged(*call).code == 1
    record = aged.catalog.record(ImageVersion("web", "x86_64", "1.0.0"))
    assert (record.state, record.pending) == (state, True)
    answer = aged("audit", "web")
    assert answer.code == 1
    assert f"its change to {state} was interrupted" in answer.out
    assert f"{state}, pending" in aged("catalog", "web").out
    if state in ("revoked", "removed"):
        assert aged(*call).code == 0
    else:
        assert aged("audit", "web", "--fix").code == 0
    assert not aged.catalog.record(ImageVersion("web", "x86_64", "1.0.0")).pending
    assert aged("audit", "web").code == 0


def test_json_has_the_steps(aged: CliRunner) -> None:
    steps = json.loads(aged("retire", "--dry-run", "--json").out)
    assert [(step["version"], step["after"], step["blockers"]) for step in steps] == [
        ("1.0.0", "deprecated", []),
        ("1.0.1", "deprecated", []),
        ("1.0.2", "deprecated", ["stable would roll back to it"]),
    ]


def test_an_image_whose_targets_are_gone_is_kept(aged: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows who uses its images."""
    monkeypatch.setattr("bakery.engine.lifecycle.open_targets", _open_nothing)
    answer = aged("retire", "web@1.0.0", "--to", "disabled", "--yes")
    assert answer.code == 1
    assert "its users are unknown: local: it is no target of a definition any more" in answer.out


def test_a_version_of_an_image_without_a_definition_is_kept(aged: CliRunner) -> None:
    (aged.project.definitions / "web.yaml").unlink()
    answer = aged("retire", "web@1.0.0", "--to", "disabled", "--yes")
    assert answer.code == 1
    assert "its users are unknown: local: it is no target of a definition any more" in answer.out


class _open_nothing:
    def __init__(self, _session: Session, _definition: Any) -> None: ...

    def __enter__(self) -> Mapping[str, Any]:
        return {}

    def __exit__(self, *_: object) -> None: ...


def test_what_comes_into_use_before_the_answer_stays(aged: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    aged("retire", "web@1.0.0", "--to", "disabled", "--yes")
    answers: list[list[Use]] = [[], [Use("eu-west-1", "launch template", "lt-1", "ami-1")]]
    monkeypatch.setattr(LocalTarget, "find_uses", lambda *_: answers.pop(0))
    answer = aged("retire", "web@1.0.0", "--to", "removed", "--yes")
    assert answer.code == 1
    assert "web 1.0.0 stays disabled: launch template lt-1 in eu-west-1" in answer.err
    assert aged.states("web")["1.0.0"] == "disabled"


def test_a_sweep_keeps_the_checksum_of_a_retirement_that_was_interrupted(aged: CliRunner) -> None:
    """It was stopped between the two renames."""
    before = disk(aged, "1.0.0").read_bytes()
    aged("retire", "web@1.0.0", "--to", "disabled", "--yes")
    hidden = aged.project.store / "web-1.0.0-x86_64.qcow2.sha256.disabled"
    hidden.rename(aged.project.store / "web-1.0.0-x86_64.qcow2.sha256")
    for path in aged.project.store.iterdir():
        os.utime(path, (0, 0), follow_symlinks=False)
    assert aged("sweep", "--yes").code == 0
    assert aged("restore", "web", "1.0.0", "--reason", "needed").code == 0
    assert disk(aged, "1.0.0").read_bytes() == before
    assert aged("audit", "web", "--fix").code == 0
    assert aged("promote", "web", "1.0.0", "stable").code == 0


def test_a_restore_that_cannot_work_changes_nothing(aged: CliRunner) -> None:
    aged("retire", "web@1.0.0", "--to", "disabled", "--yes")
    (aged.project.store / "web-1.0.0-x86_64.qcow2.disabled").unlink()
    answer = aged("restore", "web", "1.0.0", "--reason", "needed")
    assert answer.code == 1
    assert "web 1.0.0 is gone at local: it stays disabled" in answer.err
    record = aged.catalog.record(ImageVersion("web", "x86_64", "1.0.0"))
    assert (record.state, record.pending) == ("disabled", False)


def test_without_a_policy_there_is_nothing_to_do(aged: CliRunner) -> None:
    """A nightly job may name images of which some have none."""
    answer = aged("retire", "base", "web", "--dry-run")
    assert answer.code == 0
    assert "base: its definition has no retention: nothing is retired" in answer.err
    assert "deprecated" in answer.out


@pytest.fixture
def logins(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The images to whose targets a verb has logged in; one with a `!` before it is refused."""
    images: list[str] = []

    @contextmanager
    def note(session: Session, definition: ImageDefinition) -> Iterator[Mapping[str, Target]]:
        images.append(definition.name)
        if images.count(definition.name) > 1 and f"!{definition.name}" in images:
            raise BakeryError("Vault refuses the login", hint="log in again")
        with open_targets(session, definition) as targets:
            yield targets

    monkeypatch.setattr("bakery.engine.lifecycle.open_targets", note)
    return images


def test_one_login_for_all_versions_of_an_image(aged: CliRunner, logins: list[str]) -> None:
    assert aged("retire", "web@1.0.0", "web@1.0.1", "--to", "disabled", "--yes").code == 0
    assert logins == ["web", "web"]  # for the plan, and for the work


def test_a_login_that_fails_keeps_only_versions_of_its_image(aged: CliRunner, logins: list[str]) -> None:
    """It fails after the plan."""
    aged.edit("base", "bookworm", "trixie")
    aged.line("base")
    logins.append("!web")
    answer = aged("retire", "web@1.0.0", "web@1.0.1", "base@1.0.0", "--to", "deprecated", "--yes")
    assert answer.code == 4
    assert "2 of 3 versions failed" in answer.err
    for name in ("web 1.0.0", "web 1.0.1"):
        assert f"{name}: Vault refuses the login" in answer.err
    assert list(aged.states("web").values())[:2] == ["complete", "complete"]
    assert aged.states("base")["1.0.0"] == "deprecated"


def test_a_version_that_was_restored_since_the_plan_stays(aged: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """The step of the plan was to disable it."""
    aged("retire", "web@1.0.0", "--to", "deprecated", "--yes")

    def restore(*_: object) -> None:
        catalog = aged.catalog
        record = catalog.record(ImageVersion("web", "x86_64", "1.0.0"))
        catalog.settle_state(catalog.change_state(record, "complete", "needed"))

    monkeypatch.setattr("bakery.cli.retire.require_consent", restore)
    answer = aged("retire", "web@1.0.0", "--to", "disabled")
    assert answer.code == 1
    assert "web 1.0.0 is complete by now, and was deprecated" in answer.err
    assert aged.states("web")["1.0.0"] == "complete"


def test_the_policy_passes_over_a_version_that_a_person_restored(aged: CliRunner) -> None:
    aged("retire", "--yes")
    before = aged.states("web")
    assert aged("restore", "web", "1.0.0", "--reason", "a customer needs it").code == 0
    line = aged("retire", "--dry-run").out.splitlines()[1]
    record = aged.catalog.record(ImageVersion("web", "x86_64", "1.0.0"))
    assert line.startswith("web    1.0.0    complete -> deprecated")
    assert line.endswith(f"  restored on {record.at[:10]} by {record.by}: a customer needs it")
    assert aged("retire", "--yes").code == 0
    assert aged.states("web") == {**before, "1.0.0": "complete"}
    # It holds while the record gets revisions of other kinds, and lasts no longer than the person's next word.
    aged.catalog.revise(aged.catalog.record(record), "a share was added")
    assert "a customer needs it" in aged("retire", "--dry-run").out
    assert aged("retire", "web@1.0.0", "--to", "deprecated", "--yes").code == 0
    assert aged.states("web") == before
    assert aged.catalog.record(record).owner == ""


@pytest.mark.parametrize(
    ("policy", "state"),
    [
        (POLICY.replace("12", "13"), "deprecated"),
        (POLICY.replace("keep: 1, ", "").replace("}", ", launched_within_days: 30, keep: 1}"), "complete"),
    ],
)
def test_a_changed_policy_counts_for_a_restored_version(aged: CliRunner, policy: str, state: str) -> None:
    """The order of keys, and a key with its default, are no change."""
    aged("retire", "--yes")
    aged("restore", "web", "1.0.0", "--reason", "needed")
    aged.edit("web", POLICY, policy)
    assert aged("retire", "--yes").code == 0
    assert aged.states("web")["1.0.0"] == state


def test_an_older_release_can_read_the_record_of_a_restored_version(aged: CliRunner) -> None:
    """It refuses fields that it does not know, and knew the owner of a reservation."""
    record = aged.catalog.record(ImageVersion("web", "x86_64", "1.0.1"))
    aged("retire", "--yes")
    aged("restore", "web", "1.0.1", "--reason", "needed")
    restored = aged.catalog.record(record)
    changed = {name for name, value in vars(restored).items() if value != getattr(record, name)}
    assert changed <= {"revision", "at", "reason", "owner", "publications"}


def test_users_that_a_target_cannot_see_are_named(aged: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only if a version would be disabled or removed: deprecation takes nothing from anybody."""
    monkeypatch.setitem(CLOUDS, "local", replace(CLOUDS["local"], unseen_users="machines elsewhere"))
    note = "local does not show machines elsewhere"
    assert note not in aged("retire", "web@1.0.0", "web@1.0.1", "--to", "deprecated", "--yes").err
    assert note not in aged("retire", "--dry-run").err
    answer = aged("retire", "web@1.0.0", "web@1.0.1", "--to", "disabled", "--dry-run")
    assert answer.err.count(note) == 1
    assert note in aged("revoke", "web", "1.0.0", "--reason", "leaks", "--dry-run").err
    assert CLOUDS["azure"].unseen_users
