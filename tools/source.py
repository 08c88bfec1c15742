"""Builds a tool from its Go source: `go build` of the wrapper module, with every dependency locked by go.sum."""

import fcntl
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.pins import Tool
from tools.progress import Progress, SetupError

# From this release on, Go fetches the newer toolchain that a go.mod asks for by itself.
OLDEST_GO = (1, 21)
# Go's own installer unpacks there and leaves PATH to the user's shell profile, which make may not have read.
GO_HOME = "/usr/local/go/bin"
# Modules and objects of the largest tool, Vault, while all other tools are built.
NEEDED_GB = 6
GO_HINT = "install Go 1.26 or newer from go.dev/dl, or put {name} {accepted} on PATH"


def build(tool: Tool, program: Path, caches: Path, progress: Progress) -> Path:
    """Builds into `program`; raises SetupError when the tool cannot be built, or Go is missing, too old, or fails.

    Go keeps modules and objects in the folder `caches`, which all tools of a set-up share, until `remove_caches`.
    """
    if tool.module is None:
        raise SetupError(
            f"{tool.name} {tool.version} is not on PATH, and it cannot be built from the Go module proxy",
            f"put {tool.name} {tool.accepted} on PATH: {tool.release.url}",
        )
    go = _find_go(tool)
    progress.say(tool.name, f"building {tool.version} from source, about {tool.minutes} min on two idle cores")
    argv = [go, "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-modcacherw", "-tags", tool.tags]
    argv += ["-ldflags", f"-s -w {tool.ldflags}", "-o", str(program), tool.module]
    # Without cgo a C compiler is not needed, and the program runs on any Linux.
    env = {"CGO_ENABLED": "0", "GOWORK": "off", "GOCACHE": str(caches / "build"), "GOMODCACHE": str(caches / "modules")}
    with _in_use(caches):
        _require_space(tool, caches)
        progress.run(tool.name, "building", argv, env=env, cwd=tool.source)
    return program


def remove_caches(caches: Path) -> None:
    """Gives back the space of Go's caches, unless another set-up builds with them: that one removes them."""
    if not caches.exists():
        return
    with _lock_file(caches).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        shutil.rmtree(caches)


@contextmanager
def _in_use(caches: Path) -> Iterator[None]:
    caches.mkdir(parents=True, exist_ok=True)
    with _lock_file(caches).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def _lock_file(caches: Path) -> Path:
    return caches.with_name(f"{caches.name}.lock")


def _require_space(tool: Tool, caches: Path) -> None:
    caches.mkdir(parents=True, exist_ok=True)  # removed while this build waited for the lock
    free_gb = shutil.disk_usage(caches).free / 1e9
    if free_gb < NEEDED_GB:
        raise SetupError(
            f"building {tool.name} needs up to {NEEDED_GB} GB, and {caches} has {free_gb:.1f} GB left",
            f"make room there, or put {tool.name} {tool.accepted} on PATH",
        )


def _find_go(tool: Tool) -> str:
    hint = GO_HINT.format(name=tool.name, accepted=tool.accepted)
    go = shutil.which("go") or shutil.which("go", path=GO_HOME)
    if go is None:
        raise SetupError(f"{tool.name} {tool.version} must be built from source and Go is not installed", hint)
    answer = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout
    match = re.match(r"go(\d+)\.(\d+)", answer)
    if match is None or (int(match[1]), int(match[2])) < OLDEST_GO:
        raise SetupError(f"{go} is {answer.strip() or 'broken'}: too old to build {tool.name}", hint)
    return go
