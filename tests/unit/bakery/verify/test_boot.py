from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from bakery.machine import ssh
from bakery.machine.guest import Guest, GuestError
from bakery.model.documents import Check
from bakery.verify import boot
from doubles.programs import Programs
from unit.bakery.verify.conftest import VerifiedProject

SECRET = "the-value-of-a-secret"
TESTS = f"""
import pytest

def test_good():
    pass

@pytest.mark.parametrize("port", [80, 443])
def test_port(host, port):
    assert port

def test_bad():
    assert "{SECRET}" == "other"

def test_broken(no_such_fixture):
    pass

@pytest.mark.skip(reason="not on this hardware")
def test_skipped():
    pass
"""
SSH = """
case "$*" in
*is-system-running*) echo {state}; test {state} = running ;;
*--failed*) echo "{failed}" ;;
esac
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    found = Programs(tmp_path / "bin", monkeypatch)
    found.shell("ssh", SSH.format(state="running", failed=""))
    return found


@pytest.fixture
def run(world: VerifiedProject, programs: Programs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> boot.Run:
    @contextmanager
    def guest(disk: Path, *, user: str, key: Path, folder: Path, accelerator: str) -> Iterator[Guest]:
        config = folder / "ssh_config"
        config.touch()
        yield Guest("127.0.0.1", 22, user, key, config, folder / "serial.log")

    monkeypatch.setattr(boot, "boot_guest", guest)
    monkeypatch.setattr(ssh, "make_key", lambda folder: folder / "key")
    folder = tmp_path / "logs"
    folder.mkdir()
    return boot.Run(world.disk, [], folder, "tcg", [SECRET], "debian-12 1.0.3", world.events.append)


def with_tests(run: boot.Run, world: VerifiedProject, text: str) -> boot.Run:
    return boot.Run(**{**vars(run), "tests": [world.test_file("base", text)]})


def test_boot_and_services_are_checks_of_their_own(run: boot.Run) -> None:
    seconds: dict[str, float] = {}
    assert boot.check(run, seconds) == [Check("boots and answers over SSH", True), Check("all services run", True)]
    assert set(seconds) == {"boot", "tests"}


def test_failed_services_are_named(run: boot.Run, programs: Programs) -> None:
    failed = "nginx.service loaded failed failed A server\ncron.service loaded failed failed Cron"
    programs.shell("ssh", SSH.format(state="degraded", failed=failed))
    assert Check("all services run", False, "degraded: nginx.service, cron.service") in boot.check(run, {})


def test_a_guest_that_falls_silent_during_the_boot(
    run: boot.Run, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boot, "STATE_SECONDS", 0.05)
    programs.shell("ssh", "exec sleep 60")
    (check,) = [check for check in boot.check(run, {}) if not check.passed]
    assert "did not end" in check.detail


def test_a_guest_that_never_answers_fails_a_check(run: boot.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def guest(*_: Any, **__: Any) -> AbstractContextManager[Guest]:
        raise GuestError("the guest was silent for 180 s", detail="Kernel panic")

    monkeypatch.setattr(boot, "boot_guest", guest)
    seconds: dict[str, float] = {}
    (check,) = boot.check(run, seconds)
    assert check == Check("boots and answers over SSH", False, "the guest was silent for 180 s\nKernel panic")
    assert set(seconds) == {"boot", "tests"}


def test_each_test_is_a_check_and_none_shows_a_secret(run: boot.Run, world: VerifiedProject) -> None:
    found = boot.check(with_tests(run, world, TESTS), {})
    checks = {check.name: check for check in found[2:]}
    assert {name: check.passed for name, check in checks.items()} == {
        "test_base: test_good": True,
        "test_base: test_port[80]": True,
        "test_base: test_port[443]": True,
        "test_base: test_bad": False,
        "test_base: test_broken": False,
        "test_base: test_skipped": True,
    }
    assert "not on this hardware" in checks["test_base: test_skipped"].detail
    assert "no_such_fixture" in checks["test_base: test_broken"].detail
    assert "<redacted>" in checks["test_base: test_bad"].detail
    assert SECRET not in str(found)
    assert sorted(path.name for path in run.folder.iterdir()) == ["ssh_config", "tests.log"]
    assert SECRET not in (run.folder / "tests.log").read_text()
    assert "test_base.py::test_port[443]" in [event.text for event in world.events]


def test_a_file_that_cannot_be_loaded_fails(run: boot.Run, world: VerifiedProject) -> None:
    (check,) = [check for check in boot.check(with_tests(run, world, "import no_such_module"), {}) if not check.passed]
    assert "no_such_module" in check.detail or "collection" in check.detail


def test_a_file_without_tests_fails(run: boot.Run, world: VerifiedProject) -> None:
    (check,) = [check for check in boot.check(with_tests(run, world, "value = 1"), {}) if not check.passed]
    assert check.name == "tests ran"


def test_tests_that_do_not_end(run: boot.Run, world: VerifiedProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boot, "TESTS_SECONDS", 0.05)
    (check,) = [check for check in boot.check(with_tests(run, world, TESTS), {}) if not check.passed]
    assert check.name == "tests ran"
    assert "did not end" in check.detail
