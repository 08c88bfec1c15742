"""A real Vault and the AWS stand-in for the demo, and the environment in which all programs use only these two."""

import json
import os
import secrets
import sys
import urllib.request
from importlib.util import find_spec
from pathlib import Path

from bakery.demo import archive, services
from bakery.host import files
from bakery.host.errors import BakeryError
from bakery.infra import mirror
from bakery.machine import network
from bakery.model.project import Project

REGION = "us-east-1"
STATE_BUCKET = "bakery-demo-state"  # Terraform's state; elsewhere an administrator makes it
IMAGES_STATE = {"bucket": STATE_BUCKET, "key": "demo/images.tfstate", "region": REGION, "use_path_style": True}
CATALOG = "s3://bakery-demo-catalog/catalog"
SECRET = ("VAULT_SECRET_ID",)
NAMES = (archive.SERVICE, "aws", "vault")


def start(project: Project, vault: Path) -> None:
    """Start Vault and the AWS stand-in if they do not run yet. `vault` is Vault's program."""
    require_moto()
    folder = folder_of(project)
    seed, state = folder / "secrets.json", folder / "aws.state"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # the demo's secrets are in it
    if not seed.exists():
        files.write_atomic(
            seed, json.dumps({"secret/data/bakery/web": {"status_password": secrets.token_urlsafe(24)}}).encode()
        )
    login = _login_file(project)
    aws = services.ensure("aws", folder, lambda port: [*_stand_in("aws", port), "--state", state])
    options = ("--program", vault, "--folder", login.parent, "--secrets", seed)
    services.ensure("vault", folder, lambda port: [*_stand_in("vault", port), *options], login)
    _make_state_bucket(_aws_environment(aws.url))


def variables(project: Project) -> dict[str, str]:
    """The variables with which the bakery, cdktf and Terraform use the demo's services; BakeryError if one is down."""
    running = {name: service for name in NAMES if (service := services.find_running(name, folder_of(project)))}
    if stopped := [name for name in NAMES if name not in running]:
        raise BakeryError(f"services of the demo do not run: {', '.join(stopped)}", hint="run 'make demo' first")
    return {
        **_aws_environment(running["aws"].url),
        **json.loads(_login_file(project).read_bytes()),
        **_bakery_environment(project),
        network.PORTS: str(running[archive.SERVICE].port),  # the only one of this machine that a bake reaches
    }


def folder_of(project: Project) -> Path:
    """The folder of the stand-ins."""
    return project.workspace / "stand-ins"


def _login_file(project: Project) -> Path:
    """The file in which Vault's stand-in leaves the variables of a login."""
    return folder_of(project) / "vault" / "login.json"


def save(project: Project) -> None:
    """Have the AWS stand-in write its state, so that a crash of the machine loses nothing."""
    aws = services.last_start("aws", folder_of(project))
    if aws:
        urllib.request.urlopen(f"{aws.url}/_double/save", data=b"", timeout=60).close()  # noqa: S310 - loopback


def stop(project: Project) -> list[str]:
    """Stop the services. Return the names of those that ran."""
    return [name for name in NAMES if services.stop(name, folder_of(project))]


def require_moto() -> None:
    """Raise BakeryError unless the library behind the AWS stand-in is installed."""
    if find_spec("moto") is None:
        raise BakeryError(
            "the demo's AWS stand-in needs moto",
            hint="run 'make setup' in a checkout, else pip install 'multi-cloud-image-bakery[demo]'",
        )


def _stand_in(name: str, port: int) -> list[str | Path]:
    return [sys.executable, "-m", f"bakery.demo.stand_ins.{name}", "--port", str(port)]


def _aws_environment(url: str) -> dict[str, str]:
    """Made-up credentials and one endpoint for all services. The user's own configuration is not read."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "demo",
        "AWS_SECRET_ACCESS_KEY": "made-up-secret-key",  # its text is redacted in all output: no word of a path
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _bakery_environment(project: Project) -> dict[str, str]:
    """The user's settings of Terraform's providers hold for the demo too."""
    return {
        **{name: os.environ[name] for name in (mirror.VARIABLE, mirror.CONFIG_VARIABLE) if name in os.environ},
        "BAKERY_WORKSPACE": str(project.workspace),
        "BAKERY_DEFINITIONS": str(project.definitions),
        "BAKERY_CATALOG": CATALOG,
        "BAKERY_ENVIRONMENT": "demo",
    }


def _make_state_bucket(environment: dict[str, str]) -> None:
    import boto3  # 150 ms, and only the demo needs it here

    keys = (environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"])
    s3 = boto3.Session(*keys, region_name=REGION).client("s3", endpoint_url=environment["AWS_ENDPOINT_URL"])
    if STATE_BUCKET not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket=STATE_BUCKET)
