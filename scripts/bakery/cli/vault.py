"""`bakery vault check` and `exec`: prove before a run that secrets can be read; run a command with credentials."""

import json as jsonlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Annotated

import typer

from bakery.cli import options
from bakery.cli.session import describe_project
from bakery.clouds import REMOTE, STACKS
from bakery.engine import vault_check as vaultcheck
from bakery.engine.duties import Duty
from bakery.engine.notifications import named_recipients
from bakery.engine.session import open_session, write_trusted_keys
from bakery.engine.vault_check import NeedCheck
from bakery.host import process
from bakery.host.errors import BakeryError, ExitCode
from bakery.host.vault import Vault
from bakery.infra import env
from bakery.reports import render_table
from bakery.signing import TRUSTED_KEYS, open_keyring

app = typer.Typer(
    help="Check the secrets that definitions need from Vault.\n\nExample: bakery vault check", rich_markup_mode=None
)

Credentials = Annotated[
    str,
    typer.Option(
        "--credentials",
        envvar=vaultcheck.APPLY,
        metavar="PATH",
        help="Path in Vault of Terraform's AWS credentials, such as aws/sts/apply.",
    ),
]


@app.command()
def check(
    images: options.Images = None,
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
    duty: Annotated[Duty | None, typer.Option("--duty", help="Only the secrets that jobs of this duty read.")] = None,
    credentials: Credentials = "",
    json: options.Json = False,
) -> None:
    """Check that secrets can be read.

    Logs in and reads each path that definitions name. If reading would create credentials, only checks the right to do
    so. With a duty, also reads the public keys of signatures and
    signs a probe, if these keys are in Vault. Exits with 1 if anything is wrong.

    Example: bakery vault check web
    """
    session = open_session(definitions, workspace, options.CATALOG)
    needs = vaultcheck.needs(session.definitions, images or [], duty)
    if credentials and duty in (None, "apply"):
        needs.append(vaultcheck.terraform(credentials))
    needs += vaultcheck.webhooks(named_recipients(), duty)
    login, checks = "", []
    if needs or os.environ.get("VAULT_ADDR"):
        with Vault.login(os.environ) as vault:
            login, checks = f"login works at {vault.address}", vaultcheck.check(vault, needs)
        checks += vaultcheck.check_keys(session.keyring, duty)
    print(jsonlib.dumps([asdict(check) for check in checks], indent=2) if json else render(login, checks, duty))
    wrong = [check for check in checks if not check.answer]
    if wrong:
        raise BakeryError(
            f"{len(wrong)} of {len(checks)} secrets, logins and keys of Vault cannot be used",
            hint="fix them before a build; nothing was started",
        )


@app.command(name="exec", context_settings={"allow_interspersed_args": False})
def execute(
    command: Annotated[list[str], typer.Argument(metavar="COMMAND", help="Program and its arguments.")],
    credentials: Credentials = "",
) -> None:
    """Run a command with AWS credentials from Vault.

    Logs in, reads them and passes them on as AWS_* variables; they expire with the command. Without a path, the command
    keeps the environment's own credentials. It gets the public keys that verify the
    catalog, and no login with which it could read more from Vault. Exits with the command's exit code.

    Example: bakery vault exec --credentials aws/sts/apply -- cdktf deploy images
    """
    if not credentials:
        raise typer.Exit(_run_command(command, os.environ))
    environment = {name: value for name, value in os.environ.items() if name not in STACKS.login_variables}
    with Vault.login(os.environ) as vault:
        raise typer.Exit(
            _run_command(command, environment | REMOTE[STACKS.builder.name].environment(vault.fields(credentials)))
        )


def _run_command(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """The command's exit code, or 1 if a signal ended it."""
    show = partial(print, flush=True)
    secrets = env.secret_values({**os.environ, **environment})
    settings = env.without_logins(environment)
    project = describe_project(options.WORKSPACE)
    if open_keyring(project).trusts_vault:  # the command cannot ask Vault for the keys, and may read the catalog
        settings = {**settings, TRUSTED_KEYS: str(write_trusted_keys(project))}
    done = process.run(command, env=settings, secrets=secrets, on_output=show, check=False)
    return done.returncode if done.returncode >= 0 else ExitCode.FAILED


def render(login: str, checks: Sequence[NeedCheck], duty: Duty | None = None) -> str:
    """A row per check, and the result of the login."""
    if not checks:
        message = "nothing to check: no definition names anything in Vault" + (f" for the duty {duty}" if duty else "")
        return "; ".join(filter(None, (login, message)))
    rows = [(_mark_cell(check), check.where, check.name, check.path, _result_cell(check)) for check in checks]
    return f"{render_table(('', 'where', 'named by', 'path', 'result'), rows)}\n\n{login}"


def _mark_cell(check: NeedCheck) -> str:
    return "ok" if check.answer else "WRONG"


def _result_cell(check: NeedCheck) -> str:
    problem = f"{check.problem}: {check.hint}" if check.hint else check.problem
    return check.answer or problem
