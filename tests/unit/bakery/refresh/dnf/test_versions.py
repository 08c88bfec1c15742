import shutil
import subprocess
from itertools import pairwise

import pytest

from bakery.refresh.dnf.versions import version_key

# rpm-version(7), and the tests of rpm itself.
ORDER = (
    "1.0~~-1",
    "1.0~rc1-1",
    "1.0~rc1^git2-1",
    "1.0~rc2-1",
    "1.0-1",
    "1.0^-1",
    "1.0^20260131-1",
    "1.0a-1",
    "1.0.1-1.el9",
    "1.0.1-1.el9_4.2",
    "1.0.1-1.el10",
    "1.0.2a-3",
    "1.0.2b-3",
    "1.0.10-0",
    "1_1-1",
    "5.14.0-427.el9",
    "5.14.0-427.13.1.el9_4",
    "1:0.1-1",
    "2:0-1",
)
EQUAL = (("1.0-1", "1_0-1"), ("1.05-1", "1.5-1"), ("0:1.0-1", "1.0-1"), ("1.0-1", "1.0.-1"))


@pytest.mark.parametrize(("older", "newer"), list(pairwise(ORDER)))
def test_versions_are_in_order(older: str, newer: str) -> None:
    assert version_key(older) < version_key(newer)


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_versions_that_are_equal(one: str, other: str) -> None:
    assert version_key(one) == version_key(other)


@pytest.mark.skipif(shutil.which("rpm") is None, reason="rpm is not installed: apt-get install rpm")
def test_the_order_is_that_of_rpm() -> None:
    pairs = [(one, other) for one in ORDER for other in ORDER]
    calls = "".join(f"print(rpm.vercmp('{one}', '{other}'), '')" for one, other in pairs)
    answer = subprocess.run(["rpm", "--eval", f"%{{lua:{calls}}}"], check=True, capture_output=True, text=True).stdout
    keys = [(version_key(one), version_key(other)) for one, other in pairs]
    assert [int(word) for word in answer.split()] == [(one > other) - (one < other) for one, other in keys]
