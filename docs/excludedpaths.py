"""The table of paths that do not count for the content digest."""

from collections.abc import Iterator

from bakery.contents.digest import EXCLUDED

INTRODUCTION = """\
These paths of the root file system do not count for [the content digest](../explanation/content-digest.md), whatever
is there. `*` stands for any text, slashes included. Everything else that a program can see counts.
"""


def page() -> Iterator[str]:
    """The lines of the page."""
    yield "# Paths that do not count\n"
    yield INTRODUCTION
    yield "| path | reason |\n|---|---|"
    for exclusion in EXCLUDED:
        yield f"| `{exclusion.pattern}` | {exclusion.reason} |"
    yield ""
