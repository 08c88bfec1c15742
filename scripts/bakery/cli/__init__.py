"""The command line: one file per verb, which parses its options, calls the engine and prints."""

import io
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable
from importlib import metadata
from types import FrameType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from bakery.cli import (
    apply,
    attest,
    audit,
    bake,
    cache,
    catalog,
    channels,
    ci,
    compare,
    demo,
    diff,
    distribute,
    doctor,
    edit,
    env,
    explain,
    history,
    keys,
    plan,
    publish,
    refresh,
    retire,
    revoke,
    run,
    schema,
    show,
    status,
    sweep,
    update,
    validate,
    vault,
    verify,
)
from bakery.cli.completion import join_words
from bakery.host.connection_settings import keep_loopback_direct
from bakery.host.errors import BakeryError, ExitCode, show_error
from bakery.host.files import explain_refusals


class _GroupedVerbs(TyperGroup):
    """The program's help, with its verbs under the headings of GROUPS."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a section for each heading."""
        width = formatter.width - max(map(len, self.commands)) - 6  # as Typer itself does
        for heading, verbs in GROUPS.items():
            with formatter.section(heading):
                formatter.write_dl([(name, self.commands[name].get_short_help_str(width)) for name in verbs])


app = typer.Typer(
    name="bakery",
    cls=_GroupedVerbs,
    help="Bake machine images once, test them, publish them everywhere, and hand their IDs to Terraform.",
    epilog="Start with 'bakery doctor', then 'bakery plan', then 'bakery run IMAGE'. "
    "'bakery help VERB' shows the options of a verb.",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def show_version() -> None:
    """Show the version of the bakery, as --version does.

    Example: bakery version
    """
    print(metadata.version("multi-cloud-image-bakery"))


def _show_version_first(show: bool) -> None:
    if show:
        show_version()
        raise typer.Exit


@app.callback()
def _set_program_options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version_first, is_eager=True)
    ] = False,
) -> None:
    """Hold the options of the program itself."""


def show_help(
    verb: Annotated[
        list[str] | None, typer.Argument(metavar="VERB", help="A verb, such as run or vault check.")
    ] = None,
) -> None:
    """Show the help of a verb.

    Example: bakery help run
    """
    app([*(verb or []), "--help"], prog_name=app.info.name, standalone_mode=False)


GROUPS: dict[str, dict[str, Callable[..., object] | typer.Typer]] = {
    "Definitions": {
        "validate": validate.validate,
        "add": edit.add,
        "remove": edit.remove,
        "bump": edit.bump,
        "update": update.update,
        "schema": schema.schema,
    },
    "Updates and plans": {
        "refresh": refresh.refresh,
        "status": status.status,
        "plan": plan.plan,
        "explain": explain.explain,
        "ci": ci.ci,
    },
    "Images": {
        "run": run.run,
        "bake": bake.bake,
        "verify": verify.verify,
        "publish": publish.publish,
        "cache": cache.app,
    },
    "Versions and channels": {
        "catalog": catalog.catalog,
        "show": show.show,
        "compare": compare.compare,
        "history": history.history,
        "attest": attest.attest,
        "audit": audit.audit,
        "promote": channels.promote,
        "rollback": channels.rollback,
        "distribute": distribute.distribute,
        "channel": channels.app,
        "revoke": revoke.revoke,
        "restore": revoke.restore,
        "retire": retire.retire,
        "sweep": sweep.sweep,
    },
    "Infrastructure": {
        "diff": diff.diff,
        "apply": apply.apply,
        "env": env.env,
    },
    "This machine": {
        "doctor": doctor.doctor,
        "vault": vault.app,
        "keys": keys.keys,
        "demo": demo.demo,
        "help": show_help,
        "version": show_version,
    },
}

# Expressions for what pydantic, with which Typer checks values, says of them.
LIBRARY_WORDS = (
    (r"Value error, ", ""),
    (r"Input should be a valid integer.*", "it must be a whole number"),
    (r"Input should be a valid number.*", "it must be a number"),
    (r"Input should be greater than or equal to (\S+)", r"it must be \1 or more"),
)

for _verbs in GROUPS.values():
    for _name, _verb in _verbs.items():
        if isinstance(_verb, typer.Typer):
            app.add_typer(_verb, name=_name)
        else:
            app.command(_name)(_verb)


def main() -> int:
    """Run the command line; every exception ends here as one message and an exit code."""
    signal.signal(signal.SIGTERM, _raise_interrupt)
    # Shells start background jobs with SIGINT ignored; Packer and Terraform would inherit that and not stop gently.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _replace_closed_streams()
    keep_loopback_direct(os.environ)
    try:
        with explain_refusals():
            arguments = sys.argv[1:] or ["--help"]
            typed = join_words(os.environ)
            code = int(app(arguments, prog_name=app.info.name, standalone_mode=False, obj=typed) or ExitCode.OK)
            sys.stdout.flush()  # at exit, nothing would catch that the reader has left
        if code == ExitCode.INTERRUPTED:  # Typer turns KeyboardInterrupt into it
            print("interrupted: finished steps are kept; run the same command again", file=sys.stderr)
        return code
    except typer.TyperException as usage:
        print(f"error: {_explain_usage(usage)}\nhint: {_hint_at_usage(usage)}", file=sys.stderr)
        return ExitCode.USAGE
    except BakeryError as error:
        print(show_error(error), file=sys.stderr)
        return error.exit_code
    except (BrokenPipeError, SystemExit) as end:
        if not isinstance(end.__context__ or end, BrokenPipeError):  # Typer exits with 1 when the reader left
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # as in `bakery plan | head`
        return ExitCode.FAILED  # as a program that SIGPIPE ends: work may have been cut off
    except Exception:  # noqa: BLE001 - an unexpected exception is a bug, and is reported as one
        traceback.print_exc()
        print("error: this is a bug in bakery; please report it with the lines above", file=sys.stderr)
        return ExitCode.BUG


def _explain_usage(usage: typer.TyperException) -> str:
    """Typer's message, with our words for those of the library that checks values."""
    message = usage.format_message()
    for pattern, words in LIBRARY_WORDS:
        message = re.sub(pattern, words, message)
    return message


def _hint_at_usage(usage: typer.TyperException) -> str:
    """The help of the verb that was called in a wrong way, or of the program."""
    context = getattr(usage, "ctx", None)
    if context is None:  # the command line ended within an option
        verbs, group = ["bakery"], typer.main.get_group(app)
        for word in sys.argv[1:]:
            if word not in group.commands:
                break
            verbs.append(word)
            command = group.commands[word]
            if not isinstance(command, typer.core.TyperGroup):
                break
            group = command
        return f"see '{' '.join(verbs)} --help'"
    return f"see '{context.command_path} --help'"


def _replace_closed_streams() -> None:
    """Replace streams that the caller closed, as `bakery plan >&-` does: what is printed there goes nowhere."""
    sys.stdout = sys.stdout or io.StringIO()
    sys.stderr = sys.stderr or io.StringIO()


def _raise_interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
