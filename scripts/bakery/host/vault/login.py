"""Connect to Vault and log in as the VAULT_* variables say."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from bakery.host.errors import BakeryError, OutageError, UsageError

if TYPE_CHECKING:
    import hvac
    import requests

TIMEOUT = (5.0, 15.0)  # seconds to connect and to wait for an answer; a healthy Vault takes milliseconds
RETRIES = 4  # with BACKOFF waits of 0, 1, 2 and 4 s: long enough for a leader election, short enough to watch
BACKOFF = 0.5
# 412: a replica that lags behind the token; 429: a quota; 5xx: a node that is starting or stepping down.
RETRIED = (412, 429, 500, 502, 503, 504)

HOST = re.compile(r"[^/:?#@\s]+(:[0-9]+)?")
URL = re.compile(rf"https?://(\[[0-9a-f:]+\](:[0-9]+)?|{HOST.pattern})(/\S*)?")
LOGIN_HINT = "set VAULT_TOKEN, or VAULT_ROLE_ID and VAULT_SECRET_ID, or VAULT_JWT and VAULT_ROLE"


def connect(env: Mapping[str, str]) -> "hvac.Client":
    """A client for VAULT_ADDR that repeats requests after a passing fault; it has no token yet."""
    import hvac
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    if not (address := env.get("VAULT_ADDR")):
        raise BakeryError("VAULT_ADDR is not set", hint="secrets come from Vault: set its address and a login")
    if not URL.fullmatch(address):
        host = HOST.fullmatch(address.rpartition("//")[2].strip())
        hint = f"write https://{host[0] if host else 'HOST:8200'}"
        raise UsageError(f"VAULT_ADDR '{address}' is not a URL", hint=hint)
    retry = Retry(
        total=RETRIES, connect=1, read=1, other=0, status_forcelist=RETRIED, backoff_factor=BACKOFF,
        allowed_methods=None, raise_on_status=False,
    )  # fmt: skip
    session = requests.Session()
    session.verify = env.get("VAULT_CACERT") or True  # a session given to the client overrides its TLS options
    session.mount("http://", HTTPAdapter(max_retries=retry))
    session.mount("https://", HTTPAdapter(max_retries=retry))
    # An empty token, not None: for None hvac reads ~/.vault-token.
    namespace = env.get("VAULT_NAMESPACE") or None
    return hvac.Client(url=address, token="", timeout=TIMEOUT, session=session, namespace=namespace)


def refuse_sealed(session: "requests.Session", address: str) -> None:
    """Raise an error if Vault is sealed: it would answer 503, and retries would only make the user wait."""
    # Not through the client: servers with namespaces refuse its namespace header here.
    answer = session.get(f"{address.rstrip('/')}/v1/sys/seal-status", timeout=TIMEOUT)
    if answer.status_code == 200 and answer.json().get("sealed"):
        raise OutageError(f"Vault at {address} is sealed", hint="unseal it ('vault operator unseal') and run again")


def check_token(client: "hvac.Client") -> None:
    import hvac.exceptions

    try:
        client.auth.token.lookup_self()
    except hvac.exceptions.Forbidden as error:
        if "invalid token" not in str(error):
            return  # a token without the default policy is valid, but may not look itself up
        raise BakeryError(
            "VAULT_TOKEN is expired, revoked or wrong", where=client.url, hint="log in again and set the new token"
        ) from error


def obtain_token(client: "hvac.Client", env: Mapping[str, str]) -> None:
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
            raise BakeryError("no login for Vault is set", where=client.url, hint=LOGIN_HINT)
    except (hvac.exceptions.InvalidRequest, hvac.exceptions.Forbidden, hvac.exceptions.InvalidPath) as error:
        raise BakeryError(
            f"Vault refused the {method} login",
            where=client.url,
            detail=", ".join(error.errors or ()),
            hint="check whether it expired, was used up, or is for another role",
        ) from error
