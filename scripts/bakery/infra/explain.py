"""The output of Terraform and cdktf -> one error for users."""

import re

from bakery.host.errors import BakeryError, ConflictError, NotFoundError, UsageError
from bakery.host.text import count_of
from bakery.infra import mirror

# Frames that Terraform draws around a message, and the stack's name that cdktf puts before every line.
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
FRAME = re.compile(r"^(?:[\w-]+ {2,})?[ \t]*[╷│╵]?[ \t]?", re.MULTILINE)
KEPT_LINES = 40  # of the output shown with an error
# The name that cdktf gives to a read of another stack's outputs; both errors mean that outputs are missing.
UNREAD = re.compile(
    r"^Error: (?:Unable to find remote state|Unsupported attribute)$"
    r"(?:(?!^Error: ).)*?terraform_remote_state\.cross-stack-reference-input-([\w-]+)",
    re.MULTILINE | re.DOTALL,
)
# A broken condition, as `condition` writes it.
CONDITION = re.compile(r"^ ?error: (.+)\n(?: ?where: (.+)\n)? ?hint: (.+)$", re.MULTILINE)
# An Annotation by one of the bakery's rules: the construct's path, and the violation.
VIOLATION = re.compile(r"^ERROR \[(.+?)\]: (.+)$", re.MULTILINE)
ALLOW = (
    "correct the environment or the stack; docs/reference/rules.md lists all rules, and shows how"
    " rules.allow() exempts a construct from one, with a reason"
)
# Terraform names a provider that it cannot get, and its version, when it begins to look and again at a download.
NO_PROVIDER = re.compile(
    r"^Error: Failed to (?:query available provider packages$"
    r"|install provider\s+Error while installing [^:]+: could not query provider\s+registry)",
    re.MULTILINE,
)
PROVIDER = re.compile(r"\b(?:for provider|while installing)\s+([\w.-]+(?:/[\w-]+)+)")
LOOKED_FOR = re.compile(
    r"^- (?:Finding|Installing) (\S+) (?:versions matching \"|v)(\d\S*?)(?:\"|\.\.\.)", re.MULTILINE
)
# A provider whose checksum or version differs from the lock file, or that is not in it.
NOT_LOCKED = re.compile(
    r"match\s+any\s+of\s+the\s+checksums|does\s+not\s+match\s+configured\s+version\s+constraint"
    r"|^Error: Provider dependency changes detected$",
    re.MULTILINE,
)
_LOG_IN = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or a web identity"
# Pattern in a message -> what to do about it.
HINTS = {
    "Unable to locate credentials": _LOG_IN,
    "No valid credential sources found": _LOG_IN,
    "no EC2 IMDS role found": _LOG_IN,
    "ExpiredToken": _LOG_IN,
    "InvalidClientTokenId": _LOG_IN,
    "SignatureDoesNotMatch": _LOG_IN,
    "The referenced S3 bucket must have been previously created": (
        "create the state bucket of cdktf/environments/ once, with versioning; no stack can create it"
    ),
    "Backend configuration block has changed": "the stack's state is at another location: move it by hand first",
    r"reading SSM Parameter \(/bakery/\S+\): couldn't find resource": (
        "the catalog lists it: 'bakery publish IMAGE' writes a version's parameter, 'bakery promote IMAGE VERSION"
        " CHANNEL' a channel's"
    ),
    "Instance cannot be destroyed": "keys and catalog are protected, since this environment is not disposable",
}


class NotAppliedError(NotFoundError):
    """A stack reads an output that another stack, `stack`, does not have yet."""

    def __init__(self, doing: str, stack: str, where: str) -> None:
        super().__init__(
            f"cannot {doing}: it reads outputs that the stack {stack} does not have yet",
            where=where,
            hint=f"run 'bakery apply {stack}' first",
        )
        self.stack = stack


def condition_text(message: str, *, hint: str, where: str = "") -> str:
    """The text of a Terraform condition that `failure` reads back from what Terraform prints.

    Terraform wraps lines unless they begin with a space, and removes the space of the first one.
    """
    lines = [f" error: {message}", where and f" where: {where}", f" hint: {hint}"]
    return "\n".join(["The catalog was asked:", *filter(None, lines)])


