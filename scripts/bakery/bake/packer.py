"""Runs one Packer process and removes everything that it leaves behind."""

import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from bakery.bake import guest_layers
from bakery.bake.build_output import BuildOutput
from bakery.bake.diagnosis import explain_failure, report_kill
from bakery.bake.kept_guest import keep_guest, report_kept_guest
from bakery.bake.separation import separate_ansible, separate_network
from bakery.bake.variables import ansible_variables, common_variables
from bakery.clouds import BUILDERS
from bakery.clouds.job import Job
from bakery.host import files, process
from bakery.host.errors import BakeryError
from bakery.host.redaction import redact_files
from bakery.host.waiting import wait_until
from bakery.machine.loops import free_loops

# A task that hangs must not hold the image's lock indefinitely, nor a guest that waits for a login; the slowest known
# bakes take an hour.
TIMEOUT_SECONDS = 4 * 3600.0
VALIDATE_SECONDS = 120.0  # it takes one or two, most of them to start plugins
KILL_SECONDS = 10.0  # a killed guest with 2 GiB of memory is gone within one
POLL_SECONDS = 0.05
TEMPORARY = "bakery-"
BUILD = ("build", "-color=false", "-timestamp-ui")


def build(job: Job, env: Mapping[str, str], secrets: Iterable[str]) -> dict[str, float]:
    """Run `packer build` and return the wall seconds per phase. Only Packer gets `env`; `secrets` are never shown."""
    job.ansible_files.mkdir(mode=0o700, exist_ok=True)
    variables = _write_variables(job, separate_ansible(job))
    job.log.parent.mkdir(parents=True, exist_ok=True)
    output = BuildOutput(job)
    with _short_folder(job.scratch) as temporary:
        try:
            monitor = temporary / "monitor"
            build_env = {**_packer_environment(job, temporary), "QEMU_MONITOR": str(monitor), **env}
            with guest_layers.answered(job, monitor) if job.definition.mode == "vm" else nullcontext():
                _run_build(job, build_env, list(secrets), variables, output, temporary)
        except process.ProcessError as error:
            raise explain_failure(error, output, job) from error
        finally:
            release(job.scratch)
    if not output.ended:
        raise report_kill(job)
    _refuse_links(job)
    _require_seal(job)
    return output.finish()


def _refuse_links(job: Job) -> None:
    """BakeryError if a role put a link where its report belongs, which would lead to what only the bakery can read."""
    for path in (job.test_report, job.archives_report, job.root_archive):
        if path.is_symlink():
            raise BakeryError(f"{job.subject}: a role made {path.name} a link", hint="it must be a file: fix the role")


def _require_seal(job: Job) -> None:
    """BakeryError unless the seal wrote its report: Ansible may end a play early without an error.

    A user's own template need not write one, and Sysprep seals Windows.
    """
    if not job.archives_report.exists() and not job.definition.template and not job.definition.windows:
        raise BakeryError(
            f"{job.subject} was not sealed: its play ended before the last step",
            hint="the log shows the last task: its role may end the play with 'meta'",
            log=job.log,
        )


def validate(job: Job) -> None:
    """Run `packer validate` on a job's template, with its variables and without secrets; BakeryError if it is refused.

    It builds nothing, and calls neither a cloud nor Vault.
    """
    job.ansible_files.mkdir(mode=0o700, exist_ok=True)
    variables = _write_variables(job, job.toolchain.ansible_playbook)
    output = BuildOutput(job)
    with _short_folder(job.scratch) as temporary:
        try:
            process.run(
                [job.toolchain.packer, "validate", *_build_arguments(job, variables)],
                env=_packer_environment(job, temporary),
                timeout=VALIDATE_SECONDS,
                on_output=output.add_line,
            )
        except process.ProcessError as error:
            raise explain_failure(error, output, job) from error


