"""`bakery diff` and `bakery apply`: what is called, what is shown, and how each of them ends."""

import errno
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bakery import cli
from bakery.host import files
from bakery.host.errors import BakeryError, UsageError
from bakery.infra import mirror, rollout
from bakery.infra.terraform import Terraform
from bakery.model import documents
from bakery.model.project import Project
from unit.bakery.cli.cli_runner import CliResult
from unit.bakery.infra.fakes import Fake, install

LOCKED = "Error: Error acquiring the state lock\nLock Info:\n  ID:  1f6c\n  Who:  bob@ci\n  Created:  2026-01-01\n"
UNREAD = """\
Error: Unable to find remote state

  with data.terraform_remote_state.cross-stack-reference-input-network,
"""
NO_PROVIDER = """\
Error: Failed to query available provider packages

Could not retrieve the list of available versions for provider hashicorp/vault:
no such host
"""
STALE = "Error: Saved plan is stale"


def plan(*actions: str, address: str = "aws_sns_topic.news", **more: Any) -> str:
    """What `terraform show` prints of a plan with one change; of one with none without an action."""
    change = {"actions": list(actions), "before": {"name": "s3cret-1"}, "after": {"name": "s3cret-2"}}
    resources = [{"address": address, "change": change}] if actions else []
    return json.dumps({"applyable": bool(actions), "resource_changes": resources, **more})


class Stacks:
    """A project of three stacks, of which two read `network`; there are changes in none of them."""

    def __init__(self, project: Project, fake: Fake, capture: pytest.CaptureFixture[str]) -> None:
        self.project = project
        self.fake = fake
        self._capture = capture
        fake.answer("synth", stacks={"vault": ["network"], "images": ["network"], "network": []})
        fake.answer("show", stdout=plan())
        fake.answer("output", stdout="{}")

    def changes(self, stack: str, *actions: str, **more: Any) -> None:
        """Let a stack have a plan that does something."""
        self.fake.answer(f"plan {stack}", code=2)
        self.fake.answer(f"show {stack}", stdout=plan(*actions, **more))

    def __call__(self, *arguments: str) -> CliResult:
        """`bakery ARGUMENTS`, in this process."""
        self._capture.readouterr()
        sys.argv = ["bakery", *arguments]
        code = cli.main()
        return CliResult(code, *self._capture.readouterr())

    @property
    def logged(self) -> str:
        """All logs."""
        return "".join(path.read_text() for path in self.project.logs.iterdir())

    def called(self, *commands: str) -> list[str]:
        """Those commands that were run, each with its stack."""
        found = [(call["argv"][0], Path(call["cwd"]).name) for call in self.fake.calls]
        return [f"{command} {stack}" for command, stack in found if command in commands]


