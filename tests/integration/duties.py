"""What the how-to of Vault sets up, run on a real one as an administrator runs it, and jobs that log in there."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import doubles.aws.client as aws
import doubles.azure.client as azure
from bakery.demo.stand_ins.vault import VaultServer
from bakery.engine.duties import Duty, environment_of, id_tokens_of
from bakery.host.vault import Vault
from doubles.azure import world
from doubles.azure.proxy import proxy
from doubles.gitlab import GitLab

ROOT = Path(__file__).parents[2]
FILES = ROOT / "vault"
AUDIENCE = "https://vault.example.com"
IMAGES_ACCOUNT = "210987654321"  # where images are made; Vault's own login is in the stand-in's first account
BAKE_ROLE = f"arn:aws:iam::{IMAGES_ACCOUNT}:role/bakery-bake"
PUBLISH_ROLE = f"arn:aws:iam::{IMAGES_ACCOUNT}:role/bakery-publish"
APPLY_ROLE = f"arn:aws:iam::{IMAGES_ACCOUNT}:role/bakery-apply"


def administer(server: VaultServer, *command: str | Path, stdin: str = "", **settings: str) -> str:
    """A command as the root of a Vault, with the real vault program on PATH; gives what it prints."""
    tools = ROOT / ".bakery" / "tools" / "bin"
    env = {**os.environ, **server.env, **settings, "PATH": f"{tools}:{os.environ['PATH']}"}
    done = subprocess.run(command, env=env, input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def set_up(server: VaultServer, ci: GitLab) -> None:
    """The JWT method with a policy and a role for each duty."""
    administer(server, FILES / "set-up.sh", GITLAB_URL=ci.url, PROJECT_ID="7", AUDIENCE=AUDIENCE)


def set_up_aws(server: VaultServer, cloud: aws.StandIn, *own: str, stdin: str = "") -> None:
    """The AWS engine, with `own` as its login at AWS."""
    administer(
        server,
        FILES / "set-up-aws.sh",
        BAKE_ROLE_ARN=BAKE_ROLE,
        PUBLISH_ROLE_ARN=PUBLISH_ROLE,
        APPLY_ROLE_ARN=APPLY_ROLE,
    )
    log_in_at_aws(server, cloud, *own, stdin=stdin)


def log_in_at_aws(server: VaultServer, cloud: aws.StandIn, *own: str, stdin: str = "") -> None:
    """How the AWS engine logs in itself; only the endpoints are not in the how-to."""
    root = ("vault", "write", "aws/config/root", f"region={aws.HOME_REGION}", *own)
    endpoints = (f"iam_endpoint={cloud.url}", f"sts_endpoint={cloud.url}", f"sts_region={aws.HOME_REGION}")
    administer(server, *root, *endpoints, stdin=stdin)


def set_up_azure(server: VaultServer) -> None:
    """The Azure engine, where `azure_for_vault` leads it to the stand-in."""
    administer(server, "vault", "secrets", "enable", "azure")
    ids = (f"tenant_id={world.TENANT}", f"subscription_id={world.SUBSCRIPTION}", f"client_id={world.VAULT_ID}")
    administer(server, "vault", "write", "azure/config", *ids, "client_secret=-", stdin=world.VAULT_SECRET)
    administer(server, FILES / "set-up-azure.sh", APPLICATION_OBJECT_ID=world.APPLICATION)


@contextmanager
def azure_for_vault(folder: Path) -> Iterator[tuple[azure.StandIn, dict[str, str]]]:
    """A stand-in, and the environment in which a Vault has its Azure engine reach that instead of Microsoft."""
    with azure.running(folder) as cloud, proxy(int(cloud.url.rpartition(":")[2])) as (address, refused):
        yield cloud, {"HTTPS_PROXY": address, "SSL_CERT_FILE": str(cloud.certificate)}
        assert refused == [], "it talks to Azure's login and Graph"


def job_token(ci: GitLab, duty: str, image: str = "web", **claims: Any) -> str:
    """The token for Vault of a job of that duty, as the pipelines name its environment and audience."""
    if duty == "runner-image":  # its job is in .gitlab-ci.yml; tests/unit/test_gitlab.py compares both
        own = {"audience": f"{AUDIENCE}/{duty}", "environment": f"bakery-{duty}"}
    else:
        named = cast(Duty, duty)
        own = {"audience": id_tokens_of(named, AUDIENCE)["VAULT_ID_TOKEN"]["aud"]}
        if duty != "validate":
            own |= {"environment": environment_of(named, image)["name"]}
    return ci.job(**{**own, **claims})


def login(server: VaultServer, duty: str, token: str) -> Vault:
    """As a job does."""
    return Vault.login({"VAULT_ADDR": server.address, "VAULT_ROLE": f"bakery-{duty}", "VAULT_ID_TOKEN": token})
