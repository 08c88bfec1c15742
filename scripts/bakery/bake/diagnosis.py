"""Explains a failed build in one message: most lines that Packer prints describe consequences, not the cause."""

import re
import signal
from pathlib import Path

from bakery.bake.build_output import ORIGIN, BuildOutput
from bakery.bake.failed_task import find_cause
from bakery.bake.space import describe_need, find_full_disk
from bakery.clouds.job import Job
from bakery.host.errors import BakeryError, DiskError
from bakery.host.files import MAKE_ROOM
from bakery.host.process import ProcessError
from bakery.machine.guest import GuestError

SHOWN = 15  # lines of a console or of a program's output

SCREEN = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
PLACE = re.compile(r"^\s+on (?P<file>\S+) line (?P<line>\d+)")
PLUGIN = re.compile(r"^\* (?P<source>\S+) (?P<version>.+)$")
# Ansible 2.19 prints this before a refusal, and before the failure of a task, which `BuildOutput` reads.
ERROR = "[ERROR]: "
REFUSED_FILE = re.compile(rf"{re.escape(ERROR)}(?!Task failed)")
KILLED_HINT = "if nobody killed it, the machine may have run out of memory: see 'dmesg'; nothing was left running"
# Packer prints this when a program that it started was stopped from outside.
CANCELLED = "Cleanly cancelled builds after being interrupted"
LOST = "error: not all that was written is on the disk"  # of packer/templates/chroot/written.sh


def explain_failure(error: ProcessError, output: BuildOutput, job: Job) -> BakeryError:
    """The error to show for a failed Packer."""
    failure = (
        find_full_disk(job)
        or _lost_writes(output, job)
        or _own_words(error)
        or _killed_packer(error)
        or _interrupted_bake(output)
        or _failed_task(output, job)
        or _silent_guest(output, job.console)
        or _failed_start(output, job.qemu_log)
        or _missing_plugins(output)
        or _refused_secret(output)
        or _invalid_template(output)
        or _refused_file(output)
        or _last_words(error, output)
    )
    failure.log = error.log
    return failure


def report_kill(job: Job) -> BakeryError:
    """Packer runs as two processes: if the inner one is killed, the outer one still reports success."""
    return BakeryError("Packer ended before it finished", hint=KILLED_HINT, log=job.log)


def _lost_writes(output: BuildOutput, job: Job) -> BakeryError | None:
    """The error for writes that chroot.sh found lost: the disk may have room again by now."""
    if not any(LOST in line for line in output.lines):
        return None
    return DiskError(
        "this machine's disk did not take all that the bake wrote",
        where=str(job.scratch.parent),
        detail=describe_need(job),
        hint=f"it was full for a while, or is failing: see 'dmesg'; {MAKE_ROOM}",
    )


def _own_words(error: ProcessError) -> BakeryError | None:
    """Packer is missing or did not end in time; its output says no more."""
    if "failed with exit code" in error.message:
        return None
    return BakeryError(error.message, detail=error.detail, hint=error.hint)  # the words at the end may be the guest's


def _killed_packer(error: ProcessError) -> BakeryError | None:
    number = -error.returncode if error.returncode < 0 else error.returncode - 128
    if number not in (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGABRT):
        return None
    return BakeryError(
        f"Packer was killed ({signal.Signals(number).name})",
        detail=error.tail,
        hint=KILLED_HINT,
    )


def _interrupted_bake(output: BuildOutput) -> BakeryError | None:
    if not any(CANCELLED in line for line in output.lines):
        return None
    return BakeryError("the bake was interrupted", hint="nothing was left running; run it again")


def _failed_task(output: BuildOutput, job: Job) -> BakeryError | None:
    failure = output.failure
    if failure is None:
        return None
    if failure.unreachable:
        return BakeryError(
            f"the guest stopped answering at task '{failure.task}'",
            where=failure.where,
            detail=failure.message,
            hint="did the role change the network or SSH, or reboot?",
        )
    cause = find_cause(failure, job)
    return BakeryError(
        f"task '{failure.task}' failed: {failure.message}",
        where=cause.where,
        detail=_last_lines(failure.output),
        hint=cause.hint,
    )


