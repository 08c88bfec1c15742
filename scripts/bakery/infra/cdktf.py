"""Runs the cdktf command: synth, diff, deploy, destroy, output."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakery.host import files, process
from bakery.host.errors import BakeryError
from bakery.host.events import Event, Reporter, report_step, silent
from bakery.host.redaction import Redactor
from bakery.infra import env, explain
from bakery.model import documents
from bakery.model.project import Project

SECONDS = 3600.0  # per command
# One stack after the other: if one of two parallel stacks fails, cdktf leaves the other's lock (terraform-cdk #2030).
UNATTENDED = ("--auto-approve", "--no-color", "--parallelism=1")
# The CDKTF program writes its error there (cdktf/main.py): cdktf itself only repeats what it prints.
ERROR_FILE = "BAKERY_ERROR_FILE"


@dataclass(frozen=True)
class Cdktf:
    """The CDKTF program of a project. `environment` is the user's; methods raise BakeryError.

    Stacks are written to the workspace, and not to the folder that a user's own synth writes to.
    """

    project: Project
    environment: Mapping[str, str]
    log: Path | None
    report: Reporter = silent

    @property
    def output(self) -> Path:
        """The folder that the stacks are written to."""
        return self.project.workspace / "cdktf.out"

    def folder(self, stack: str) -> Path:
        """The Terraform folder of a stack."""
        return self.output / "stacks" / stack

    def synth(self) -> None:
        """Write all stacks."""
        self._run_cdktf("synth", ())

    def deploy(self, *stacks: str) -> dict[str, Any]:
        """Apply stacks in the order of their dependencies; returns outputs that are not sensitive, by stack."""
        with files.scratch(self.project.workspace, "outputs") as folder:
            path = folder / "outputs.json"
            self._run_cdktf("deploy", stacks, *UNATTENDED, f"--outputs-file={path}")
            outputs: dict[str, Any] = json.loads(path.read_bytes())
        return outputs

    def _run_cdktf(self, command: str, stacks: tuple[str, ...], *options: str) -> None:
        subject = ", ".join(stacks) or "all stacks"
        lines: list[str] = []

        def on_output(line: str) -> None:
            lines.append(line)
            self.report(Event("progress", "infra", subject, line))

        with (
            report_step(self.report, "infra", subject, f"cdktf {command}"),
            # This also makes the workspace: cdktf makes only the last folder of its output path.
            files.scratch(self.project.workspace, "error") as folder,
        ):
            error_file = folder / "error.json"
            done = process.run(
                ["cdktf", command, *stacks, *options, f"--output={self.output}"],
                env={**env.for_child(self.project, self.environment), ERROR_FILE: str(error_file)},
                secrets=env.secret_values(self.environment),
                cwd=self.project.root,
                timeout=SECONDS,
                log=self.log,
                on_output=on_output,
                check=False,
            )
            if done.returncode != 0:
                stack_folder = self.folder(stacks[0]) if stacks else self.output
                error = self._program_error(error_file) or explain.explain_failure(
                    f"{command} {subject}", "\n".join(lines), str(stack_folder)
                )
                error.log = error.log or self.log
                raise error

    def _program_error(self, path: Path) -> BakeryError | None:
        """The CDKTF program's own error; None if it did not fail. Its text may contain a service's answer."""
        if not path.exists():
            return None
        hide = Redactor(env.secret_values(self.environment))
        return documents.parse(documents.ErrorDocument, hide(path.read_text()).encode(), str(path)).error()
