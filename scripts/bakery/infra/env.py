"""The environment of cdktf and Terraform: the variables that a user exports by hand, and those of child processes."""

import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

from bakery.host import files
from bakery.infra import mirror, node
from bakery.model.project import Project

# The user's variables that a child gets: logins of providers, the environment and the catalog.
PASSED_ON = ("ARM_", "AWS_", "BAKERY_", "TF_VAR_", "VAULT_")
ENVIRONMENT = "demo"  # the default of BAKERY_ENVIRONMENT, as in the CDKTF program
# Logins that only the bakery uses: with them, a program could get other tokens than those that it is given.
WITHHELD = frozenset({"VAULT_ROLE_ID", "VAULT_SECRET_ID", "VAULT_JWT", "VAULT_ID_TOKEN", "AWS_ID_TOKEN"})
# Names of variables with a secret: of Vault, clouds, GitLab (CI_JOB_TOKEN, CI_REGISTRY_PASSWORD) and any other program.
SECRET = re.compile(
    r"(TOKEN|SECRET|SECRET_ID|SECRET_ACCESS_KEY|ACCESS_KEY|API_KEY|PRIVATE_KEY|ACCOUNT_KEY|JWT|LOGINS?)(_V\d)?$"
    r"|PASS(WORD|WD|PHRASE)?$|CREDENTIALS?_JSON$|CONNECTION_STRING$",
    re.IGNORECASE,
)
SHORTEST = 4  # characters; a shorter value, such as the 1 of a switch, is no secret and stands everywhere
ADDRESS_PASSWORD = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/:@]*:([^\s/@]+)@", re.IGNORECASE)

LOCKED = "-lockfile=readonly"
WITH_A_MIRROR = {
    "CDKTF_SKIP_PROVIDER_LOCK": "true",  # `terraform providers lock` always asks the registry
    "CDKTF_DISABLE_PLUGIN_CACHE_ENV": "1",  # a cache would copy 700 MB; without it, Terraform makes a link
}


def environment_name(environment: Mapping[str, str]) -> str:
    """The name of the environment that stacks are for."""
    return environment.get("BAKERY_ENVIRONMENT") or ENVIRONMENT


def variables(project: Project, environment: Mapping[str, str]) -> dict[str, str]:
    """Variables of cdktf and Terraform without credentials, which can be printed. May write a CLI configuration."""
    name = environment_name(environment)
    return {
        "PATH": _program_path(project, _search_path(environment)),
        "BAKERY_ENVIRONMENT": name,
        "BAKERY_WORKSPACE": str(project.workspace),  # the key of a workspace verifies its catalog
        # Terraform's memory of a backend is kept per environment: otherwise, after a change of BAKERY_ENVIRONMENT, it
        # would offer to copy the state of one environment into the other.
        "TF_DATA_DIR": f".terraform/{name}",
        "JSII_NODE": str(node.find_node()),
        "TERRAFORM_BINARY_NAME": find_terraform(project, environment),
        # Also for cdktf and for commands by hand: a provider whose checksum is not committed is not run.
        "TF_CLI_ARGS_init": LOCKED,
        "CDKTF_HOME": str(project.workspace / "cdktf"),
        "CHECKPOINT_DISABLE": "1",  # no telemetry, of cdktf and Terraform alike
        "DISABLE_VERSION_CHECK": "true",
        **_provider_variables(project, environment),
    }


def for_child(project: Project, environment: Mapping[str, str]) -> dict[str, str]:
    """The same variables for a child process, with the user's credentials. Never print them."""
    own = {name: text for name, text in without_logins(environment).items() if name.startswith(PASSED_ON)}
    unattended = {"CI": "true", "TF_IN_AUTOMATION": "1", "TF_INPUT": "0"}
    return {**own, **_user_config(environment), **variables(project, environment), **unattended}


def secret_values(environment: Mapping[str, str]) -> list[str]:
    """Values that no log may show: tokens, keys and passwords, also those in addresses, such as of a proxy."""
    values = [text for name, text in environment.items() if SECRET.search(name)]
    for text in environment.values():
        values += _passwords_in(text)
    return list(dict.fromkeys(text for text in values if len(text) >= SHORTEST))


def without_logins(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without the logins with which a program could get further tokens."""
    return {name: text for name, text in environment.items() if name not in WITHHELD}


def _passwords_in(text: str) -> list[str]:
    """The passwords of all addresses in a text, as they are written and as they are."""
    written = [found[1] for found in ADDRESS_PASSWORD.finditer(text)]
    return [password for one in written for password in (one, unquote(one))]


def find_terraform(project: Project, environment: Mapping[str, str]) -> str:
    """The Terraform program: the user's choice, then the one of the set-up, then the one on PATH."""
    own = project.tool_bin / "terraform"
    program = str(own) if own.exists() else shutil.which("terraform", path=_search_path(environment))
    return environment.get("TERRAFORM_BINARY_NAME") or program or "terraform"


def _search_path(environment: Mapping[str, str]) -> str:
    """A program on the environment's PATH; without one, on this process's PATH."""
    return environment.get("PATH") or os.environ.get("PATH", os.defpath)


def _program_path(project: Project, path: str) -> str:
    """PATH with the bakery's tools and this Python first, each once: a shell may evaluate the output repeatedly."""
    first = [str(project.tool_bin), str(Path(sys.executable).parent)]
    return ":".join([*first, *(folder for folder in path.split(":") if folder and folder not in first)])


def _provider_variables(project: Project, environment: Mapping[str, str]) -> dict[str, str]:
    """Providers from the mirror that the owner of the machine names; without one, a download that all stacks share."""
    folder = mirror.named_mirror(environment)
    if folder is not None:
        config = project.workspace / "cdktf" / "terraform.rc"
        files.write_atomic(config, mirror.cli_config(folder).encode())
        return {mirror.CONFIG_VARIABLE: str(config), **WITH_A_MIRROR}
    if mirror.has_configuration(environment):
        return WITH_A_MIRROR
    mirror.check_implied(environment)
    cache = project.cache / "terraform-plugins"
    cache.mkdir(parents=True, exist_ok=True)
    cache.chmod(0o700)  # its programs run with the user's credentials
    return {"TF_PLUGIN_CACHE_DIR": str(cache)}


def _user_config(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: environment[name] for name in (mirror.CONFIG_VARIABLE,) if name in environment}
