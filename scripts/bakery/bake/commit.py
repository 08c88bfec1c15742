"""The commit of the project that an image is baked from."""

from pathlib import Path

from bakery.host import process
from bakery.host.process import ProcessError

GIT = "git"
DESCRIBE = ("describe", "--always", "--abbrev=40", "--dirty", "--exclude=*")
NO_REPOSITORY = "not a git repository"


def read_commit(root: Path) -> tuple[str, str]:
    """The commit, marked if files differ from it, and the reason why there is none.

    Both are empty outside of git. Without a commit an image can be baked, but nothing says later what it came from.
    """
    if process.which(GIT) is None:
        return "", "git is not installed"
    try:
        return process.run([GIT, "-C", root, *DESCRIBE]).stdout.strip(), ""
    except ProcessError as error:
        reason = (error.tail.splitlines() or [error.message])[0].removeprefix("fatal: ")
        return "", "" if NO_REPOSITORY in reason else reason
