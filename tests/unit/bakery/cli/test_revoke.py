"""A version that must not be used any more."""

import json
import shutil
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from typing import Any

import pytest

from bakery.catalog import Catalog, Move, Record
from bakery.catalog.store import FolderStore
from bakery.clouds.local.target import LocalTarget
from bakery.clouds.target import Target, Use
from bakery.engine.session import Session
from bakery.engine.targets import open_targets
from bakery.host.errors import BakeryError
from bakery.model.definition import ImageDefinition
from bakery.model.version import ImageVersion
from unit.bakery.cli.cli_runner import CliRunner


@pytest.fixture
def two(bakery: CliRunner) -> CliRunner:
    """Two versions of `web`, of which `stable` points at the second."""
    bakery.line()
    bakery.edit("web", "hello", "goodbye")
    bakery.line()
    return bakery


def test_a_version_is_revoked_for_good(two: CliRunner) -> None:
    answer = two("revoke", "web", "1.0.0", "--reason", "CVE-2026-1234", "--yes")
    assert (answer.code, answer.out) == (0, "web 1.0.0 is revoked: CVE-2026-1234\n")
    assert two.states("web") == {"1.0.0": "revoked", "1.0.1": "complete"}
    assert [line.split()[2] for line in two("catalog", "web").out.splitlines()[-2:]] == ["revoked", "complete"]
    answer = two("promote", "web", "1.0.0", "stable")
    assert answer.code == 1
    assert "error: web 1.0.0 is revoked: only a complete version can be promoted\n  CVE-2026-1234\n" in answer.err
    assert "never pointed at a version before 1.0.1 that is still complete" in two("rollback", "web", "stable").err


def test_a_channel_goes_to_the_version_before(two: CliRunner) -> None:
    answer = two("revoke", "web", "1.0.1", "--reason", "leaks", "--dry-run")
    assert (answer.code, answer.out) == (0, "revoke web 1.0.1\n  stable: 1.0.1 -> 1.0.0\n")
    assert two.states("web")["1.0.1"] == "complete"
    assert two("revoke", "web", "1.0.1", "--reason", "leaks", "--yes").code == 0
    entry = two.catalog.channel("web", "x86_64", "stable")
    assert entry
    assert (entry.version, entry.held, entry.reason) == ("1.0.0", False, "1.0.1 is revoked: leaks")
    assert not (two.project.store / "web-1.0.1-x86_64.qcow2").exists()
    assert two("audit").code == 0


def test_a_channel_with_no_version_before_is_named_first(bakery: CliRunner) -> None:
    """Nothing is revoked, and each way that the hint names leads on."""
    bakery.line()
    answer = bakery("revoke", "web", "1.0.0", "--reason", "leaks", "--yes")
    assert answer.code == 1
    assert "web stable: 1.0.0" in answer.err
    assert bakery.states("web") == {"1.0.0": "complete"}
    assert bakery("channel", "delete", "web", "stable", "--yes").code == 0
    assert bakery("revoke", "web", "1.0.0", "--reason", "leaks", "--yes").code == 0


def test_a_question_is_asked(two: CliRunner) -> None:
    answer = two("revoke", "web", "1.0.1", "--reason", "leaks")
    assert answer.code == 64
    assert answer.out == "revoke web 1.0.1\n  stable: 1.0.1 -> 1.0.0\n"
    assert "nobody is there to answer: revoke 1 version?" in answer.err
    assert two.states("web")["1.0.1"] == "complete"