def explain_failure(doing: str, output: str, where: str) -> BakeryError:
    """The error for a failed run. `doing` completes "cannot …", `where` is the stack's folder."""
    text = FRAME.sub("", COLOUR.sub("", output))
    if "Error acquiring the state lock" in text:
        return _lock_conflict(doing, text, where)
    if "Saved plan is stale" in text:
        return ConflictError(f"cannot {doing}: another apply changed the state", where=where, hint="plan again")
    if unread := UNREAD.search(text):
        return NotAppliedError(doing, unread[1], where)
    if error := _find_violations(text) or _find_conditions(text):
        return error
    if NOT_LOCKED.search(text):
        return _checksum_error(doing, text, where)
    if NO_PROVIDER.search(text):
        return _provider_error(doing, text, where)
    first = re.search(r"^Error: (.+)$", text, re.MULTILINE)
    return BakeryError(
        f"cannot {doing}: {first[1].strip()}" if first else f"cannot {doing}",
        where=where,
        detail=_error_lines(text),
        hint=next((hint for sign, hint in HINTS.items() if re.search(sign, text)), ""),
    )


def _find_violations(text: str) -> BakeryError | None:
    """The violated rules: cdktf annotates all of them before it fails."""
    violations = list(dict.fromkeys(VIOLATION.findall(text)))
    if not violations:
        return None
    count = count_of(len(violations), "place")
    return UsageError(
        f"the stacks break rules in {count}",
        detail="\n".join(f"{path}: {wrong}" for path, wrong in violations),
        hint=ALLOW,
    )


def _find_conditions(text: str) -> BakeryError | None:
    """The bakery's own conditions that a plan violates; all other errors become the detail."""
    broken = list(dict.fromkeys(CONDITION.findall(text)))
    if not broken:
        return None
    (message, where, hint), *rest = broken
    detail = [": ".join(filter(None, (place, f"{problem} ({remedy})"))) for problem, place, remedy in rest]
    errors = re.split(r"^(?=Error: )", text, flags=re.MULTILINE)[1:]
    detail += [line for error in errors if not CONDITION.search(error) for line in error.splitlines() if line.strip()]
    return BakeryError(message, where=where, detail="\n".join(detail), hint=hint)


def _provider_error(doing: str, text: str, where: str) -> BakeryError:
    versions = dict(LOOKED_FOR.findall(text))
    names = [f"{name} {versions.get(name, '')}".rstrip() for name in dict.fromkeys(PROVIDER.findall(text))]
    return BakeryError(
        f"cannot {doing}: neither a registry nor a mirror has the provider {', '.join(names)}",
        where=where,
        detail=_error_lines(text),
        hint=f"{mirror.mirror_command('FOLDER')}, and set {mirror.VARIABLE} to FOLDER",
    )


def _checksum_error(doing: str, text: str, where: str) -> BakeryError:
    return BakeryError(
        f"cannot {doing}: a provider differs from the lock file",
        where=where,
        detail=_error_lines(text),
        hint="if you trust it, see 'Lock files of providers' in docs/how-to/deploy-the-infrastructure.md",
    )


def _error_lines(text: str) -> str:
    """The output from the first error on, since cdktf prints more after it; without an error, the last lines."""
    lines = [line for line in text.splitlines() if line.strip()]
    errors = [number for number, line in enumerate(lines) if line.lstrip().startswith("Error:")]
    return "\n".join(lines[errors[0] :][:KEPT_LINES] if errors else lines[-KEPT_LINES:])


def _lock_conflict(doing: str, text: str, where: str) -> ConflictError:
    lock = dict(re.findall(r"^\s*(ID|Path|Operation|Who|Created):\s+(\S.*?)\s*$", text, re.MULTILINE))
    holder = f"{lock.get('Who', 'somebody')} since {lock.get('Created', 'an unknown time')}"
    return ConflictError(
        f"cannot {doing}: the state is locked by {holder}",
        where=where,
        detail="\n".join(f"{name}: {value}" for name, value in lock.items()),
        hint=(
            f"wait for its end; if it was killed, run 'terraform force-unlock {lock.get('ID', 'ID')}' in {where}, "
            "with what 'bakery env' prints"
        ),
    )
