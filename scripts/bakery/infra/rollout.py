"""Plans and applies stacks one by one: an apply carries out exactly the plan that was reviewed."""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from bakery.host import files
from bakery.host.errors import BusyError, ConflictError
from bakery.host.events import Event, Kind, Reporter, report_step, silent
from bakery.host.waiting import wait_until
from bakery.infra.changes import Difference, read_difference
from bakery.infra.explain import NotAppliedError
from bakery.infra.stacks import Stack
from bakery.infra.terraform import Terraform
from bakery.model.project import Project

POLL_SECONDS = 5.0  # between two attempts, each of which starts Terraform
INTERRUPTED = "Interrupt received"  # Terraform's first line after an interrupt, shown because it explains the wait

Result = TypeVar("Result")
Review = Callable[[Difference], None]


@dataclass(frozen=True)
class Rollout:
    """Synthesized stacks of a project. `environment` is the user's; methods raise BakeryError."""

    project: Project
    environment: Mapping[str, str]
    report: Reporter = silent

    def diff(self, stack: Stack) -> Difference:
        """The changes that an apply would make. Takes no lock, so that read access is enough."""
        with report_step(self.report, "infra", stack.name, "plan"), self._plan_folder() as folder:
            terraform = self._open_terraform(stack)
            terraform.init()
            try:
                return _plan_stack(terraform, stack, folder / "plan", lock=False)
            except NotAppliedError as error:
                return Difference(stack.name, pending=True, reads=stack.needs, waits_for=error.stack)

    def apply(self, stack: Stack, review: Review, lock_seconds: float) -> Difference:
        """Plan, apply that plan, and return it. Waits for other runs, and then plans again.

        `review` gets each plan before it is applied, and raises an error to refuse it.
        """

        def attempt() -> Difference:
            result = _plan_stack(terraform, stack, folder / "plan", lock=True)
            review(result)
            if result.pending:
                terraform.apply(folder / "plan")
            return result

        with report_step(self.report, "infra", stack.name, "apply"), self._plan_folder() as folder:
            terraform = self._open_terraform(stack)
            terraform.init()
            return wait_for_others(attempt, lock_seconds, lambda text: self._report_note(stack, text))

    def outputs(self, stack: Stack) -> dict[str, Any]:
        """Outputs of a stack that was planned or applied before, except for sensitive ones."""
        values = self._open_terraform(stack).output()
        return {name: output.value for name, output in values.items() if not output.sensitive}

    def _plan_folder(self) -> AbstractContextManager[Path]:
        """A folder for a plan, removed afterwards. Only the user can read it, since plans have secrets in clear."""
        return files.scratch(self.project.workspace, "plan")

    def _open_terraform(self, stack: Stack) -> Terraform:
        def on_output(line: str) -> None:
            kind: Kind = "note" if line.startswith(INTERRUPTED) else "progress"
            self.report(Event(kind, "infra", stack.name, line))

        return Terraform(self.project, stack.folder, self.environment, on_output=on_output)

    def _report_note(self, stack: Stack, text: str) -> None:
        self.report(Event("note", "infra", stack.name, text))


def wait_for_others(attempt: Callable[[], Result], timeout: float, note: Callable[[str], None]) -> Result:
    """Try until no other run holds the lock, and report its holder; BusyError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    conflict = ConflictError("")

    def probe() -> Result | None:
        nonlocal conflict
        try:
            return attempt()
        except ConflictError as error:
            seconds = deadline - time.monotonic()
            if seconds > 0 and error.message != conflict.message:
                note(f"{error.message}; waiting up to {seconds:.0f} s: {error.hint}")
            conflict = error
            return None

    result = wait_until(probe, timeout, POLL_SECONDS)
    if result is None:
        message = f"{conflict.message}; waited {timeout:g} s"
        raise BusyError(message, where=conflict.where, detail=conflict.detail, hint=conflict.hint) from conflict
    return result


def _plan_stack(terraform: Terraform, stack: Stack, path: Path, *, lock: bool) -> Difference:
    terraform.plan(path, lock=lock)
    return read_difference(stack.name, stack.needs, terraform.show(path))
