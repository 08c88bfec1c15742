"""The commands that the README shows."""

import re
from pathlib import Path

DAY = re.compile(r"^## A day's work\n.*?^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def day_of_work(root: Path) -> str:
    """The lines of a day's work."""
    found = DAY.search((root / "README.md").read_text())
    assert found
    return found[1]
