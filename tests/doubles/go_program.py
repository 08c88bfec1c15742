"""Programs of tests that are Go source: built once for their source, and kept in the user's cache."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest


def build(name: str, folder: Path, package: str, sources: Sequence[Path]) -> Path:
    """The program that `go build PACKAGE` makes in a folder; `sources` are the files that decide it."""
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    program = cache / "image-bakery" / "doubles" / f"{name}-{digest}"
    if program.exists():
        return program
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        pytest.skip(f"{name} of the tests is Go source: install Go 1.26 or newer from go.dev/dl")
    program.parent.mkdir(parents=True, exist_ok=True)
    # Go's caches are not needed again, and have gigabytes.
    with TemporaryDirectory(prefix="go-", dir=program.parent) as caches:
        staged = Path(caches, name)
        command = [
            go,
            "build",
            "-mod=readonly",
            "-modcacherw",
            "-trimpath",
            "-buildvcs=false",
            "-o",
            str(staged),
            package,
        ]
        env = {"CGO_ENABLED": "0", "GOWORK": "off", "GOCACHE": f"{caches}/build", "GOMODCACHE": f"{caches}/modules"}
        subprocess.run(command, cwd=folder, check=True, env={**os.environ, **env})
        staged.replace(program)
    return program
