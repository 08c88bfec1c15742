"""Shared by the programs of a Vault node: its settings, Vault's own client, and the clients of AWS."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SETTINGS = Path("/etc/vault-node/settings.json")
TLS = Path("/etc/vault-node/tls")
ADDRESS = "https://127.0.0.1:8200"
SEALED = 2  # exit code of `vault status`


class FailedError(Exception):
    """A failure that this program cannot repair."""


class Node:
    """The settings that user data wrote."""

    def __init__(self, settings: "dict[str, Any]") -> None:
        self.region: str = settings["region"]
        self.server_name: str = settings["server_name"]
        self.tls: dict[str, str] = settings["tls"]
        self.snapshots: dict[str, Any] = settings["snapshots"]
        self.metrics: dict[str, Any] = settings["metrics"]

    def vault(self, *arguments: str, token: str = "", fine: "tuple[int, ...]" = (0,)) -> str:
        """Run Vault's own client: it verifies the server by the certificate's name, and signs logins."""
        server = {
            "HOME": "/",  # where the client looks for its settings; services have none, and it insists
            "VAULT_ADDR": ADDRESS,
            "VAULT_CACERT": str(TLS / "authority.pem"),
            "VAULT_TLS_SERVER_NAME": self.server_name,
        }
        environment = {**os.environ, **server, **({"VAULT_TOKEN": token} if token else {})}
        done = subprocess.run(["vault", *arguments], env=environment, capture_output=True, text=True)
        if done.returncode not in fine:
            raise FailedError(f"vault {' '.join(arguments[:2])}: {done.stderr.strip()}")
        return done.stdout

    def status(self) -> "dict[str, Any]":
        """The status of the server on this node; it needs no login."""
        status: dict[str, Any] = json.loads(self.vault("status", "-format=json", fine=(0, SEALED)))
        return status

    @contextmanager
    def login(self) -> "Iterator[str]":
        """A token by the role of this instance, for as long as the block runs."""
        details = (f"role={self.snapshots['vault_role']}", f"region={self.region}", f"header_value={self.server_name}")
        token = self.vault("login", "-method=aws", "-path=aws", "-token-only", *details).strip()
        try:
            yield token
        finally:
            self.vault("token", "revoke", "-self", token=token)

    def aws(self, service: str) -> Any:
        """A client; the endpoint by hand, since the library of Debian 12 does not know that variable yet."""
        import boto3  # 1 s on a small machine: not for those that do not get here

        return boto3.client(service, region_name=self.region, endpoint_url=os.environ.get("AWS_ENDPOINT_URL"))

    def report(self, name: str, value: float) -> None:
        """One value of a metric of this cluster."""
        dimension = {"Name": "cluster", "Value": self.metrics["cluster"]}
        data = {"MetricName": name, "Dimensions": [dimension], "Value": value}
        self.aws("cloudwatch").put_metric_data(Namespace=self.metrics["namespace"], MetricData=[data])


def leads(status: "dict[str, Any]") -> bool:
    """Whether this node is the cluster's active one."""
    return bool(status.get("is_self"))  # not said of a sealed one


def run(name: str, program: "Callable[[Node], None]") -> int:
    """Exit code of a program; what failed goes to the journal in one line."""
    try:
        program(Node(json.loads(SETTINGS.read_text())))
    except Exception as error:  # noqa: BLE001 - AWS's library has no common family of errors, and a timer comes again
        sys.stderr.write(f"vault-node: {name}: {error}\n")
        return 1
    return 0
