"""`bakery demo`: all steps on this machine, without a cloud account."""

import os
import shlex
import sys
import time
from collections.abc import Mapping
from typing import Annotated

import typer

from bakery.cli import options
from bakery.demo import crash as story_of_crash
from bakery.demo import story
from bakery.engine import toolbox
from bakery.engine.session import locate
from bakery.infra.env import secret_values
from bakery.reports import Verbosity, render_table, watch

SETTINGS = ("AWS_", "BAKERY_", "VAULT_")  # prefixes of variables that the demo's services depend on


def demo(
    change: Annotated[
        story.Change | None,
        typer.Option("--change", help="Make a new version due: change a role variable, or release a patch."),
    ] = None,
    crash: Annotated[
        bool, typer.Option("--crash", help="Kill a promotion in the middle, and have the next verb finish it.")
    ] = False,
    env: Annotated[
        bool, typer.Option("--env", help="Print exports with which other verbs use the demo's services and images.")
    ] = False,
    down: Annotated[bool, typer.Option("--down", help="Stop the services that the demo left running.")] = False,
    verbose: options.Verbose = False,
) -> None:
    """Run all steps here, without a cloud account.

    Bakes, tests and publishes an image to an AWS stand-in on loopback, and hands its ID to Terraform.

    Example: bakery demo --change updates

    Example: bakery demo --crash

    Example: eval "$(bakery demo --env)" && bakery catalog web
    """
    project = locate(options.DEFINITIONS, options.WORKSPACE)
    root = project.root
    if env:
        print("\n".join(shell_lines(story.user_variables(root), os.environ)))
        return
    if down:
        print("\n".join(f"{name} stopped" for name in story.end(root)) or "nothing was running")
        return
    log = story.folder_of(root) / "logs" / f"{time.strftime('%Y%m%d-%H%M%S')}-demo.log"
    verbosity = Verbosity.VERBOSE if verbose else Verbosity.NORMAL
    with watch(sys.stderr, verbosity, log, secret_values(os.environ)) as report:
        if crash:
            story_of_crash.play(root, report, print_line)
            return
        result = story.play(root, toolbox.find(project, "vault"), change, report, print_line)
    print(f"\n{render(result)}")


def shell_lines(variables: Mapping[str, str], environment: Mapping[str, str]) -> list[str]:
    """The exports, and the end of each other setting of the same programs, which would win over one of them."""
    others = [name for name in environment if name.startswith(SETTINGS) and name not in variables]
    exports = [f"export {name}={shlex.quote(text)}" for name, text in variables.items()]
    return sorted([*(f"unset {name}" for name in others), *exports])


def print_line(line: str) -> None:
    """Show a line of a command that the demo runs."""
    print(line, file=sys.stderr, flush=True)


def render(result: story.Result) -> str:
    """The locations, the outputs of downstream Terraform, and the seconds."""
    rows = [(row.image, row.version, row.account, row.region, row.ami, row.parameter) for row in result.rows]
    verdict = f"baked, because {result.reason}" if result.baked else f"not baked: {result.reason}"
    phases = [(name, f"{seconds:.1f}") for name, seconds in result.seconds.items()]
    return "\n\n".join(
        (
            render_table(("image", "version", "account", "region", "ami", "parameter"), rows),
            f"{result.image} {result.version}: {verdict}",
            render_table(("downstream", "value"), list(result.consumer.items())),
            render_table(("phase", "seconds"), phases),
            "written to .bakery/demo/result.json; the services keep running until 'make demo-down'\n"
            "this line, in a shell with .venv activated, lets all verbs use them:",
            'eval "$(bakery demo --env)"',
        )
    )
