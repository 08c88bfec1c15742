import base64
import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bakery.host.errors import BakeryError, UsageError
from bakery.machine import disk_image, qemu, secret_search
from bakery.model.documents import Check
from bakery.model.exemption import Exemption
from bakery.verify import boot, hygiene, verify, windows
from unit.bakery.verify.conftest import VerifiedProject


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    """All checks pass, and no tool is run."""

    @contextmanager
    def as_raw(image: Path) -> Iterator[Path]:
        yield image

    def boots(run: boot.Run, seconds: dict[str, float]) -> list[Check]:
        seconds |= {"boot": 1.0, "tests": 2.0}
        return [Check("boots", True, " ".join(path.name for path in run.tests))]

    monkeypatch.setattr(disk_image, "as_raw", as_raw)
    monkeypatch.setattr(qemu, "accelerator", lambda: "tcg")
    monkeypatch.setattr(hygiene, "check", lambda raw, rules, exemptions: [Check("clean", True, next(iter(rules)))])
    monkeypatch.setattr(
        secret_search, "search", lambda raw, secrets: [Check("no secret", True, " ".join(secrets)[::-1])]
    )
    monkeypatch.setattr(boot, "check", boots)


def test_the_verdict_speaks_of_one_disk(world: VerifiedProject) -> None:
    verdict = verify(
        world.project, world.definition, world.artifact, world.disk, iter(["a-secret"]), world.events.append
    )
    assert verdict.passed
    assert verdict.sha256 == world.artifact.disk.sha256
    assert (verdict.image, verdict.version, verdict.accelerator) == ("debian-12", "1.0.3", "tcg")
    assert set(verdict.seconds) == {"hygiene", "secrets", "boot", "tests"}
    assert verdict.checks == (
        Check("clean", True, next(iter(hygiene.RULES))),
        Check("no secret", True, "terces-a"),
        Check("boots", True, "test_base.py"),
    )
    assert [event.kind for event in world.events if event.kind != "progress"] == ["start", "done"]


def test_windows_is_inspected_but_not_booted(world: VerifiedProject) -> None:
    definition = world.definition.model_copy(update={"os": "windows-2022", "tests": ()})
    verdict = verify(world.project, definition, world.artifact, world.disk, ["a-secret"], world.events.append)
    assert (verdict.passed, verdict.accelerator, set(verdict.seconds)) == (True, "", {"hygiene", "secrets"})
    rule = next(iter(windows.RULES))
    assert verdict.checks == (Check("clean", True, rule), Check("no secret", True, "terces-a"))
    assert world.events[0].text == "without a boot of Windows"


@pytest.mark.parametrize(
    ("module", "name"),
    [(hygiene, "check"), (secret_search, "search"), (boot, "check")],
    ids=["hygiene", "secrets", "boot"],
)
def test_one_failing_check_is_a_verdict_not_an_exception(
    world: VerifiedProject, monkeypatch: pytest.MonkeyPatch, module: object, name: str
) -> None:
    monkeypatch.setattr(module, name, lambda *_: [Check("one", True), Check("two", False, "seen")])
    verdict = verify(world.project, world.definition, world.artifact, world.disk, [], world.events.append)
    assert not verdict.passed
    assert Check("two", False, "seen") in verdict.checks
    assert len(verdict.checks) == 4


def test_a_disk_that_changed_is_not_looked_at(world: VerifiedProject) -> None:
    world.disk.write_bytes(b"other")
    with pytest.raises(BakeryError, match="changed since it was baked") as failure:
        verify(world.project, world.definition, world.artifact, world.disk, [], world.events.append)
    assert failure.value.detail.startswith(f"baked {world.artifact.disk.sha256}\nnow   ")
    assert failure.value.where == str(world.disk)


def test_a_disk_that_is_gone(world: VerifiedProject) -> None:
    world.disk.unlink()
    with pytest.raises(BakeryError, match="is missing"):
        verify(world.project, world.definition, world.artifact, world.disk, [], world.events.append)


def test_tests_that_are_not_there_are_named_before_anything_runs(world: VerifiedProject) -> None:
    definition = world.definition.model_copy(update={"tests": ("base", "web")})
    with pytest.raises(UsageError, match="'web'") as failure:
        verify(world.project, definition, world.artifact, world.disk, [], world.events.append)
    assert failure.value.hint == "the tests are: base"
    assert world.events == []


def test_exemptions_reach_the_rules(world: VerifiedProject, monkeypatch: pytest.MonkeyPatch) -> None:
    exemption = Exemption(rule="no swap file", reason="the application needs one from the first second")
    monkeypatch.setattr(
        hygiene, "check", lambda raw, rules, exemptions: [Check(one.rule, True, one.reason) for one in exemptions]
    )
    definition = world.definition.model_copy(update={"exemptions": (exemption,)})
    verdict = verify(world.project, definition, world.artifact, world.disk, [], world.events.append)
    assert Check(exemption.rule, True, exemption.reason) in verdict.checks


def test_an_unknown_rule_is_named_before_anything_runs(world: VerifiedProject) -> None:
    exemption = Exemption(rule="no swap files", reason="x")
    definition = world.definition.model_copy(update={"exemptions": (exemption,)})
    with pytest.raises(UsageError, match="no rule named 'no swap files'") as failure:
        verify(world.project, definition, world.artifact, world.disk, [], world.events.append)
    assert failure.value.hint == "did you mean 'no swap file'?"
    assert world.events == []


def test_nothing_but_logs_is_left(world: VerifiedProject) -> None:
    before = set(world.disk.parent.iterdir())
    verify(world.project, world.definition, world.artifact, world.disk, [], world.events.append)
    assert set(world.disk.parent.iterdir()) == before
    (folder,) = world.project.logs.iterdir()
    assert folder.name.startswith("debian-12-1.0.3-verify-")


def test_the_artifact_is_not_changed(world: VerifiedProject) -> None:
    before = dataclasses.asdict(world.artifact)
    verify(world.project, world.definition, world.artifact, world.disk, [], world.events.append)
    assert dataclasses.asdict(world.artifact) == before


def test_a_secret_in_a_document_of_the_artifact_is_refused(world: VerifiedProject) -> None:
    (world.disk.parent / "contents.json").write_bytes(b"comment: " + base64.b64encode(b"a-secret"))
    with pytest.raises(BakeryError, match=r"contents\.json has a secret of the bake in base64") as caught:
        verify(world.project, world.definition, world.artifact, world.disk, ["a-secret"], world.events.append)
    assert "a-secret" not in repr(vars(caught.value))


def test_a_secret_on_the_console_and_in_a_check_is_redacted(
    world: VerifiedProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    def boots(run: boot.Run, seconds: dict[str, float]) -> list[Check]:
        run.folder.joinpath("serial.log").write_bytes(b"login: \xff a%2Dsecret\r\n")
        return [Check("boots", False, "the console said a-secret")]

    monkeypatch.setattr(boot, "check", boots)
    verdict = verify(world.project, world.definition, world.artifact, world.disk, ["a-secret"], world.events.append)
    assert verdict.checks[-1].detail == "the console said <redacted>"
    (console,) = world.project.logs.rglob("serial.log")
    assert console.read_bytes() == b"login: \xff <redacted>\r\n"
