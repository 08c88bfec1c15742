"""Terraform behind typed calls. The only user of python_terraform, whose defaults are from 2019.

python_terraform turns options into a command line, which `_Driver` runs with `host.process`. Its own runner would pass
the whole environment, set no time limit, and write outputs, secrets included, to its log. Every flag is set here: its
defaults ask on the terminal (apply), skip a state migration (init -reconfigure), or no longer exist in Terraform
(-force).
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import python_terraform
from python_terraform import IsFlagged, IsNotFlagged

from bakery.host import process
from bakery.host.errors import BakeryError
from bakery.host.redaction import REDACTED
from bakery.infra import env, explain
from bakery.model.project import Project

SECONDS = 3600.0  # per command; then Terraform is interrupted, so that it saves its state and frees the lock
# From an interrupt to a second one, which ends Terraform at once, so that its current resource is missing in the state.
# Even slow resources of AWS, such as a NAT gateway or a volume, mostly exist within 10 minutes.
GRACE_SECONDS = 600.0
CHANGES = 2  # exit code of `plan -detailed-exitcode`

# The library would log variables in clear.
logging.getLogger("python_terraform").setLevel(logging.WARNING)


@dataclass(frozen=True)
class Output:
    """A stack's output; a sensitive value is never shown by accident."""

    value: Any = field(repr=False)
    sensitive: bool

    def __repr__(self) -> str:
        return f"Output({REDACTED if self.sensitive else repr(self.value)})"


class Terraform:
    """One folder of Terraform files. Every method raises BakeryError; ConflictError if the state is locked."""

    def __init__(
        self,
        project: Project,
        folder: Path,
        environment: Mapping[str, str],
        *,
        variables: Mapping[str, Any] | None = None,
        log: Path | None = None,
        on_output: Callable[[str], None] | None = None,
        seconds: float = SECONDS,
    ) -> None:
        """`environment` is the user's, `variables` the values of the folder's input variables.

        `on_output` gets the lines that go to the log.
        """
        self._folder = folder
        inputs = {f"TF_VAR_{name}": _variable_text(value) for name, value in (variables or {}).items()}
        self._driver = _Driver(
            folder,
            env.find_terraform(project, environment),
            {**env.for_child(project, environment), **inputs},
            env.secret_values(environment),
            log,
            on_output,
            seconds,
        )

    def init(self) -> None:
        """Install providers and connect to the backend. Refuses a changed backend and providers that are not locked."""
        self._driver.init(reconfigure=IsNotFlagged, input=False, lockfile="readonly", var=None)

    def plan(self, out: Path, *, destroy: bool = False, lock: bool = True) -> bool:
        """Save a plan to `out`; returns whether it changes anything. Without a lock, read access is enough."""
        options = {"destroy": IsFlagged if destroy else IsNotFlagged, "lock": None if lock else False}
        code, _, _ = self._driver.plan(out=str(out), var=None, **options)
        return bool(code == CHANGES)

    def show(self, plan: Path) -> dict[str, Any]:
        """A saved plan as Terraform's JSON; it has sensitive values in clear."""
        shown: dict[str, Any] = json.loads(self._driver.run("show", str(plan), json=IsFlagged))
        return shown

    def apply(self, plan: Path) -> None:
        """Carry out a saved plan, nothing else."""
        self._driver.apply(str(plan), skip_plan=True, var=None)

    def output(self) -> dict[str, Output]:
        """All outputs of the state, by name."""
        entries: dict[str, dict[str, Any]] = json.loads(self._driver.run("output", json=IsFlagged))
        return {name: Output(entry["value"], entry["sensitive"]) for name, entry in entries.items()}


def _variable_text(value: Any) -> str:
    """A variable's value for Terraform's environment: text without quotes, any other value as an expression."""
    return value if isinstance(value, str) else json.dumps(value)


class _Driver(python_terraform.Terraform):  # type: ignore[misc]  # the package has no types
    """Runs python_terraform's command lines with `host.process`."""

    def __init__(
        self,
        folder: Path,
        binary: str,
        environ: Mapping[str, str],
        secrets: Sequence[str],
        log: Path | None,
        on_output: Callable[[str], None] | None,
        seconds: float,
    ) -> None:
        super().__init__(str(folder), terraform_bin_path=binary)
        self._folder = folder
        self._environ = dict(environ)
        self._secrets = secrets
        self._log = log
        self._on_output = on_output
        self._seconds = seconds

    def read_state_file(self, file_path: str | None = None) -> None:
        """Do nothing: the state is read by Terraform, from any backend."""

    def run(self, command: str, *args: str, **options: Any) -> str:
        """Standard output of a command that only reads. It may hold secrets, so it never goes to the log."""
        return self._call_terraform(self.generate_cmd_string(command, *args, **options), command, None, None)[1]

    def cmd(self, cmd: str, *args: str, **options: Any) -> tuple[int, str, str]:
        """All of python_terraform's methods call this. Returns exit code, standard output, and no standard error."""
        argv = self.generate_cmd_string(cmd, *args, **{"no_color": IsFlagged, **options})
        return self._call_terraform(argv, cmd, self._log, self._on_output)

    def _call_terraform(
        self, argv: Sequence[str], command: str, log: Path | None, on_output: Callable[[str], None] | None
    ) -> tuple[int, str, str]:
        lines: list[str] = []

        def take(line: str) -> None:
            lines.append(line)
            if on_output:
                on_output(line)

        done = process.run(
            argv,
            env=self._environ,
            secrets=self._secrets,
            cwd=self._folder,
            timeout=self._seconds,
            grace=GRACE_SECONDS,
            log=log,
            on_output=take,
            check=False,
        )
        if done.returncode != 0 and not (command == "plan" and done.returncode == CHANGES):
            raise self._explain_failure(command, lines, log)
        return done.returncode, done.stdout, ""

    def _explain_failure(self, command: str, lines: Sequence[str], log: Path | None) -> BakeryError:
        error = explain.explain_failure(f"{command} with Terraform", "\n".join(lines), str(self._folder))
        error.log = log
        return error