def _run_build(
    job: Job, env: Mapping[str, str], secrets: list[str], variables: Path, output: BuildOutput, temporary: Path
) -> None:
    def add_line(line: str) -> None:
        output.add_line(line)
        report_kept_guest(line, job, temporary, output)

    # Packer then leaves its folder of the disk. The guest ends with the namespaces of the bake, or by `release`.
    on_error = ["-on-error=abort"] if job.keep else []
    try:
        process.run(
            [
                *separate_network(job, env),
                *keep_guest(job, temporary),
                job.toolchain.packer,
                *BUILD,
                *on_error,
                *_build_arguments(job, variables),
            ],
            env=env,
            secrets=secrets,
            timeout=TIMEOUT_SECONDS,
            log=job.log,
            on_output=add_line,
        )
    finally:
        # The guest and QEMU write these themselves. An error shows lines of them, and CI keeps them.
        redact_files((job.log, job.console, job.qemu_log), secrets)


def _write_variables(job: Job, ansible_playbook: Path) -> Path:
    ansible_vars = job.ansible_files / "ansible.json"
    files.write_atomic(ansible_vars, ansible_variables(job))
    variables = job.scratch / "variables.json"
    values = {**common_variables(job, ansible_playbook, ansible_vars), **BUILDERS[job.builder].variables(job)}
    files.write_atomic(variables, json.dumps(values, indent=2).encode())
    return variables


def _build_arguments(job: Job, variables: Path) -> list[str | Path]:
    """A user's own template is built as a whole; of the shipped ones, only the source for this OS."""
    only = [] if job.definition.template else [f"-only={BUILDERS[job.builder].source(job.definition)}"]
    return [*only, f"-var-file={variables}", job.template]


def release(scratch: Path) -> None:
    """Stop what a killed Packer left running: the holder of the disk, and with it mounts and loop devices."""
    for record in scratch.glob("*.pid"):
        with suppress(OSError, ValueError):
            _kill_process(int(record.read_text()), scratch)
    free_loops(scratch)
    link = scratch / "tmp"
    if link.is_symlink() and link.readlink().name.startswith(TEMPORARY):
        shutil.rmtree(link.readlink(), ignore_errors=True)


def remove_remains(drafts: Path) -> None:
    """Remove the folders of runs that were killed. The caller holds the image's lock, so none of them is in use."""
    for scratch in drafts.glob(".*"):
        release(scratch)
        shutil.rmtree(scratch, ignore_errors=True)


def _packer_environment(job: Job, temporary: Path) -> dict[str, str]:
    cache = str(job.project.cache / "packer")
    return {
        "PACKER_PLUGIN_PATH": str(job.toolchain.plugins),
        "PACKER_CACHE_DIR": cache,  # shared: lock files in it keep the ports of two bakes apart
        "PACKER_CONFIG_DIR": cache,
        "CHECKPOINT_DISABLE": "1",  # no question to HashiCorp's servers about newer versions
        "PYTHONUNBUFFERED": "1",  # tasks show up when they start
        # Ansible's sockets and temporary files end with the bake, and the user's own collections stay outside.
        "ANSIBLE_HOME": str(temporary / "ansible"),
        "ANSIBLE_ROLES_PATH": job.project.resources.roles_path,
        "TMPDIR": str(temporary),
        "QEMU_LOG": str(job.qemu_log),
        **({"QEMU_BOOT": str(job.boot.folder)} if job.boot else {}),
    }


@contextmanager
def _short_folder(scratch: Path) -> Iterator[Path]:
    """A temporary folder with a short path: Packer puts sockets there, whose paths may have 107 characters.

    A link in `scratch` lets the next run find the folder if this one is killed.
    """
    folder = Path(tempfile.mkdtemp(prefix=TEMPORARY))
    try:
        (scratch / "tmp").symlink_to(folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _kill_process(pid: int, scratch: Path) -> None:
    """End a process that works in `scratch`. If another process has the same ID by now, leave it alone."""
    proc = Path("/proc") / str(pid)
    if os.fsencode(scratch) not in (proc / "cmdline").read_bytes() + (proc / "environ").read_bytes():
        return
    os.kill(pid, signal.SIGKILL)
    # Raises OSError if the process has ended; empty while its parent has not collected it.
    wait_until(lambda: None if (proc / "cmdline").read_bytes() else True, KILL_SECONDS, POLL_SECONDS)
