"""The only module that calls Vault: log in, read, revoke. Its errors contain no secret value and no token."""

import base64
import json
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from bakery.host.errors import BakeryError, NotFoundError, UsageError, suggest
from bakery.host.vault.connection import connect, refuse_sealed
from bakery.host.vault.errors import explain_errors, missing_key, missing_secret
from bakery.host.vault.login import check_token, obtain_token

if TYPE_CHECKING:  # hvac takes 107 ms to import, and most verbs never need it
    import hvac


class Secret(NamedTuple):
    """The value of a secret and its version in KV version 2; 0 in an engine that keeps none."""

    value: str
    version: int


class Vault:
    """A session with Vault. At its end it revokes its own token, or its leases if the token is the user's."""

    def __init__(self, client: "hvac.Client", env: Mapping[str, str], owned: bool) -> None:
        """`owned` is true if this session's login made the client's token; `env` has other variables for a child."""
        self._client = client
        self._env = dict(env)
        self._owned = owned
        self._leases: list[str] = []

    @classmethod
    def login(cls, env: Mapping[str, str]) -> Self:
        """Log in as the VAULT_* variables say. The vault command's token file is never read."""
        client = connect(env)
        with explain_errors(client.url, "the login"):
            refuse_sealed(client.adapter.session, client.url)
            if env.get("VAULT_TOKEN"):
                client.token = env["VAULT_TOKEN"]
                check_token(client)
                owned = False
            else:
                obtain_token(client, env)
                owned = True
        environment = {name: env[name] for name in ("VAULT_NAMESPACE", "VAULT_CACERT") if env.get(name)}
        return cls(client, environment, owned)

    @property
    def address(self) -> str:
        return str(self._client.url)

    @property
    def token(self) -> str:
        """The token, for a child's environment only."""
        return str(self._client.token)

    def environment(self) -> dict[str, str]:
        """The variables with which a child can read the same secrets."""
        return {"VAULT_ADDR": self.address, "VAULT_TOKEN": self.token, **self._env}

    def read(self, path: str, key: str) -> str:
        """The value at an API path (KV version 2 has data/ in it). NotFoundError if the path or the key is missing."""
        return self.read_version(path, key).value

    def read_version(self, path: str, key: str, version: int = 0) -> Secret:
        """The value at an API path with its version; of KV version 2, the one with a number, else the newest."""
        fields, number = self._fetch_secret(path, version)
        if key not in fields:
            hint = suggest(key, fields) or "check the key, or write it"
            raise NotFoundError(f"the secret {path} has no key '{key}'", hint=hint)
        value = fields[key]
        if not isinstance(value, str):
            raise BakeryError(
                f"the value of '{key}' in {path} is not text, but {type(value).__name__}",
                hint="store it as a string: Packer accepts nothing else",
            )
        return Secret(value, number)

    def fields(self, path: str) -> dict[str, str]:
        """All values at an API path as text, without null ones: a KV secret, or credentials made on request.

        If a cloud can revoke such credentials, they end with this session, so it stays open while they are used.
        """
        values = {name: value for name, value in self._fetch_secret(path)[0].items() if value is not None}
        return {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}

    def engines(self) -> dict[str, str]:
        """The kind of every usable secrets engine, by its mount: secret/ is kv-v2, aws/ is aws."""
        mounts = self._read_path("sys/internal/ui/mounts")["data"]["secret"]
        return {
            mount: "kv-v2" if (engine["options"] or {}).get("version") == "2" else engine["type"]
            for mount, engine in mounts.items()
        }

    def may_read(self, path: str) -> bool:
        """Whether the token's policies allow reading a path; reads nothing."""
        with explain_errors(self.address, "sys/capabilities-self", "update"):
            answer = self._client.sys.get_capabilities([path])
        return not {"read", "root"}.isdisjoint(answer["data"][path])

    def sign(self, mount: str, key: str, payload: bytes) -> tuple[int, str]:
        """Sign with a key of a transit engine: the version of the key, and the signature in base64."""
        import hvac.exceptions

        path = f"{mount}/sign/{key}"
        try:
            with explain_errors(self.address, path, "update"):
                answer = self._client.adapter.post(f"/v1/{path}", json={"input": base64.b64encode(payload).decode()})
        except hvac.exceptions.InvalidPath as error:
            raise missing_key(path) from error
        _, version, signature = answer["data"]["signature"].split(":")
        return int(version.removeprefix("v")), signature

    def public_keys(self, mount: str, key: str) -> dict[int, str]:
        """The public keys of all versions of a key of a transit engine that it still accepts, in base64."""
        path = f"{mount}/keys/{key}"
        try:
            versions = self._read_path(path)["data"]["keys"]
        except NotFoundError as error:
            raise missing_key(path) from error
        try:
            return {int(number): version["public_key"] for number, version in versions.items()}
        except TypeError as error:  # a symmetric key has a time there
            raise UsageError(
                f"the key at {path} is not of the type ed25519",
                hint="make another mount, and name it in BAKERY_SIGNING_KEY",
            ) from error

    def close(self) -> None:
        """Revoke the session's own token with its leases, or only its leases if the token is the user's."""
        import hvac.exceptions
        import requests

        # A lease that cannot be revoked any more expires by itself; it must not hide the error of the session.
        with suppress(hvac.exceptions.VaultError, requests.RequestException):
            if self._owned:
                self._client.auth.token.revoke_self()
            else:
                for lease in self._leases:
                    self._client.sys.revoke_lease(lease)
        self._owned, self._leases = False, []
        self._client.adapter.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _fetch_secret(self, path: str, version: int = 0) -> tuple[dict[str, Any], int]:
        """The fields of a secret, and its version; 0 if its engine keeps none."""
        answer = self._read_path(path, version)
        if answer.get("lease_id"):
            self._leases.append(answer["lease_id"])
        data: dict[str, Any] = answer.get("data") or {}
        inner = data.get("data")
        if not isinstance(inner, dict):  # KV version 2 and 1, distinguished as Packer does
            return data, 0
        return inner, int((data.get("metadata") or {}).get("version") or 0)

    def _read_path(self, path: str, version: int = 0) -> dict[str, Any]:
        import hvac.exceptions

        try:
            with explain_errors(self.address, path):
                query = {"version": version} if version else None
                answer: dict[str, Any] = self._client.adapter.get(f"/v1/{path.strip('/')}", params=query)
        except hvac.exceptions.InvalidPath as error:
            raise missing_secret(path, error.json or {}, version) from error
        return answer