def test_users_are_shown_and_unknown_ones_do_not_stop_it(two: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    uses = [Use("eu-west-1", "instance", f"i-{number}", "ami-1") for number in range(22)]
    monkeypatch.setattr(LocalTarget, "find_uses", lambda *_: uses)
    lines = two("revoke", "web", "1.0.0", "--reason", "leaks", "--dry-run").out.splitlines()
    assert lines[1] == "  used by instance i-0 in eu-west-1"
    assert lines[21:] == ["  2 more users: --dry-run --json lists all"]
    [revocation] = json.loads(two("revoke", "web", "1.0.0", "--reason", "leaks", "--dry-run", "--json").out)
    assert len(revocation["uses"]) == 22

    def refuse(*_: Any) -> None:
        raise BakeryError("cannot ask for references")

    monkeypatch.setattr(LocalTarget, "find_uses", refuse)
    answer = two("revoke", "web", "1.0.0", "--reason", "leaks", "--yes")
    assert (answer.code, two.states("web")["1.0.0"]) == (0, "revoked")


def test_a_revoked_version_is_never_published_again(two: CliRunner) -> None:
    """Its disk is still here."""
    two("rollback", "web", "stable")
    two("revoke", "web", "1.0.1", "--reason", "leaks", "--yes")
    two.did.clear()
    answer = two("publish", "web")
    assert (answer.code, two.did) == (1, [])
    assert "error: web 1.0.1 was revoked: leaks\n" in answer.err
    two.edit("web", "goodbye", "hello again")
    assert [(record.version, record.state) for record in two.line("web")] == [("1.0.2", "complete")]
    assert two.states("web")["1.0.1"] == "revoked"


@pytest.fixture
def family(bakery: CliRunner) -> CliRunner:
    """A base with one version, and two versions of web on it."""
    bakery.line()
    bakery.edit("web", "hello", "goodbye")
    bakery.line()
    bakery.write("packer/base/debian/network.yaml", "# mended\n")
    bakery.line()
    return bakery


def test_what_was_built_on_it_is_revoked_too(family: CliRunner) -> None:
    assert family.states("web") == {"1.0.0": "complete", "1.0.1": "complete", "1.0.2": "complete"}
    answer = family("revoke", "base", "1.0.0", "--reason", "leaks", "--yes")
    assert (answer.code, answer.out.splitlines()[-3:]) == (
        0,
        [
            "base 1.0.0 is revoked: leaks",
            "web 1.0.0 is revoked: built on base 1.0.0: leaks",
            "web 1.0.1 is revoked: built on base 1.0.0: leaks",
        ],
    )
    assert family.states("web") == {"1.0.0": "revoked", "1.0.1": "revoked", "1.0.2": "complete"}
    assert family.states("base") == {"1.0.0": "revoked", "1.0.1": "complete"}
    assert family("audit").code == 0


def test_a_login_that_fails_keeps_only_versions_of_its_image(
    family: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One login for the plan and one for the work, which fails for web."""
    logins = []

    def log_in(session: Session, definition: ImageDefinition) -> AbstractContextManager[Mapping[str, Target]]:
        logins.append(definition.name)
        if logins.count("web") > 1:
            raise BakeryError("Vault refuses the login", hint="log in again")
        return open_targets(session, definition)

    monkeypatch.setattr("bakery.engine.lifecycle.open_targets", log_in)
    answer = family("revoke", "base", "1.0.0", "--reason", "leaks", "--yes")
    assert (answer.code, logins) == (4, ["base", "web", "base", "web"])
    for name in ("web 1.0.0", "web 1.0.1"):
        assert f"{name}: Vault refuses the login" in answer.err
    assert family.states("base")["1.0.0"] == "revoked"
    assert set(family.states("web").values()) == {"complete"}


def test_a_channel_goes_to_no_version_that_is_revoked_too(family: CliRunner) -> None:
    family("promote", "web", "1.0.1", "stable")
    answer = family("revoke", "base", "1.0.0", "--reason", "leaks", "--yes")
    assert answer.code == 1
    assert "web stable: 1.0.1" in answer.err
    assert set(family.states("web").values()) == {"complete"}


def test_killed_before_and_after_each_write(family: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same command finishes what a killed one began: channels first, then records, then images."""
    family("promote", "web", "1.0.1", "stable")
    family("promote", "web", "1.0.2", "stable")
    before = shutil.copytree(family.project.workspace, family.project.root / "before", symlinks=True)
    call = ("revoke", "base", "1.0.1", "--reason", "leaks", "--yes")
    points = 0
    while True:
        shutil.rmtree(family.project.workspace)
        shutil.copytree(before, family.project.workspace, symlinks=True)
        with monkeypatch.context() as patch:
            writes = _kill_at(patch, points)
            with suppress(Killed):
                family(*call)
        if not writes:
            break
        assert family(*call).code == 0
        assert family.states("base") == {"1.0.0": "complete", "1.0.1": "revoked"}
        assert family.states("web") == {"1.0.0": "complete", "1.0.1": "complete", "1.0.2": "revoked"}
        entry = family.catalog.channel("web", "x86_64", "stable")
        assert entry
        assert entry.version == "1.0.1"
        audit = family("audit")
        assert audit.code == 0, audit.out
        points += 1
    assert points > 20
    sys.stdout.write(f"{points} points\n")


class Killed(BaseException):
    """The process is gone."""


def _kill_at(patch: pytest.MonkeyPatch, point: int) -> list[str]:
    """Kill before or after the write with a number, of the catalog or the store; the list has it once it is done."""
    killed: list[str] = []
    count = 0

    def wrap(kind: type[Any], name: str) -> None:
        work = getattr(kind, name)

        def write(self: Any, *arguments: Any) -> Any:
            nonlocal count
            before, after = count, count + 1
            count += 2
            if before == point:
                killed.append(name)
                raise Killed
            answer = work(self, *arguments)
            if after == point:
                killed.append(name)
                raise Killed
            return answer

        patch.setattr(kind, name, write)

    wrap(FolderStore, "create")
    for name in ("set_availability", "point", "unpoint"):
        wrap(LocalTarget, name)
    return killed


def test_children_can_stay(family: CliRunner) -> None:
    assert family("revoke", "base", "1.0.0", "--reason", "leaks", "--yes", "--keep-children").code == 0
    assert set(family.states("web").values()) == {"complete"}


def test_a_revocation_can_be_taken_back(two: CliRunner) -> None:
    before = (two.project.store / "web-1.0.0-x86_64.qcow2").read_bytes()
    two("revoke", "web", "1.0.0", "--reason", "CVE-2026-1234", "--yes")
    answer = two("restore", "web", "1.0.0", "--reason", "a false alarm")
    assert (answer.code, answer.out) == (0, "web 1.0.0 is complete again: a false alarm\n")
    assert two("promote", "web", "1.0.0", "stable").code == 0
    assert (two.project.store / "web-1.0.0-x86_64.qcow2").read_bytes() == before
    (two.project.store / "web-1.0.0-x86_64.qcow2").rename(two.project.store / "web-1.0.0-x86_64.qcow2.disabled")
    assert two("restore", "web", "1.0.0", "--reason", "by hand").code == 0
    assert (two.project.store / "web-1.0.0-x86_64.qcow2").read_bytes() == before


def test_a_reason_is_needed(two: CliRunner) -> None:
    assert two("revoke", "web", "1.0.0").code == 64
    assert two("revoke", "web", "1.0.0", "--reason", " ").code == 64
    assert two.states("web")["1.0.0"] == "complete"


def test_an_image_whose_definition_is_gone(two: CliRunner) -> None:
    """It is forbidden in the catalog. Its images stay, since nobody knows where they are shared, and so do channels."""
    (two.project.definitions / "web.yaml").unlink()
    answer = two("revoke", "web", "1.0.0", "--reason", "leaks", "--yes")
    assert (answer.code, two.states("web")["1.0.0"]) == (0, "revoked")
    assert "has no definition: its images stay as they are" in answer.err
    answer = two("revoke", "web", "1.0.1", "--reason", "leaks", "--yes")
    assert answer.code == 1
    assert "web stable: 1.0.1, and the image has no definition" in answer.err
    answer = two("restore", "web", "1.0.0", "--reason", "a false alarm")
    assert answer.code == 64
    assert "web has no definition" in answer.err


def test_a_version_that_is_not_there(two: CliRunner) -> None:
    answer = two("revoke", "web", "1.0.7", "--reason", "leaks", "--yes")
    assert answer.code == 64
    assert "error: web 1.0.7 (x86_64) is not in the catalog\nhint: newest versions: 1.0.0, 1.0.1\n" in answer.err


def test_a_version_that_another_run_has_reserved_is_not_published(bakery: CliRunner) -> None:
    """Its reservation expired during the bake, and the other run took it over."""
    assert bakery("bake", "base").code == 0
    assert bakery("verify", "base").code == 0
    catalog = bakery.catalog
    record = catalog.record(ImageVersion("base", "x86_64", "1.0.0"))
    catalog.revise(replace(record, owner="another machine"))
    bakery.did.clear()
    answer = bakery("publish", "base")
    assert (answer.code, bakery.did) == (1, [])
    assert f"error: {catalog.location}: base 1.0.0 is reserved by another machine until {record.expires}" in answer.err


def test_a_version_that_is_revoked_while_it_is_promoted(two: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """The promotion has passed its checks, and the journal does not have it yet."""
    two("rollback", "web", "stable")
    begin = Catalog.begin_move

    def revoke_first(self: Catalog, move: Move) -> Move:
        monkeypatch.setattr(Catalog, "begin_move", begin)
        record = self.record(ImageVersion("web", "x86_64", "1.0.1"))
        self.settle_state(self.change_state(record, "revoked", "leaks"))
        return begin(self, move)

    monkeypatch.setattr(Catalog, "begin_move", revoke_first)
    answer = two("promote", "web", "1.0.1", "stable")
    assert answer.code == 1
    assert "web 1.0.1 is revoked by now: another run changed it" in answer.err
    entry = two.catalog.channel("web", "x86_64", "stable")
    assert entry
    assert entry.version == "1.0.0"
    assert str((two.project.store / "web-stable-x86_64.qcow2").readlink()) == "web-1.0.0-x86_64.qcow2"
    assert two.catalog.unfinished_move("web", "x86_64", "stable") is None


def test_a_promotion_that_begins_while_a_version_is_revoked(two: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its move is in the journal when the revocation is written: the same command moves the channel away."""
    two("rollback", "web", "stable")
    revise = Catalog.revise

    def promote_first(self: Catalog, record: Record, reason: str = "") -> Record:
        monkeypatch.setattr(Catalog, "revise", revise)
        assert two("promote", "web", "1.0.1", "stable").code == 0
        return revise(self, record, reason)

    monkeypatch.setattr(Catalog, "revise", promote_first)
    call = ("revoke", "web", "1.0.1", "--reason", "leaks", "--yes")
    answer = two(*call)
    assert answer.code == 1
    assert two(*call).code == 0
    entry = two.catalog.channel("web", "x86_64", "stable")
    assert entry
    assert entry.version == "1.0.0"
    assert two("audit").code == 0


def test_a_child_that_is_baked_while_its_parent_is_revoked(family: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    verify = family.verify

    def revoke_first(*arguments: Any) -> Any:
        catalog = family.catalog
        parent = catalog.record(ImageVersion("base", "x86_64", "1.0.1"))
        catalog.settle_state(catalog.change_state(parent, "revoked", "leaks"))
        return verify(*arguments)

    monkeypatch.setattr("bakery.engine.steps.verify", revoke_first)
    family.edit("web", "goodbye", "hello again")
    answer = family("run", "web")
    assert answer.code != 0
    assert "web 1.0.3 was built on base 1.0.1, which was revoked meanwhile" in answer.err
    entry = family.catalog.channel("web", "x86_64", "stable")
    assert entry
    assert entry.version == "1.0.2"


def test_a_channel_passes_over_a_version_that_is_damaged(two: CliRunner) -> None:
    two.edit("web", "goodbye", "once more")
    two.line()
    (two.project.store / "web-1.0.1-x86_64.qcow2").unlink()
    answer = two("revoke", "web", "1.0.2", "--reason", "leaks", "--yes")
    assert answer.code == 0
    entry = two.catalog.channel("web", "x86_64", "stable")
    assert entry
    assert entry.version == "1.0.0"
