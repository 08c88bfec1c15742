"""The time and the writer of a document."""

import getpass
import os
import socket
from datetime import UTC, datetime
from pathlib import Path


def now() -> str:
    """UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def owner(workspace: Path) -> str:
    """The owner of reservations: all jobs of one GitLab pipeline together, else one workspace of one machine."""
    return os.environ.get("CI_PIPELINE_URL") or f"{actor()}:{workspace}"


def actor() -> str:
    """The writer: the GitLab job in CI, otherwise user@host."""
    job = os.environ.get("CI_JOB_URL")
    if job:
        return job
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number without a name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
