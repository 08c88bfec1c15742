"""The only door to Vault: log in, read, revoke. No error here carries a secret value or a token."""

import difflib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from bakery.host.errors import BakeryError, NotFoundError, OutageError, UsageError

if TYPE_CHECKING:  # hvac takes 107 ms to import, and most verbs never need it
    import hvac
    import requests

TIMEOUT = (5.0, 15.0)  # seconds to connect and to wait for an answer; a healthy Vault takes milliseconds
RETRIES = 4  # with BACKOFF waits of 0, 1, 2 and 4 s: long enough for a leader election, short enough to watch
BACKOFF = 0.5
# 412: a replica that lags behind our token; 429: a quota; 5xx: a node that is starting or stepping down.
RETRIED = (412, 429, 500, 502, 503, 504)

LOGIN_HINT = "set VAULT_TOKEN, or VAULT_ROLE_ID and VAULT_SECRET_ID, or VAULT_JWT and VAULT_ROLE"


class Reference(Protocol):
    """Where a secret is: an API path and a key."""

    @property
    def path(self) -> str: ...
    @property
    def key(self) -> str: ...


class Vault:
    """A session with Vault. On exit it revokes what it was given: its own token, or leases of the user's."""

    def __init__(self, client: "hvac.Client", env: Mapping[str, str], owned: bool) -> None:
        """`owned` says that the client's token came from our own login; `env` is what a child needs besides it."""
        self._client = client
        self._env = dict(env)
        self._owned = owned
        self._leases: list[str] = []

    @classmethod
    def login(cls, env: Mapping[str, str]) -> Self:
        """Log in as the VAULT_* variables say. The token file of the vault command is never looked at."""
        client = _client(env)
        with _explained(client.url, "the login"):
            _refuse_sealed(client.adapter.session, client.url)
            if env.get("VAULT_TOKEN"):
                client.token = env["VAULT_TOKEN"]
                _check_token(client)
                owned = False
            else:
                _obtain_token(client, env)
                owned = True
        passed = {name: env[name] for name in ("VAULT_NAMESPACE", "VAULT_CACERT") if env.get(name)}
        return cls(client, passed, owned)

    @property
    def address(self) -> str:
        return str(self._client.url)

    @property
    def token(self) -> str:
        """For a child's environment only."""
        return str(self._client.token)

    def environment(self) -> dict[str, str]:
        """What a child needs to read what we can read."""
        return {"VAULT_ADDR": self.address, "VAULT_TOKEN": self.token, **self._env}

    def read(self, path: str, key: str) -> str:
        """The value at an API path (KV version 2 has data/ in it). NotFoundError if the path or the key is missing."""
        fields = self._fetch(path)
        if key not in fields:
            near = difflib.get_close_matches(key, fields, n=1)
            hint = f"did you mean '{near[0]}'?" if near else "check the key, or write it"
            raise NotFoundError(f"the secret {path} has no key '{key}'", hint=hint)
        value = fields[key]
        if not isinstance(value, str):
            raise BakeryError(
                f"the value of '{key}' in {path} is not text but {type(value).__name__}",
                hint="store it as a string: Packer accepts nothing else",
            )
        return value

    def fields(self, path: str) -> dict[str, str]:
        """All that is at an API path as text, without what is null: a KV secret, or credentials made by asking.

        Where a cloud can take such credentials back they end with this session, so it stays open while they are used.
        """
        found = {name: value for name, value in self._fetch(path).items() if value is not None}
        return {name: value if isinstance(value, str) else json.dumps(value) for name, value in found.items()}

    def engines(self) -> dict[str, str]:
        """The kind of every secrets engine that we may use, by where it is: secret/ is kv-v2, aws/ is aws."""
        found = self._get("sys/internal/ui/mounts")["data"]["secret"]
        return {
            mount: "kv-v2" if (engine["options"] or {}).get("version") == "2" else engine["type"]
            for mount, engine in found.items()
        }

    def may_read(self, path: str) -> bool:
        """Whether our policies let us read a path, without doing so."""
        with _explained(self.address, "sys/capabilities-self", "update"):
            answer = self._client.sys.get_capabilities([path])
        return not {"read", "root"}.isdisjoint(answer["data"][path])

    def close(self) -> None:
        """Revoke our own token, and with it its leases; of the user's token, only the leases that we were given."""
        import hvac.exceptions
        import requests

        # What cannot be revoked any more runs out by itself, and must not hide why we are leaving.
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

    def _fetch(self, path: str) -> dict[str, Any]:
        answer = self._get(path)
        if answer.get("lease_id"):
            self._leases.append(answer["lease_id"])
        data: dict[str, Any] = answer.get("data") or {}
        inner = data.get("data")
        return inner if isinstance(inner, dict) else data  # KV version 2 and 1, told apart as Packer does

    def _get(self, path: str) -> dict[str, Any]:
        import hvac.exceptions

        try:
            with _explained(self.address, path):
                answer: dict[str, Any] = self._client.adapter.get(f"/v1/{path.strip('/')}")
        except hvac.exceptions.InvalidPath as error:
            raise _missing(path, error.json or {}) from error
        return answer


