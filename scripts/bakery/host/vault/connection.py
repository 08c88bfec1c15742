"""Connect to Vault as the VAULT_* variables say: address, certificates, namespace, time limits and retries."""

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bakery.host.connection_settings import find_fault, require_authorities, require_credentials, require_proxies
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


def connect(env: Mapping[str, str]) -> "hvac.Client":
    """A client for VAULT_ADDR that repeats requests after a passing fault; it has no token yet."""
    import hvac
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    if not (address := env.get("VAULT_ADDR")):
        raise BakeryError("VAULT_ADDR is not set", hint="secrets come from Vault: set its address and a login")
    if "@" in address:
        raise UsageError("VAULT_ADDR has a login, which every log would show", hint="remove what is before the @")
    if not URL.fullmatch(address):
        host = HOST.fullmatch(address.rpartition("//")[2].strip())
        hint = f"write https://{host[0] if host else 'HOST:8200'}"
        raise UsageError(f"VAULT_ADDR '{address}' is not a URL", hint=hint)
    if (fault := find_fault(address))[0]:
        raise UsageError(f"VAULT_ADDR '{address}' cannot be used: {fault[0]}", hint=fault[1])
    if not is_protected(address):
        raise UsageError(
            f"VAULT_ADDR '{address}' is not encrypted: the token and all secrets would be readable on the way",
            hint=f"write https://{urlsplit(address).netloc}, with VAULT_CACERT for a certificate of your own",
        )
    require_credentials(env, "VAULT_TOKEN", "VAULT_NAMESPACE")
    require_authorities(env, "VAULT_CACERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    require_proxies(env)
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


def is_protected(address: str) -> bool:
    """Whether nobody else can read the traffic with a URL: it is encrypted, or stays on this machine."""
    url = urlsplit(address)
    if url.scheme == "https" or url.hostname == "localhost":
        return True
    try:
        return ip_address(url.hostname or "").is_loopback
    except ValueError:
        return False


def refuse_sealed(session: "requests.Session", address: str) -> None:
    """Raise an error if Vault is sealed: it would answer 503, and retries would only make the user wait."""
    # Not through the client: servers with namespaces refuse its namespace header here.
    url = f"{address.rstrip('/')}/v1/sys/seal-status"
    # Without `verify`, requests would prefer REQUESTS_CA_BUNDLE to the VAULT_CACERT of the session.
    answer = session.get(url, timeout=TIMEOUT, verify=session.verify)
    if answer.status_code == 200 and answer.json().get("sealed"):
        raise OutageError(f"Vault at {address} is sealed", hint="unseal it ('vault operator unseal') and run again")
