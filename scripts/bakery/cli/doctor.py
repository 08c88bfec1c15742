"""`bakery doctor`: find missing tools by running them."""

import json as jsonlib
from dataclasses import asdict
from typing import Annotated

import typer

from bakery.cli import options
from bakery.engine.session import locate
from bakery.engine.tool_checks import Stage, check_tools
from bakery.host.errors import ExitCode
from bakery.reports import render_table


def doctor(
    stage: Annotated[Stage | None, typer.Argument(help="Check only the tools of this stage.")] = None,
    workspace: options.Workspace = options.WORKSPACE,
    json: options.Json = False,
) -> int:
    """Check that the tools work.

    If one is missing, says what to do and exits with 1.

    Example: bakery doctor bake
    """
    checks = check_tools(locate(options.DEFINITIONS, workspace), stage)
    if json:
        print(jsonlib.dumps([asdict(check) for check in checks], indent=2))
    else:
        rows = [
            ("ok" if check.passed else "MISSING", check.tool, check.answer or "-", check.required or "any", check.hint)
            for check in checks
        ]
        print(render_table(("", "tool", "found", "required", "hint"), rows))
    return ExitCode.OK if all(check.passed for check in checks) else ExitCode.FAILED
