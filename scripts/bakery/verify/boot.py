"""Boot a throwaway overlay of a disk and run tests against it over SSH."""

import os
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bakery.host import files, process
from bakery.host.events import Event, Reporter
from bakery.host.redaction import Redactor
from bakery.machine import junit, ssh
from bakery.machine.guest import Guest, GuestError, boot_guest
from bakery.model.documents import Check

USER = "tester"
HOST = "ssh://guest"
TEST_LINE = re.compile(r"(test_\w+\.py::.+?) (?:PASSED|FAILED|ERROR|SKIPPED)")  # pytest -v, one line per test
STATE_SECONDS = 600.0  # for the services of an emulated guest to start; 20 s after SSH answers on an idle machine
TESTS_SECONDS = 3600.0  # a command in an emulated guest takes up to a second
BOOTS = "boots and answers over SSH"
SERVICES = "all services run"


@dataclass(frozen=True)
class Run:
    """One boot: the disk, its tests, the folder of its logs, and the secrets that must not be in them."""

    disk: Path
    tests: Sequence[Path]
    folder: Path
    accelerator: str
    secrets: Sequence[str]
    subject: str
    report: Reporter

    def progress(self, text: str) -> None:
        self.report(Event("progress", "verify", self.subject, text))

    def follow(self, line: str) -> None:
        """Report the test that ended."""
        if match := TEST_LINE.search(line):
            self.progress(junit.plain_name(match[1], HOST))


def check(run: Run, seconds: dict[str, float]) -> list[Check]:
    """Checks that boot, services and tests passed; adds the seconds of `boot` and `tests`."""
    checks: list[Check] = []
    began = time.monotonic()
    run.progress("booting")
    try:
        with files.scratch(run.folder, "boot") as scratch:
            key = ssh.make_key(scratch)
            with boot_guest(run.disk, user=USER, key=key, folder=run.folder, accelerator=run.accelerator) as machine:
                checks.append(_check_services(machine))
                seconds["boot"] = round(time.monotonic() - began, 1)
                checks.extend(_run_tests(run, machine, scratch / "tests.xml"))
    except GuestError as error:
        return [Check(BOOTS, False, f"{error.message}\n{error.detail}")]
    finally:
        seconds.setdefault("boot", round(time.monotonic() - began, 1))
        seconds["tests"] = round(time.monotonic() - began - seconds["boot"], 1)
    return [Check(BOOTS, True), *checks]


def _check_services(machine: Guest) -> Check:
    """Wait until the boot has finished, and report the services that failed."""
    try:
        state = machine.ssh("systemctl is-system-running --wait", timeout=STATE_SECONDS, check=False).stdout.strip()
        failed_units = machine.ssh("systemctl list-units --failed --plain --no-legend", check=False).stdout
    except process.ProcessError as error:
        return Check(SERVICES, False, f"{error.message}\n{error.tail}")
    units = [line.split()[0] for line in failed_units.splitlines() if line.strip()]
    detail = "" if state == "running" else f"{state or 'no answer'}: {', '.join(units)}"
    return Check(SERVICES, state == "running", detail)


def _run_tests(run: Run, machine: Guest, junit_file: Path) -> list[Check]:
    if not run.tests:
        return []
    # fmt: off
    command: list[str | Path] = [
        sys.executable, "-m", "pytest",
        # The project's pytest settings must not apply here.
        "-c", os.devnull, "--rootdir", run.tests[0].parent, "--import-mode=importlib",
        "-p", "no:cacheprovider",
        "-v", "--tb=short",
        f"--hosts={HOST}?controlpersist=0",  # ssh_config already shares the connection
        f"--ssh-config={machine.ssh_config}",
        f"--junitxml={junit_file}",
        *run.tests,
    ]
    # fmt: on
    try:
        process.run(
            command,
            env={"PYTHONDONTWRITEBYTECODE": "1"},
            secrets=run.secrets,
            timeout=TESTS_SECONDS,
            log=run.folder / "tests.log",
            on_output=run.follow,
            check=False,
        )
        return junit.read_checks(junit_file, HOST, Redactor(run.secrets))
    except process.ProcessError as error:
        return [Check("tests ran", False, f"{error.message}\n{error.tail}")]
