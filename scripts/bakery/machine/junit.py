"""Reads pytest's report of an image's tests as checks."""

from pathlib import Path
from xml.etree import ElementTree

from bakery.host.redaction import Redactor
from bakery.model.documents import Check

SHOWN = 2000  # characters of a failed test


def read_checks(report: Path, host: str, redact: Redactor) -> list[Check]:
    """One check per test of a JUnit file; one failed check if it has no file or no test.

    `host` is the suffix that the test plugin adds to the names of tests.
    """
    try:
        cases = list(ElementTree.parse(report).iter("testcase"))  # noqa: S314 - the bakery's own child process wrote it
    except (OSError, ElementTree.ParseError) as error:
        return [Check("tests ran", False, f"no report: {error}; see tests.log")]
    if not cases:
        return [Check("tests ran", False, "no test was run; see tests.log")]
    return [_case_check(case, host, redact) for case in cases]


def plain_name(name: str, host: str) -> str:
    """A test's name without its host."""
    return name.replace(f"[{host}]", "").replace(f"{host}-", "")


def _case_check(case: ElementTree.Element, host: str, redact: Redactor) -> Check:
    name = f"{case.get('classname', '')}: {plain_name(case.get('name', ''), host)}".removeprefix(": ")
    problem = next((child for child in case if child.tag in ("failure", "error", "skipped")), None)
    if problem is None:
        return Check(name, True)
    message = problem.get("message") or problem.text or ""
    return Check(name, problem.tag == "skipped", f"{problem.tag}: {redact(message)}"[:SHOWN])
