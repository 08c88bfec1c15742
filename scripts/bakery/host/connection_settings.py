"""Checks what users set for connections: no later attempt can succeed with an address that is none."""

import re
import ssl
from collections.abc import Mapping, MutableMapping
from functools import cache
from pathlib import Path
from urllib.parse import quote, urlsplit

from bakery.host.errors import UsageError

ADDRESS = re.compile(r"https?://[!-~]+", re.IGNORECASE)  # RFC 3986 has no other characters
CREDENTIAL = re.compile(r"[!-~]*")  # http.client sends no control character in a header

PROXIES = ("http_proxy", "https_proxy", "all_proxy")
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def find_fault(address: str) -> tuple[str, str]:
    """The reason why no request to an HTTP address can be made, and a hint; both empty if one can.

    Neither contains the address.
    """
    if other := next((char for char in address if not "!" <= char <= "~"), ""):
        return f"{other!r} cannot stand in an address", f"write it as {quote(other)}"
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
        host.encode("idna")  # as a connection does; it refuses an empty label and one of 64 characters
    except ValueError:
        return "the address has no valid host", "write https://HOST/PATH"
    if not ADDRESS.fullmatch(address) or not host:
        return "it is not an HTTP address with a host", "write https://HOST/PATH"
    if parts.username is not None:
        return "the address has a login, which every log and record would show", "remove what is before the @"
    try:
        valid_port = parts.port != 0
    except ValueError:
        valid_port = False
    return ("", "") if valid_port else ("the port is not a number from 1 to 65535", "write https://HOST:PORT/PATH")


def require_credentials(env: Mapping[str, str], *names: str) -> None:
    """UsageError if a variable has a character that no token and no key has; its value is never shown."""
    for name in names:
        if not CREDENTIAL.fullmatch(env.get(name, "")):
            raise UsageError(
                f"{name} has a space, a line break or another character that it cannot have",
                hint="set it again: a copy often ends with a line break",
            )


def require_proxies(env: Mapping[str, str]) -> None:
    """UsageError if the address of a proxy is none. It may lack `http://`, and have a login: it is never shown."""
    for name in (*PROXIES, *map(str.upper, PROXIES)):
        address = env.get(name, "")
        host = address.rpartition("://")[2].rpartition("@")[2]
        if address and (reason := find_fault(f"http://{host}")[0]):
            hint = "write http://HOST:PORT, or unset it"
            raise UsageError(f"{name} cannot be used: {reason}", hint=hint)


def require_authorities(env: Mapping[str, str], *names: str) -> None:
    """UsageError if a variable names a file of certificate authorities that cannot be read. It may name a folder."""
    for name in names:
        if not (text := env.get(name)) or Path(text).is_dir():
            continue
        try:
            _load_authorities(text)
        except ssl.SSLError as error:
            message = f"{name} names a file without a certificate in PEM format"
            raise UsageError(message, where=text, hint="name the file of the certificate authority") from error
        except OSError as error:
            message = f"{name} names a file that cannot be read: {error.strerror}"
            raise UsageError(message, where=text, hint="name the file of the certificate authority") from error


@cache
def _load_authorities(path: str) -> None:
    """Load a file of certificates, once for all connections: the one of a distribution takes milliseconds."""
    ssl.create_default_context(cafile=path)


def keep_loopback_direct(env: MutableMapping[str, str]) -> None:
    """If a proxy is set, except this machine from it: on a proxy, its addresses are those of the proxy itself."""
    if not any(env.get(name) or env.get(name.upper()) for name in PROXIES):
        return
    listed = f"{env.get('no_proxy', '')},{env.get('NO_PROXY', '')}".split(",")
    hosts = dict.fromkeys([*filter(None, map(str.strip, listed)), *LOOPBACK, "[::1]"])  # urllib compares the last form
    env["no_proxy"] = env["NO_PROXY"] = ",".join(hosts)  # each library reads one of them first
