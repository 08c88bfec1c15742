"""A real Vault server in dev mode on loopback: everything is in memory, and nothing is written to the home folder.

    python -m bakery.demo.stand_ins.vault --program PATH --port 8200 --folder .bakery/demo/vault --secrets FILE

starts the Vault program at PATH and serves until it is interrupted. FILE holds the first secrets, as JSON:
{"secret/data/bakery/web": {"status_password": "..."}}. When it is ready, `login.json` in the folder (mode 0700)
holds the variables of an AppRole that may read them and nothing else.
"""

import argparse
import json
import secrets
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hvac
import requests

from bakery.host import process
from bakery.host.waiting import wait_until
from bakery.machine import qemu

START_SECONDS = 30.0  # it answers within two seconds, unless the disk is cold


@dataclass(frozen=True)
class VaultServer:
    """A running server; KV version 2 is at secret/."""

    address: str
    token: str

    @property
    def client(self) -> hvac.Client:
        return hvac.Client(url=self.address, token=self.token)

    @property
    def env(self) -> dict[str, str]:
        """The variables that a user of this server sets."""
        return {"VAULT_ADDR": self.address, "VAULT_TOKEN": self.token}

    def put(self, path: str, values: Mapping[str, Any]) -> None:
        """Write a secret at an API path, such as secret/data/bakery/web."""
        self.client.write_data(path, data={"data": dict(values)})

    def policy(self, name: str, *paths: str) -> str:
        """Write a policy that reads API paths, and return its name."""
        rules = "\n".join(f'path "{path}" {{ capabilities = ["read"] }}' for path in paths)
        self.client.sys.create_or_update_policy(name, rules)
        return name

    def new_token(self, *policies: str, ttl: str = "1h") -> str:
        """A token with policies, not the root's."""
        answer = self.client.auth.token.create(policies=list(policies), ttl=ttl, no_parent=True)
        return str(answer["auth"]["client_token"])

    def approle(self, *policies: str) -> tuple[str, str]:
        """Role ID and secret ID of a fresh AppRole."""
        client = self.client
        if "approle/" not in client.sys.list_auth_methods():
            client.sys.enable_auth_method("approle")
        name = f"role-{secrets.token_hex(4)}"
        client.auth.approle.create_or_update_approle(name, token_policies=list(policies), token_ttl="10m")  # noqa: S106 - a time
        role = client.auth.approle.read_role_id(name)["data"]["role_id"]
        return role, client.auth.approle.generate_secret_id(name)["data"]["secret_id"]


@contextmanager
def vault_server(
    program: Path, folder: Path, port: int = 0, env: Mapping[str, str] | None = None
) -> Iterator[VaultServer]:
    """A server for as long as the block runs; its log goes to the folder. Port 0 takes a free one.

    `env` is the environment of its engines, such as their login at a cloud.
    """
    port = port or qemu.free_port()
    server = VaultServer(f"http://127.0.0.1:{port}", f"root-{secrets.token_hex(16)}")
    command: list[str | Path] = [
        program,
        "server",
        "-dev",
        "-dev-no-store-token",
        f"-dev-listen-address=127.0.0.1:{port}",
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vault.log").touch(mode=0o600)  # dev mode prints the token to this file
    # The token is an environment variable, since every user of the machine can read arguments.
    environment = {**(env or {}), "VAULT_DEV_ROOT_TOKEN_ID": server.token}
    child = process.spawn(command, log=folder / "vault.log", env=environment)
    try:
        _wait_for_server(server, folder / "vault.log")
        yield server
    finally:
        process.stop(child)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="A Vault server in dev mode on loopback.")
    parser.add_argument("--program", type=Path, required=True, help="the program of Vault")
    parser.add_argument("--port", type=int, required=True, help="0 takes a free one")
    parser.add_argument("--folder", type=Path, required=True, help="folder of login.json and vault.log")
    parser.add_argument("--secrets", type=Path, required=True, help="JSON file of the first secrets")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    options.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with vault_server(options.program, options.folder, options.port) as server:
            first_secrets = json.loads(options.secrets.read_text())
            for path, values in first_secrets.items():
                server.put(path, values)
            role, secret = server.approle(server.policy("bakery", *first_secrets))
            login = {"VAULT_ADDR": server.address, "VAULT_ROLE_ID": role, "VAULT_SECRET_ID": secret}
            draft = options.folder / "login.json.draft"
            draft.touch(mode=0o600)
            draft.write_text(json.dumps(login))
            draft.replace(options.folder / "login.json")
            signal.pause()
    except KeyboardInterrupt:
        return 0
    return 0


def _wait_for_server(server: VaultServer, log: Path) -> None:
    def answers() -> bool | None:
        try:
            # Start-up ends with the mount of secret/; then the root token works.
            mounts = f"{server.address}/v1/sys/mounts"
            return requests.get(mounts, headers={"X-Vault-Token": server.token}, timeout=5).ok or None
        except requests.ConnectionError:
            return None

    if not wait_until(answers, START_SECONDS, pause=0.05):
        raise RuntimeError(f"Vault did not start:\n{log.read_text()[-2000:]}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
