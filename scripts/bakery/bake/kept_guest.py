"""Keeps the guest of a failed bake running for a login, and says how to log in."""

import shlex
import sys
from pathlib import Path

from bakery.bake import give_connections, take_connection
from bakery.bake.build_output import BuildOutput
from bakery.bake.diagnosis import explain_failure
from bakery.clouds.job import Job
from bakery.host import files
from bakery.host.events import Event
from bakery.host.process import ProcessError
from bakery.machine.ssh import HOST_ALIAS

SCRIPT = Path(give_connections.__file__).with_name("keep_guest.sh")
CONFIG, SOCKET = "ssh_config", "guest"  # in a folder with a short path


def keep_guest(job: Job, folder: Path) -> list[str | Path]:
    """The words before Packer that keep the guest of a failed build running; writes `ssh_config` to a private folder.

    Empty if the job does not ask for it, and where there is no guest or no login by a key: in chroot mode, of Windows.
    """
    if not job.keep_guest or job.definition.mode != "vm" or job.definition.windows:
        return []
    config, socket = folder / CONFIG, folder / SOCKET
    _write_config(job, config, socket)
    return ["sh", SCRIPT, job.pid_file, config, sys.executable, give_connections.__file__, socket]


def report_kept_guest(line: str, job: Job, folder: Path, output: BuildOutput) -> None:
    """Say how to log in if a line of a build's output is the one that follows its end.

    A role can print this line as well, but it cannot make the socket.
    """
    if line != give_connections.READY or not (folder / SOCKET).is_socket():
        return
    failure = explain_failure(ProcessError("packer failed with exit code 1", 1, "\n".join(output.lines)), output, job)
    text = (
        f"{failure.message}; the guest still runs: 'ssh -F {folder / CONFIG} guest' logs in as root; "
        "'poweroff' in it ends the bake and keeps the disk, Ctrl-C here ends it and keeps no disk"
    )
    job.report(Event("note", "bake", job.subject, text))
    job.progress("waiting for the end of the guest")


def _write_config(job: Job, config: Path, socket: Path) -> None:
    """Write the settings of SSH with the keys of the bake; ssh gets its connection from the socket."""
    take = shlex.join([sys.executable, "-IS", take_connection.__file__, str(socket)]).replace("%", "%%")
    text = f"""\
Host guest
  HostName {give_connections.ADDRESS}
  User root
  ProxyCommand {take}
  ProxyUseFdpass yes
  IdentityFile "{job.ansible_files / "key"}"
  IdentitiesOnly yes
  BatchMode yes
  StrictHostKeyChecking yes
  HostKeyAlias {HOST_ALIAS}
  UserKnownHostsFile "{job.ansible_files / "known_hosts"}"
  GlobalKnownHostsFile /dev/null
  LogLevel ERROR
  ConnectTimeout 20
  ServerAliveInterval 15
"""
    files.write_atomic(config, text.encode())
