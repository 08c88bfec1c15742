"""What Terraform printed -> one error in a user's words."""

import re
from collections.abc import Sequence

from bakery.errors import BakeryError, ConflictError, ExitCode, NotFoundError, UsageError

# Frames that Terraform draws around a message, and the stack's name that cdktf puts before every line.
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
FRAME = re.compile(r"^(?:[\w-]+ {2,})?[ \t]*[╷│╵]?[ \t]?", re.MULTILINE)
KEPT_LINES = 40  # of the output shown with an error
# What cdktf calls a stack's read of another one's outputs; both errors are about one that has not all of them.
UNREAD = re.compile(
    r"^Error: (?:Unable to find remote state|Unsupported attribute)$"
    r"(?:(?!^Error: ).)*?terraform_remote_state\.cross-stack-reference-input-([\w-]+)",
    re.MULTILINE | re.DOTALL,
)
USAGE = f"non-zero exit code {int(ExitCode.USAGE)}"  # how cdktf reports what our own program found wrong
_LOG_IN = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or a web identity"
_PROVIDER = "no registry and no mirror has it: set BAKERY_TERRAFORM_MIRROR to a folder that holds the provider"
# Part of a message -> what to do about it.
HINTS = {
    "Failed to query available provider packages": _PROVIDER,
    "Failed to install provider": _PROVIDER,
    "Unable to locate credentials": _LOG_IN,
    "No valid credential sources found": _LOG_IN,
    "no EC2 IMDS role found": _LOG_IN,
    "ExpiredToken": _LOG_IN,
    "InvalidClientTokenId": _LOG_IN,
    "SignatureDoesNotMatch": _LOG_IN,
    "The referenced S3 bucket must have been previously created": (
        "make the state bucket of cdktf/environments/ once, with versioning: it cannot keep its own state"
    ),
    "Backend configuration block has changed": "the stack's state was kept elsewhere before: move it by hand first",
    "Instance cannot be destroyed": "this environment is not disposable, so its keys and its catalog are protected",
}


class NotAppliedError(NotFoundError):
    """A stack reads what another one, `stack`, has not put out yet."""

    def __init__(self, doing: str, stack: str, where: str) -> None:
        super().__init__(
            f"cannot {doing}: it reads outputs of the stack {stack} that are not there yet",
            where=where,
            hint=f"run 'bakery apply {stack}' first",
        )
        self.stack = stack


def failure(doing: str, output: str, where: str) -> BakeryError:
    """The error for a failed run. `doing` completes "cannot …", `where` is the stack's folder."""
    text = FRAME.sub("", COLOUR.sub("", output))
    if "Error acquiring the state lock" in text:
        return _locked(doing, text, where)
    if "Saved plan is stale" in text:
        return ConflictError(f"cannot {doing}: another apply came in between", where=where, hint="plan again")
    if unread := UNREAD.search(text):
        return NotAppliedError(doing, unread[1], where)
    lines = [line for line in text.splitlines() if line.strip()]
    # What our own program says of an environment or a catalog comes before what cdktf says of its exit code.
    first = re.search(r"^error: (.+)$", text, re.MULTILINE) or re.search(r"^Error: (.+)$", text, re.MULTILINE)
    told = re.search(r"^hint: (.+)$", text, re.MULTILINE)
    return (UsageError if USAGE in text else BakeryError)(
        f"cannot {doing}: {first[1].strip()}" if first else f"cannot {doing}",
        where=where,
        detail="\n".join(_telling(lines)),
        hint=told[1] if told else next((hint for sign, hint in HINTS.items() if sign in text), ""),
    )


def _telling(lines: Sequence[str]) -> Sequence[str]:
    """From the first error on: cdktf goes on to tell what it did not do. Without one, the end."""
    errors = [number for number, line in enumerate(lines) if line.lstrip().startswith("Error:")]
    return lines[errors[0] :][:KEPT_LINES] if errors else lines[-KEPT_LINES:]


def _locked(doing: str, text: str, where: str) -> ConflictError:
    lock = dict(re.findall(r"^\s*(ID|Path|Operation|Who|Created):\s+(\S.*?)\s*$", text, re.MULTILINE))
    holder = f"{lock.get('Who', 'somebody')} since {lock.get('Created', 'an unknown time')}"
    return ConflictError(
        f"cannot {doing}: the state is locked by {holder}",
        where=where,
        detail="\n".join(f"{name}: {value}" for name, value in lock.items()),
        hint=(
            f"wait until that run ends; if it is dead, run 'terraform force-unlock {lock.get('ID', 'ID')}' in {where}, "
            "with what 'bakery env' prints"
        ),
    )