def read_secrets(vault: Vault, secrets: Mapping[str, Reference], where: Callable[[str], str]) -> dict[str, str]:
    """The value of every secret by name. Raises one error that names all that cannot be read."""
    values: dict[str, str] = {}
    problems: list[tuple[str, BakeryError]] = []
    for name, secret in secrets.items():
        try:
            values[name] = vault.read(secret.path, secret.key)
        except OutageError:
            raise
        except BakeryError as error:
            problems.append((where(name), error))
    if problems:
        place, first = problems[0]
        rest = "\n".join(f"{at}: {error.message}" for at, error in problems[1:])
        raise type(first)(first.message, where=place, detail=rest, hint=first.hint)
    return values


def _client(env: Mapping[str, str]) -> "hvac.Client":
    import hvac
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    if not (address := env.get("VAULT_ADDR")):
        raise BakeryError("VAULT_ADDR is not set", hint="secrets come from Vault: set its address, then a login")
    if not re.match(r"https?://[^/\s]", address):
        raise UsageError(f"VAULT_ADDR '{address}' is no URL", hint=f"write https://{address.rpartition('//')[2]}")
    retry = Retry(
        total=RETRIES, connect=1, read=1, other=0, status_forcelist=RETRIED, backoff_factor=BACKOFF,
        allowed_methods=None, raise_on_status=False,
    )  # fmt: skip
    session = requests.Session()
    session.verify = env.get("VAULT_CACERT") or True  # a session of our own overrides the client's TLS options
    session.mount("http://", HTTPAdapter(max_retries=retry))
    session.mount("https://", HTTPAdapter(max_retries=retry))
    # An empty token, not None: for None hvac reads ~/.vault-token.
    namespace = env.get("VAULT_NAMESPACE") or None
    return hvac.Client(url=address, token="", timeout=TIMEOUT, session=session, namespace=namespace)


def _refuse_sealed(session: "requests.Session", address: str) -> None:
    """A sealed Vault answers 503 to everything else, and retries would only make the user wait."""
    # Not through the client: its namespace header is refused here by servers that have namespaces.
    answer = session.get(f"{address.rstrip('/')}/v1/sys/seal-status", timeout=TIMEOUT)
    if answer.status_code == 200 and answer.json().get("sealed"):
        raise OutageError(f"Vault at {address} is sealed", hint="unseal it ('vault operator unseal') and run again")


def _check_token(client: "hvac.Client") -> None:
    import hvac.exceptions

    try:
        client.auth.token.lookup_self()
    except hvac.exceptions.Forbidden as error:
        if "invalid token" not in str(error):
            return  # a token without the default policy may not look at itself, and is as good as another
        raise BakeryError(
            "VAULT_TOKEN is expired, revoked or wrong", where=client.url, hint="log in again and set the new token"
        ) from error


