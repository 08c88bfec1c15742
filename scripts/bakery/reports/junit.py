"""A JUnit report, which CI systems show beside a merge request."""

from collections.abc import Sequence
from xml.etree import ElementTree

from bakery.host.errors import BakeryError, render_error


def render_junit(suite: str, cases: Sequence[tuple[str, BakeryError | None]]) -> bytes:
    """One suite as XML: the names of the cases, and the error of each that failed."""
    failures = sum(1 for _, error in cases if error)
    root = ElementTree.Element("testsuite", name=suite, tests=str(len(cases)), failures=str(failures), errors="0")
    for name, error in cases:
        case = ElementTree.SubElement(root, "testcase", classname=suite, name=name)
        if error:
            failure = ElementTree.SubElement(case, "failure", message=error.message)
            failure.text = render_error(error)
    ElementTree.indent(root)
    text: str = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'.encode()
