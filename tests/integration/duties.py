"""What docs/how-to/vault/ sets up, run on a real Vault as an administrator runs it, and jobs that log in there."""

import os
import subprocess
from pathlib import Path

from bakery.vault import Vault
from doubles.gitlab import GitLab
from doubles.vault import VaultServer

ROOT = Path(__file__).parents[2]
FILES = ROOT / "docs" / "how-to" / "vault"
AUDIENCE = "https://vault.example.com"
PROJECT = "7"


def administer(server: VaultServer, *command: str | Path, stdin: str = "", **settings: str) -> str:
    """A command as the root of a Vault, with the real vault program on PATH; gives what it prints."""
    tools = ROOT / ".bakery" / "tools" / "bin"
    env = {**os.environ, **server.env, **settings, "PATH": f"{tools}:{os.environ['PATH']}"}
    done = subprocess.run(command, env=env, input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def set_up(server: VaultServer, ci: GitLab) -> None:
    """The JWT method with a policy and a role for each duty."""
    administer(server, FILES / "set-up.sh", GITLAB_URL=ci.url, PROJECT_ID=PROJECT, AUDIENCE=AUDIENCE)


def login(server: VaultServer, duty: str, token: str) -> Vault:
    """As a job does."""
    return Vault.login({"VAULT_ADDR": server.address, "VAULT_ROLE": f"bakery-{duty}", "VAULT_ID_TOKEN": token})