@pytest.fixture
def stacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Stacks]:
    root = tmp_path / "project"
    project = Project(root, root / "packer" / "images", root / ".bakery")
    (root / ".bakery" / "tools" / "bin").mkdir(parents=True)
    files.write_atomic(project.definitions / "web.yaml", b"")
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.setenv("HOME", str(project.tool_bin))
    for name in (mirror.VARIABLE, mirror.CONFIG_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(rollout, "POLL_SECONDS", 0.01)
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    yield Stacks(project, install(project, "terraform", "cdktf"), capsys)
    signal.signal(signal.SIGTERM, before[0])  # main() takes both
    signal.signal(signal.SIGINT, before[1])


class TestDiff:
    def test_all_stacks_in_their_order(self, stacks: Stacks) -> None:
        answer = stacks("diff")
        assert (answer.code, answer.out) == (0, "network: no changes\nimages: no changes\nvault: no changes\n")
        assert stacks.called("init", "plan", "show", "apply") == [
            f"{command} {stack}" for stack in ("network", "images", "vault") for command in ("init", "plan", "show")
        ]
        plans = [call["argv"] for call in stacks.fake.calls if call["argv"][0] == "plan"]
        assert all("-lock=false" in argv for argv in plans)

    def test_what_changes_is_named_and_not_shown(self, stacks: Stacks) -> None:
        stacks.changes("network", "delete", "create")
        answer = stacks("diff", "--verbose")
        assert answer.out == (
            "network: 0 to add, 0 to change, 1 to replace, 0 to destroy\n"
            "  replace  aws_sns_topic.news: name\n"
            "images: no changes\n"
            "  note     planned with the current outputs of network\n"
            "vault: no changes\n"
            "  note     planned with the current outputs of network\n"
        )
        assert "s3cret" not in answer.err + answer.out + stacks.logged

    @pytest.mark.parametrize(("options", "code"), [([], 0), (["--detailed-exitcode"], 2)])
    def test_changes_have_an_exit_code_if_it_is_asked_for(self, stacks: Stacks, options: list[str], code: int) -> None:
        stacks.changes("images", "update")
        assert stacks("diff", *options).code == code
        assert stacks("diff", "network", *options).code == 0

    def test_drift_is_told_apart(self, stacks: Stacks) -> None:
        change = {"actions": ["update"], "before": {"name": "s3cret-2"}, "after": {"name": "s3cret-1"}}
        stacks.changes("images", "update", resource_drift=[{"address": "aws_sns_topic.news", "change": change}])
        assert stacks("diff", "images").out.splitlines()[1:] == [
            "  change   aws_sns_topic.news: name",
            "  drift    aws_sns_topic.news: somebody changed it (name) outside of Terraform; an apply corrects it",
        ]

    def test_a_stack_that_reads_what_is_not_there_yet(self, stacks: Stacks) -> None:
        stacks.fake.answer("plan vault", code=1, stderr=UNREAD)
        answer = stacks("diff", "--detailed-exitcode")
        assert answer.code == 2
        assert "vault: cannot be planned before network is applied: it reads outputs" in answer.out

    def test_json(self, stacks: Stacks) -> None:
        stacks.changes("images", "create")
        [found] = json.loads(stacks("diff", "images", "--json").out)
        assert (found["stack"], found["pending"], found["schema"]) == ("images", True, "bakery/difference/1")
        assert found["changes"] == [{"address": "aws_sns_topic.news", "kind": "add", "attributes": [], "reason": ""}]

    def test_the_report_counts_all_stacks(self, stacks: Stacks, tmp_path: Path) -> None:
        stacks.changes("images", "create")
        stacks.changes("vault", "delete")
        stacks("diff", "--report", str(tmp_path / "report.json"))
        assert json.loads((tmp_path / "report.json").read_text()) == {"create": 1, "update": 0, "delete": 1}

    def test_one_that_cannot_be_planned_hides_no_other(self, stacks: Stacks) -> None:
        stacks.fake.answer("init network", code=1, stderr=NO_PROVIDER)
        answer = stacks("diff")
        assert answer.code == 1
        assert answer.out == "images: no changes\nvault: no changes\n"
        assert "error: 1 of 3 stacks cannot be planned\n" in answer.err
        assert "provider hashicorp/vault" in answer.err
        assert "BAKERY_TERRAFORM_MIRROR" in answer.err
        alone = stacks("diff", "network")
        assert "error: " + str(stacks.project.workspace) in alone.err
        assert (
            "cannot init with Terraform: neither a registry nor a mirror has the provider hashicorp/vault\n"
            in alone.err
        )


class TestApply:
    def test_carries_out_the_plan_that_was_shown(self, stacks: Stacks) -> None:
        stacks.changes("network", "create")
        answer = stacks("apply", "vault", "network")
        assert answer.code == 0, answer.err
        assert answer.out.splitlines() == [
            "STACK    ADD  CHANGE  REPLACE  DESTROY  RESULT",
            "network  1    0       0        0        applied",
            "vault    0    0       0        0        no changes",
        ]
        assert "    infra network:   add      aws_sns_topic.news\n" in answer.err
        assert stacks.called("plan", "apply") == ["plan network", "apply network", "plan vault"]
        planned, applied, _ = [call["argv"] for call in stacks.fake.calls if call["argv"][0] in ("plan", "apply")]
        assert f"-out={applied[-1]}" in planned
        assert not Path(applied[-1]).parent.exists(), "it has secrets in clear"
        assert not any("lock" in option for option in planned)

    def test_no_value_of_a_resource_is_shown(self, stacks: Stacks) -> None:
        stacks.changes("network", "update")
        answer = stacks("apply", "--verbose")
        assert "change   aws_sns_topic.news: name" in answer.err
        assert "s3cret" not in answer.err + answer.out + stacks.logged

    @pytest.mark.parametrize("actions", [("delete",), ("delete", "create"), ("create", "delete")])
    def test_destruction_is_refused(self, stacks: Stacks, actions: tuple[str, ...], tmp_path: Path) -> None:
        stacks.changes("network", *actions)
        answer = stacks("apply", "--report", str(tmp_path / "report.json"))
        assert answer.code == 1
        assert stacks.called("apply") == []
        assert "error: the plan of network destroys or replaces 1 resource\n" in answer.err
        assert " aws_sns_topic.news\n  skipped, since they depend on a failed stack: images, vault\n" in answer.err
        assert "\nhint: nothing of it was applied;" in answer.err
        assert json.loads((tmp_path / "report.json").read_text())["delete"] == 1

    def test_destruction_is_allowed_by_an_option(self, stacks: Stacks) -> None:
        stacks.changes("network", "delete")
        assert stacks("apply", "--allow-destroy").code == 0
        assert stacks.called("apply") == ["apply network"]

    def test_a_failure_keeps_back_no_stack_that_does_not_read_it(self, stacks: Stacks) -> None:
        for stack in ("network", "images", "vault"):
            stacks.changes(stack, "create")
        stacks.fake.answer("apply images", code=1, stderr="Error: AccessDenied")
        answer = stacks("apply")
        assert answer.code == 4
        assert stacks.called("apply") == ["apply network", "apply images", "apply vault"]
        assert "cannot apply with Terraform: AccessDenied\n" in answer.err
        assert "  applied: network, vault\n" in answer.err
        assert "skipped" not in answer.err
        assert [line.split()[0] for line in answer.out.splitlines()] == ["STACK", "network", "vault"]

    def test_what_is_in_vault_waits_for_vault(self, stacks: Stacks) -> None:
        stacks.fake.answer("synth", stacks={"vault": [], "vault-config": []})
        stacks.fake.answer("plan vault", code=1, stderr="Error: AccessDenied")
        answer = stacks("apply")
        assert stacks.called("plan") == ["plan vault"]
        assert "skipped, since they depend on a failed stack: vault-config\n" in answer.err

    def test_what_reads_a_failed_stack_is_not_tried(self, stacks: Stacks) -> None:
        """Nor what reads that."""
        stacks.fake.answer("synth", stacks={"network": [], "runner": ["vault"], "vault": ["network"], "images": []})
        stacks.changes("images", "create")
        stacks.fake.answer("plan network", code=1, stderr="Error: AccessDenied")
        answer = stacks("apply")
        assert answer.code == 4
        assert stacks.called("plan") == ["plan images", "plan network"]
        assert "  applied: images\n  skipped, since they depend on a failed stack: vault, runner\n" in answer.err

    def test_several_failures_are_all_told(self, stacks: Stacks) -> None:
        stacks.fake.answer("plan images", code=1, stderr="Error: AccessDenied")
        stacks.fake.answer("plan vault", code=1, stderr=LOCKED)
        answer = stacks("apply", "--lock-timeout", "0.05")
        assert answer.code == 1
        assert "error: 2 stacks failed: images, vault\n" in answer.err
        assert "AccessDenied\n" in answer.err
        assert "the state is locked by bob@ci since 2026-01-01; waited 0.05 s" in answer.err

    def test_only_locked_stacks_are_a_reason_to_try_again(self, stacks: Stacks) -> None:
        for stack in ("images", "vault"):
            stacks.fake.answer(f"plan {stack}", code=1, stderr=LOCKED)
        assert stacks("apply", "--lock-timeout", "0.05").code == 75

    def test_a_failure_after_stacks_without_changes_is_not_partial(self, stacks: Stacks) -> None:
        stacks.fake.answer("plan images", code=1, stderr="Error: AccessDenied")
        answer = stacks("apply")
        assert answer.code == 1
        assert "  applied:" not in answer.err

    def test_a_stack_whose_producer_was_left_out(self, stacks: Stacks) -> None:
        stacks.fake.answer("plan vault", code=1, stderr=UNREAD)
        answer = stacks("apply", "vault")
        assert answer.code == 1
        assert "it reads outputs that the stack network does not have yet\n" in answer.err
        assert "hint: run 'bakery apply network' first\n" in answer.err

    def test_outputs_without_the_sensitive_ones(self, stacks: Stacks, tmp_path: Path) -> None:
        outputs = {"id": {"value": "vpc-1", "sensitive": False}, "token": {"value": "s3cret", "sensitive": True}}
        stacks.fake.answer("output", stdout=json.dumps(outputs))
        stacks("apply", "network", "--outputs", str(tmp_path / "outputs.json"))
        assert json.loads((tmp_path / "outputs.json").read_text()) == {"network": {"id": "vpc-1"}}

    def test_outputs_of_what_was_applied_beside_a_failure(self, stacks: Stacks, tmp_path: Path) -> None:
        stacks.fake.answer("plan images", code=1, stderr="Error: AccessDenied")
        stacks("apply", "--outputs", str(tmp_path / "outputs.json"))
        assert json.loads((tmp_path / "outputs.json").read_text()) == {"network": {}, "vault": {}}

    def test_an_interrupt_says_to_run_again(self, stacks: Stacks, monkeypatch: pytest.MonkeyPatch) -> None:
        stacks.changes("network", "create")
        monkeypatch.setattr(Terraform, "apply", lambda *_: os.kill(os.getpid(), signal.SIGINT))
        answer = stacks("apply")
        assert answer.code == 130
        assert "run the same command again" in answer.err
        assert not list(stacks.project.workspace.glob(".plan-*"))


class TestLocks:
    def test_waits_and_says_for_whom(self, stacks: Stacks) -> None:
        stacks.fake.turns("plan network", {"code": 1, "stderr": LOCKED}, {"code": 1, "stderr": LOCKED}, {"code": 0})
        answer = stacks("apply", "network")
        assert answer.code == 0, answer.err
        assert answer.err.count("the state is locked by bob@ci since 2026-01-01; waiting up to ") == 1
        assert "terraform force-unlock 1f6c" in answer.err

    def test_waits_for_so_long_only(self, stacks: Stacks) -> None:
        stacks.changes("network", "create")
        stacks.fake.answer("plan images", code=1, stderr=LOCKED)
        answer = stacks("apply", "--lock-timeout", "0.05")
        assert answer.code == 75, "trying again is right, whatever is done already"
        assert "the state is locked by bob@ci since 2026-01-01; waited 0.05 s\n" in answer.err
        assert "terraform force-unlock 1f6c" in answer.err
        assert "  applied: network\n" in answer.err
        assert "plan vault" in stacks.called("plan"), "another stack has a lock of its own"

    def test_plans_again_when_another_apply_came_in_between(self, stacks: Stacks) -> None:
        """And looks again: what was harmless may not be so any more."""
        stacks.fake.answer("plan network", code=2)
        stacks.fake.turns("show network", {"stdout": plan("create")}, {"stdout": plan("delete")})
        stacks.fake.answer("apply network", code=1, stderr=STALE)
        answer = stacks("apply")
        assert answer.code == 1
        assert "another apply changed the state; waiting up to" in answer.err
        assert "destroys or replaces 1 resource" in answer.err
        assert stacks.called("plan", "apply") == ["plan network", "apply network", "plan network"]

    @pytest.mark.parametrize("verb", ["diff", "apply"])
    def test_one_at_a_time_in_a_workspace(self, stacks: Stacks, verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("bakery.cli.diff.PATIENCE", 0.0)
        options = ["--lock-timeout", "0"] if verb == "apply" else []
        with files.exclusive(stacks.project.workspace / "stacks.lock", "busy"):
            answer = stacks(verb, *options)
        assert answer.code == 75
        assert "another 'bakery diff' or 'bakery apply' is running in this workspace\n" in answer.err
        assert not (stacks.project.tool_bin / "calls.jsonl").exists()


@pytest.mark.parametrize("verb", ["diff", "apply"])
class TestBadInput:
    def test_a_stack_that_is_not_there(self, stacks: Stacks, verb: str) -> None:
        answer = stacks(verb, "netwrok")
        assert answer.code == 64
        assert "error: no stack named 'netwrok'\nhint: did you mean 'network'?\n" in answer.err
        assert stacks.called("init", "plan", "apply") == []

    def test_what_the_program_refuses(self, stacks: Stacks, verb: str) -> None:
        mistake = UsageError(
            "unknown key 'acount'", where="cdktf/environments/demo.yaml:3", hint="did you mean 'account'?"
        )
        stacks.fake.answer("synth", code=1, error=json.loads(documents.dump(documents.ErrorDocument.of(mistake))))
        answer = stacks(verb)
        assert answer.code == 64
        assert (
            "error: cdktf/environments/demo.yaml:3: unknown key 'acount'\nhint: did you mean 'account'?\n" in answer.err
        )

    def test_a_mirror_without_the_provider(
        self, stacks: Stacks, verb: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("BAKERY_TERRAFORM_MIRROR", str(tmp_path))
        answer = stacks(verb)
        assert answer.code == 64
        assert "BAKERY_TERRAFORM_MIRROR is not a mirror with" in answer.err
        assert not (stacks.project.tool_bin / "calls.jsonl").exists()


def test_a_patient_one_gives_up_on_other_errors_at_once() -> None:
    tries: list[int] = []

    def attempt() -> None:
        tries.append(1)
        raise BakeryError("broken")

    with pytest.raises(BakeryError, match="broken"):
        rollout.wait_for_others(attempt, 60, lambda _: None)
    assert len(tries) == 1


class TestFiles:
    """What --report and --outputs ask for."""

    @pytest.mark.parametrize(("verb", "option"), [("diff", "--report"), ("apply", "--report"), ("apply", "--outputs")])
    def test_one_that_cannot_be_written_is_refused_before_any_work(
        self, stacks: Stacks, verb: str, option: str, tmp_path: Path
    ) -> None:
        (tmp_path / "file").touch()
        answer = stacks(verb, option, str(tmp_path / "file" / "below.json"))
        assert (answer.code, answer.out) == (64, "")
        assert f"error: {tmp_path}/file/below.json: cannot be written: {tmp_path}/file is not a folder\n" in answer.err
        assert not (stacks.project.tool_bin / "calls.jsonl").exists()

    @pytest.mark.parametrize("verb", ["diff", "apply"])
    def test_the_result_is_shown_though_the_report_cannot_be_written_any_more(
        self, stacks: Stacks, verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stacks.changes("network", "create")
        _fill_up(monkeypatch, tmp_path)
        answer = stacks(verb, "network", "--report", str(tmp_path / "report.json"))
        assert answer.code == 1
        assert f"error: {tmp_path}/report.json: cannot be written: No space left on device\n" in answer.err
        assert (
            answer.out.splitlines()[-1].split()
            == {
                "diff": ["add", "aws_sns_topic.news"],
                "apply": ["network", "1", "0", "0", "0", "applied"],
            }[verb]
        )

    @pytest.mark.parametrize("verb", ["diff", "apply"])
    def test_a_failure_counts_more_than_its_report(
        self, stacks: Stacks, verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stacks.fake.answer("plan network", code=1, stderr="Error: AccessDenied")
        _fill_up(monkeypatch, tmp_path)
        answer = stacks(verb, "network", "--report", str(tmp_path / "report.json"))
        assert answer.code == 1
        assert "AccessDenied" in answer.err
        assert "report.json" not in answer.err


def _fill_up(monkeypatch: pytest.MonkeyPatch, full: Path) -> None:
    """Let no file appear in a folder from now on."""
    replace = Path.replace

    def refuse(path: Path, target: Path) -> Path:
        if target.parent == full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", refuse)


@pytest.mark.parametrize("verb", ["diff", "apply"])
@pytest.mark.parametrize(
    ("chosen", "told"), [("", "environment demo (BAKERY_ENVIRONMENT is not set)"), ("prod", "environment prod")]
)
def test_the_environment_is_said_first(
    stacks: Stacks, verb: str, chosen: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAKERY_ENVIRONMENT", chosen)
    assert stacks(verb).err.splitlines()[0] == f"    infra all stacks: {told}"