def _silent_guest(output: BuildOutput, console: Path) -> GuestError | None:
    if not any("Timeout waiting for SSH" in line for line in output.lines):
        return None
    shown = _last_lines(console.read_text(errors="replace")) if console.exists() else ""
    return GuestError(
        "the guest never answered on SSH",
        where=str(console),
        detail=shown or "the console is empty as well: the firmware found nothing to boot",
        hint="the console shows how far the boot came; a base needs UEFI boot, cloud-init and an SSH server",
    )


def _failed_start(output: BuildOutput, log: Path) -> GuestError | None:
    if not any("Qemu failed to start" in line for line in output.lines):
        return None
    text = log.read_text(errors="replace") if log.exists() else ""
    return GuestError("QEMU did not start", detail=_last_lines(text), hint="run 'bakery doctor bake'")


def _missing_plugins(output: BuildOutput) -> BakeryError | None:
    if not any("Missing plugins" in line for line in output.lines):
        return None
    missing = [f"{match['source']} {match['version']}" for line in output.lines if (match := PLUGIN.match(line))]
    return BakeryError(
        f"Packer has no plugin {', '.join(missing)}", hint="run 'make setup', or 'bakery doctor' to see what is missing"
    )


def _refused_secret(output: BuildOutput) -> BakeryError | None:
    text = " ".join(line.strip() for line in output.lines)
    match = re.search(r'Call to function "vault" failed: (.+?)(?:\.? {2}|$)', text)
    return (
        BakeryError(f"Packer cannot read a secret: {match[1]}", hint="is VAULT_ADDR reachable from here?")
        if match
        else None
    )


def _invalid_template(output: BuildOutput) -> BakeryError | None:
    """The first HCL error: `Error: title`, then the location, then a paragraph that explains it."""
    start = next((number for number, line in enumerate(output.lines) if line.startswith("Error: ")), None)
    if start is None:
        return None
    end = next(
        (n for n in range(start + 1, len(output.lines)) if output.lines[n].startswith("Error: ")), len(output.lines)
    )
    block = output.lines[start + 1 : end]
    place = next((match for line in block if (match := PLACE.match(line))), None)
    lines = [line.strip() for line in block if line.strip() and not PLACE.match(line) and "source code not" not in line]
    return BakeryError(
        f"Packer refuses the template: {output.lines[start].removeprefix('Error: ')}",
        where=f"{place['file']}:{place['line']}" if place else "",
        detail="\n".join(lines[:SHOWN]),
        hint="fix the template and run it again; nothing was started",
    )


def _refused_file(output: BuildOutput) -> BakeryError | None:
    """A file that Ansible cannot read, such as tasks that are no YAML: no task fails then."""
    start = next((number for number, line in enumerate(output.lines) if REFUSED_FILE.match(line)), None)
    if start is None:
        return None
    origin = next((match for line in output.lines[start:] if (match := ORIGIN.match(line))), None)
    return BakeryError(
        f"Ansible stopped: {output.lines[start].removeprefix(ERROR)}",
        where=origin["where"] if origin else "",
        hint="correct the file, and run it again",
    )


def _last_words(error: ProcessError, output: BuildOutput) -> BakeryError:
    """Packer's own summary of what went wrong, else its last lines."""
    summary = [line for line in output.lines if " errored after " in line]
    reason = summary[-1].split(": ", 1)[-1] if summary else f"exit code {error.returncode}"
    return BakeryError(f"Packer failed: {reason}", detail=_last_lines(error.tail), hint="the log has all of its output")


def _last_lines(text: str) -> str:
    """The last lines with text, without the control sequences of a console."""
    lines = [line.strip() for line in SCREEN.sub("", text).splitlines()]
    return "\n".join([line for line in lines if line][-SHOWN:])