def _obtain_token(client: "hvac.Client", env: Mapping[str, str]) -> None:
    import hvac.exceptions

    jwt = env.get("VAULT_JWT") or env.get("VAULT_ID_TOKEN")
    try:
        if env.get("VAULT_ROLE_ID") and env.get("VAULT_SECRET_ID"):
            method = "AppRole"
            client.auth.approle.login(env["VAULT_ROLE_ID"], env["VAULT_SECRET_ID"])
        elif jwt and env.get("VAULT_ROLE"):
            method = "JWT"
            client.auth.jwt.jwt_login(env["VAULT_ROLE"], jwt, path=env.get("VAULT_JWT_MOUNT") or "jwt")
        else:
            raise BakeryError("there is no way to log in to Vault", where=client.url, hint=LOGIN_HINT)
    except (hvac.exceptions.InvalidRequest, hvac.exceptions.Forbidden, hvac.exceptions.InvalidPath) as error:
        raise BakeryError(
            f"Vault refused the {method} login",
            where=client.url,
            detail=", ".join(error.errors or ()),
            hint="is it expired, used up, or not meant for this role?",
        ) from error


@contextmanager
def _explained(address: str, what: str, capability: str = "read") -> Iterator[None]:
    """Turn what hvac and requests raise into one clear error; a missing path stays hvac's InvalidPath."""
    import hvac.exceptions
    import requests

    try:
        yield
    except hvac.exceptions.InvalidPath:
        raise
    except hvac.exceptions.Forbidden as error:
        raise BakeryError(
            f"Vault denies access to {what}",
            where=address,
            hint=f"the token's policy must allow '{capability}' on that path; an expired token is denied everything",
        ) from error
    except (hvac.exceptions.InvalidRequest, hvac.exceptions.UnsupportedOperation) as error:
        raise BakeryError(
            f"Vault refuses {what}: {', '.join(error.errors or ())}",
            where=address,
            hint="check the path and its role; of a cloud's engine also how Vault itself logs in there",
        ) from error
    except hvac.exceptions.VaultError as error:
        reason = ", ".join(error.errors or ()) or type(error).__name__
        raise OutageError(f"Vault failed at {what}: {reason}", where=address, hint="look at Vault's own log") from error
    except requests.RequestException as error:
        raise OutageError(
            f"Vault cannot be reached: {_reason(error)}",
            where=address,
            hint="check VAULT_ADDR, the network and VAULT_CACERT",
        ) from error


def no_api_path(path: str, mount: str) -> BakeryError:
    """What is wrong with a path at which the vault command finds a secret, and Packer does not."""
    return BakeryError(
        f"{path} is not an API path: this secrets engine keeps versions",
        hint=f"write it as {mount}data/{path.strip('/').removeprefix(mount)}",
    )


def _missing(path: str, body: Mapping[str, Any]) -> BakeryError:
    """Why Vault answers 404: its body tells a deleted version and a wrong path from one that never was."""
    if any("versioned K/V" in warning for warning in body.get("warnings") or ()):
        return no_api_path(path, f"{path.strip('/').partition('/')[0]}/")
    version = ((body.get("data") or {}).get("metadata")) or {}
    if version.get("destroyed") or version.get("deletion_time"):
        return NotFoundError(
            f"the newest version of the secret {path} was deleted",
            hint="restore it ('vault kv undelete') or write a new one",
        )
    return NotFoundError(f"there is no secret at {path}", hint="check the path; KV version 2 has data/ after the mount")


def _reason(error: Exception) -> str:
    """The cause in words, without the objects and addresses that requests and urllib3 wrap around it."""
    cause = re.search(r"\[(?:Errno -?\d+|SSL: \w+)\] ([\w ]+)", str(error))
    return cause[1].strip() if cause else type(error).__name__
