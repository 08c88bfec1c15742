"""The normal form of Packer's files: without lines that cannot change a bake, so that such a line makes none due.

HCL's strings end on their line. Outside of heredocs and block comments, a line that begins with a comment mark is thus
a comment, and an empty line is empty ("HCL Native Syntax Specification", comments and string literals). A file that has
one of those two forms, or what looks like it, stays as it is.
"""

from collections.abc import Iterable
from pathlib import Path

SUFFIX = ".pkr.hcl"
COMMENTS = (b"#", b"//")
MULTILINE = (b"<<", b"/*", b"*/")
ENDING = ".hcl"


def normalise_hcl(content: bytes) -> bytes:
    """The content of an HCL file without empty lines and lines of comments."""
    if any(mark in content for mark in MULTILINE):
        return content
    lines = content.splitlines(keepends=True)
    return b"".join(line for line in lines if line.strip() and not line.lstrip().startswith(COMMENTS))


def is_read_as_text(paths: Iterable[Path]) -> bool:
    """Whether one of a template's files names an HCL file, which a function such as file() or a script then reads."""
    return any(ENDING.encode() in _read_content(path) for path in paths if path.is_file())


def _read_content(path: Path) -> bytes:
    content = path.read_bytes()
    return normalise_hcl(content) if path.name.endswith(SUFFIX) else content
