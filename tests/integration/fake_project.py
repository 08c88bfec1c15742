"""A project with small stacks: the real `bakery`, cdktf and Terraform, and a CDKTF program that only copies files."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakery_stacks.locks import COMMITTED
from doubles.aws.client import StandIn
from integration.published_images import REGIONS, ROOT, STATE_BUCKET, environment

# What cdktf runs. It gives the command what a program of constructs would: a folder per stack, and a manifest.
PROGRAM = """\
import json, os
from pathlib import Path

output = Path(os.environ["CDKTF_OUTDIR"])
stacks = json.loads(Path("stacks.json").read_text())
for name, stack in stacks.items():
    folder = output / "stacks" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cdk.tf.json").write_text(json.dumps(stack["config"]))
    if "provider" in stack["config"]:
        (folder / ".terraform.lock.hcl").write_text(stack["lock"])
entries = {
    name: {
        "name": name,
        "constructPath": name,
        "synthesizedStackPath": f"stacks/{name}/cdk.tf.json",
        "workingDirectory": f"stacks/{name}",
        "annotations": [],
        "dependencies": stack["needs"],
    }
    for name, stack in stacks.items()
}
(output / "manifest.json").write_text(json.dumps({"version": "0.21.0", "stacks": entries}))
"""
SETTINGS = {"language": "python", "app": f"{sys.executable} program.py", "sendCrashReports": "false"}
SECONDS = 120


@dataclass(frozen=True)
class CliResult:
    """How a call of `bakery` ended."""

    code: int
    out: str
    err: str


class FakeProject:
    """A project in `root`, with its state on the stand-in under `prefix`."""

    def __init__(self, root: Path, aws: StandIn, prefix: str) -> None:
        self.root = root
        self.aws = aws
        self.prefix = prefix
        self._stacks: dict[str, Any] = {}
        (root / ".bakery" / "tools").mkdir(parents=True)
        (root / ".bakery" / "tools" / "bin").symlink_to(ROOT / ".bakery" / "tools" / "bin")
        (root / "tools").mkdir()
        (root / "tools" / "tools.toml").touch()
        (root / "cdktf.json").write_text(json.dumps(SETTINGS))
        (root / "program.py").write_text(PROGRAM)

    def write(self, name: str, body: Mapping[str, Any], needs: Sequence[str] = ()) -> None:
        """Add a stack, or change it; what it needs it can read as cdktf's stacks do."""
        remote = {f"cross-stack-reference-input-{other}": self._state_of(other) for other in needs}
        config = {
            "//": {"metadata": {"stackName": name, "version": "0.21.0", "backend": "s3"}},
            "terraform": {"backend": {"s3": self._backend(name)}},
            **({"data": {"terraform_remote_state": remote}} if remote else {}),
            **body,
        }
        self._stacks[name] = {"config": config, "needs": list(needs), "lock": COMMITTED.read_text()}
        (self.root / "stacks.json").write_text(json.dumps(self._stacks))

    @property
    def environment(self) -> dict[str, str]:
        """What a user would have exported."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return {**os.environ, **environment(self.aws), "PATH": path}

    def start(self, *arguments: str, workspace: str = ".bakery") -> subprocess.Popen[str]:
        """`bakery ARGUMENTS` in a process group of its own, as a shell would start it."""
        return subprocess.Popen(
            [Path(sys.executable).with_name("bakery"), *arguments],
            env={**self.environment, "BAKERY_WORKSPACE": workspace},
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: str, workspace: str = ".bakery") -> CliResult:
        """`bakery ARGUMENTS`, to its end."""
        return end(self.start(*arguments, workspace=workspace))

    def locked(self, name: str) -> bool:
        """Whether the state of a stack is locked."""
        keys = self.aws.client("s3", REGIONS[0]).list_objects_v2(Bucket=STATE_BUCKET).get("Contents", [])
        return f"{self._key(name)}.tflock" in [entry["Key"] for entry in keys]

    def _key(self, name: str) -> str:
        return f"{self.prefix}/{name}.tfstate"

    def _backend(self, name: str) -> dict[str, Any]:
        place = {"bucket": STATE_BUCKET, "key": self._key(name), "region": REGIONS[0], "use_path_style": True}
        return {**place, "use_lockfile": True}

    def _state_of(self, name: str) -> dict[str, Any]:
        place = {key: value for key, value in self._backend(name).items() if key != "use_lockfile"}
        return {"backend": "s3", "config": place}


def end(running: subprocess.Popen[str]) -> CliResult:
    """Wait for a call of `bakery`."""
    out, err = running.communicate(timeout=SECONDS)
    return CliResult(running.returncode, out, err)
