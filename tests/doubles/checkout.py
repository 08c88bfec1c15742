"""The files of a checkout: those that are or would be committed."""

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path


def list_files(root: Path, *patterns: str) -> list[Path]:
    """The files of a repository, or those of some patterns of git."""
    # A checkout that another user owns is still ours to read.
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run([*command, *patterns], cwd=root, capture_output=True, text=True, check=True)
    return [path for path in (root / name for name in done.stdout.split("\0") if name) if path.is_file()]


def copy_files(paths: Iterable[Path], root: Path, folder: Path) -> None:
    """Copy files of a repository to the same places below another folder."""
    for path in paths:
        copy = folder / path.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
