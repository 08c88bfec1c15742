"""Reads the output of Packer and Ansible as it arrives: progress, seconds per phase, and the failed task."""

import json
import re
import time
from dataclasses import dataclass

from bakery.clouds.job import Job

# `2026-11-23T15:48:34Z: ==> qemu.image: text`; the later lines of a message have no time.
PREFIX = re.compile(r"^(?:\S+Z: )?(?:(?:==> |--> | {4})[\w.-]+(?: \([\w-]+\))?: ?)?")
TASK = re.compile(r"^TASK \[(?P<name>.+?)\] \*")
FAILED = re.compile(r"^(?:fatal|failed): \[[^]]*\].*?(?P<kind>FAILED|UNREACHABLE)! => (?P<result>\{.*\})")
FAILED_ITEM = re.compile(r"^failed: \[[^]]*\] \(item=.*?\) => (?P<result>\{.*\})")
ORIGIN = re.compile(r"^Origin: (?P<where>.+:\d+):\d+$")

# The first line of each phase, in the words of Packer 1.11, packer-plugin-qemu 1.0.9, Ansible 2.19 and chroot.sh.
PHASES = (
    (re.compile(r"^Starting VM"), "boot", "booting the guest"),
    (re.compile(r"^Attaching the disk$"), "attach", "attaching the disk"),
    (re.compile(r"^(?:Provisioning with Ansible|PLAY \[)"), "provision", "starting Ansible"),
    (re.compile(r"^TASK \[seal : "), "seal", ""),
    (re.compile(r"^Gracefully halting"), "shutdown", "shutting the guest down"),
    (re.compile(r"^Detaching the disk$"), "detach", "detaching the disk"),
)
NOISE = ("Gathering Facts", "Validating arguments")


@dataclass(frozen=True)
class TaskFailure:
    """The Ansible task that ended a bake. `where` is the task's file:line, `output` what its program printed."""

    task: str
    message: str
    output: str = ""
    where: str = ""
    unreachable: bool = False


class BuildOutput:
    """The output of a build so far. It reports progress line by line, and keeps the lines for an explanation."""

    def __init__(self, job: Job) -> None:
        self.seconds: dict[str, float] = {}
        self.lines: list[str] = []
        self.failure: TaskFailure | None = None
        self._job = job
        self._task = ""
        self._origin = ""
        self._phase = "prepare"
        self._since = time.monotonic()

    @property
    def ended(self) -> bool:
        """Whether Packer ended by itself, successfully or not."""
        return any(line.startswith("==> Builds finished") for line in self.lines)

    def add_line(self, raw: str) -> None:
        """Add the next line."""
        text = PREFIX.sub("", raw, count=1).rstrip()
        self.lines.append(text)
        for pattern, phase, message in PHASES:
            if pattern.search(text) and phase != self._phase:
                self._enter_phase(phase, message)
        if match := TASK.search(text):
            self._task, self._origin = match["name"], ""
            if not any(noise in self._task for noise in NOISE):
                self._job.progress(self._task)
        elif match := ORIGIN.search(text):
            self._origin = self._origin or match["where"]
        elif match := FAILED.search(text) or FAILED_ITEM.search(text):
            self.failure = self._task_failure(match["result"], "UNREACHABLE!" in text)
        elif text.startswith("...ignoring"):
            self.failure = None

    def finish(self) -> dict[str, float]:
        """Seconds per phase, the last one included."""
        self._close_phase()
        return self.seconds

    def _enter_phase(self, phase: str, message: str) -> None:
        self._close_phase()
        self._phase = phase
        if message:
            self._job.progress(message)

    def _close_phase(self) -> None:
        now = time.monotonic()
        self.seconds[self._phase] = round(self.seconds.get(self._phase, 0) + now - self._since, 1)
        self._since = now

    def _task_failure(self, result: str, unreachable: bool) -> TaskFailure:
        try:
            details = json.loads(result)
        except ValueError:
            details = {"msg": result}
        failures = "\n".join(map(str, details.get("failures") or ()))  # of dnf, whose message names no package
        output = failures or details.get("stderr") or details.get("stdout") or details.get("module_stderr") or ""
        message = str(details.get("msg") or details.get("censored") or "no reason was reported")
        return TaskFailure(self._task, message, str(output), self._origin, unreachable)
