"""Builds a tool from its Go source: `go build` of the wrapper module, with every dependency locked by go.sum."""

import re
import shutil
import subprocess
from pathlib import Path

from tools.pins import Tool
from tools.progress import Progress, SetupError

# From this release on, Go fetches the newer toolchain that a go.mod asks for by itself.
OLDEST_GO = (1, 21)
# Go's own installer unpacks there and leaves PATH to the user's shell profile, which make may not have read.
GO_HOME = "/usr/local/go/bin"
GO_HINT = "install Go 1.26 or newer from go.dev/dl, or put {name} {accepted} on PATH"


def build(tool: Tool, program: Path, progress: Progress) -> Path:
    """Builds into `program`; raises SetupError when the tool cannot be built, or Go is missing, too old, or fails."""
    if tool.module is None:
        raise SetupError(
            f"{tool.name} {tool.version} is not on PATH, and it cannot be built from the Go module proxy",
            f"put {tool.name} {tool.accepted} on PATH: {tool.release.url}",
        )
    go = _find_go(tool)
    progress.say(tool.name, f"building {tool.version} from source, about {tool.minutes} min")
    argv = [go, "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-tags", tool.tags]
    argv += ["-ldflags", f"-s -w {tool.ldflags}", "-o", str(program), tool.module]
    # Without cgo a C compiler is not needed, and the program runs on any Linux.
    progress.run(tool.name, "building", argv, env={"CGO_ENABLED": "0", "GOWORK": "off"}, cwd=tool.source)
    return program


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
