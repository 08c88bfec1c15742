"""The command line: one file per verb, which parses its options, calls the engine and prints."""

import os
import signal
import sys
import traceback
from importlib import metadata
from types import FrameType
from typing import Annotated

import typer

from bakery.cli import (
    apply,
    attest,
    bake,
    catalog,
    channels,
    ci,
    compare,
    demo,
    diff,
    doctor,
    edit,
    env,
    history,
    keys,
    plan,
    publish,
    refresh,
    revoke,
    run,
    schema,
    show,
    status,
    update,
    validate,
    vault,
    verify,
)
from bakery.host.errors import BakeryError, ExitCode, show_error
from bakery.host.files import explain_refusals

app = typer.Typer(
    name="bakery",
    help="Bake machine images once, test them, publish them everywhere, and hand their IDs to Terraform.",
    epilog="Start with 'bakery doctor', then 'bakery plan', then 'bakery run IMAGE'.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _show_version(show: bool) -> None:
    if show:
        print(metadata.version("multi-cloud-image-bakery"))
        raise typer.Exit


@app.callback()
def _set_program_options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Hold the options of the program itself."""


app.command()(validate.validate)
app.command()(edit.add)
app.command()(edit.remove)
app.command()(edit.bump)
app.command()(refresh.refresh)
app.command()(update.update)
app.command()(status.status)
app.command()(plan.plan)
app.command()(bake.bake)
app.command()(verify.verify)
app.command()(publish.publish)
app.command()(run.run)
app.command()(ci.ci)
app.command()(channels.promote)
app.command()(channels.rollback)
app.command()(revoke.revoke)
app.command()(catalog.catalog)
app.command()(show.show)
app.command()(compare.compare)
app.command()(attest.attest)
app.command()(history.history)
app.command()(keys.keys)
app.add_typer(vault.app, name="vault")
app.command()(env.env)
app.command()(diff.diff)
app.command()(apply.apply)
app.command()(doctor.doctor)
app.command()(schema.schema)
app.command()(demo.demo)


def main() -> int:
    """Run the command line; every exception ends here as one message and an exit code."""
    signal.signal(signal.SIGTERM, _raise_interrupt)
    # Shells start background jobs with SIGINT ignored; Packer and Terraform would inherit that and not stop gently.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with explain_refusals():
            code = int(app(sys.argv[1:] or ["--help"], standalone_mode=False) or ExitCode.OK)
            sys.stdout.flush()  # at exit, nothing would catch that the reader has left
        if code == ExitCode.INTERRUPTED:  # Typer turns KeyboardInterrupt into it
            print("interrupted: finished steps are kept; run the same command again", file=sys.stderr)
        return code
    except typer.TyperException as usage:
        print(f"error: {usage.format_message()}\nhint: see 'bakery --help'", file=sys.stderr)
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


def _raise_interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
