"""`bakery vault check`: can a build have its secrets, before it starts."""

import json as jsonlib
import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from bakery import vaultcheck
from bakery.cli import options
from bakery.cli.session import quick_session
from bakery.errors import BakeryError
from bakery.reports import table
from bakery.vault import Vault
from bakery.vaultcheck import Duty, Finding

app = typer.Typer(
    help="Look at what definitions need from Vault.\n\nExample: bakery vault check", rich_markup_mode=None
)


@app.command()
def check(
    images: options.Images = None,
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
    duty: Annotated[Duty | None, typer.Option("--duty", help="Only what jobs of this duty work with.")] = None,
    json: options.Json = False,
) -> None:
    """Prove that secrets can be had.

    Logs in and reads each path that definitions name; where reading would make credentials, it asks for the right
    to do so only. Exits with 1 if anything is wrong.

    Example: bakery vault check web
    """
    opened = quick_session(definitions, workspace, options.CATALOG)
    needs = vaultcheck.needs(opened.definitions, images or [], duty)
    login, findings = "", []
    if needs or os.environ.get("VAULT_ADDR"):
        with Vault.login(os.environ) as vault:
            login, findings = f"login works at {vault.address}", vaultcheck.check(vault, needs)
    print(jsonlib.dumps([asdict(finding) for finding in findings], indent=2) if json else render(login, findings))
    wrong = [finding for finding in findings if not finding.found]
    if wrong:
        raise BakeryError(
            f"{len(wrong)} of {len(findings)} things that definitions name in Vault cannot be had",
            hint="mend them before a build; nothing was started",
        )


def render(login: str, findings: Sequence[Finding]) -> str:
    """A row per finding and what became of the login."""
    if not findings:
        return "; ".join(part for part in (login, "nothing to check: no definition names anything in Vault") if part)
    rows = [(_mark(finding), finding.where, finding.name, finding.path, _result(finding)) for finding in findings]
    return f"{table(('', 'where', 'named by', 'path', 'result'), rows)}\n\n{login}"


def _mark(finding: Finding) -> str:
    return "ok" if finding.found else "WRONG"


def _result(finding: Finding) -> str:
    problem = f"{finding.problem}: {finding.hint}" if finding.hint else finding.problem
    return finding.found or problem
