"""Posts JSON to the webhook of a chat tool. The address is a secret: no error and no argument contains it."""

import http.client
import socket
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import stamina

from bakery.host.connection_settings import LOOPBACK, find_fault
from bakery.host.errors import PASSING, BakeryError, OutageError, UsageError

SECONDS = 10.0  # for a connection, and for each part of an answer: chat tools answer within one
ATTEMPTS = 2
PAUSE = 1.0  # seconds between both
REFUSED = "check the webhook in the chat tool, and the address in Vault"


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Another address would get what is meant for this one."""

    def redirect_request(self, *_: Any) -> None:
        return None


@dataclass(frozen=True)
class Webhook:
    """An address that takes JSON, as text. UsageError unless it is HTTPS, or HTTP on this machine."""

    address: str = field(repr=False)

    def __post_init__(self) -> None:
        if find_fault(self.address)[0]:
            raise UsageError("the address of the webhook is not a URL", hint="write the one that the chat tool shows")
        if urlsplit(self.address).scheme == "http" and self._host not in LOOPBACK:
            raise UsageError(
                "the address of the webhook is plain HTTP, which others on the network can read: use https://"
            )

    def post(self, document: bytes) -> None:
        """Post a JSON document; once more if the first attempt fails and another may succeed."""
        for attempt in stamina.retry_context(on=OutageError, attempts=ATTEMPTS, timeout=None, wait_initial=PAUSE):
            with attempt:
                self._post_once(document)

    def connect(self) -> str:
        """Connect as `post` does and send nothing; the name of the host. It goes through no proxy."""
        parts = urlsplit(self.address)
        secure = parts.scheme.lower() == "https"
        try:
            with socket.create_connection((self._host, parts.port or (443 if secure else 80)), SECONDS) as connection:
                if secure:
                    ssl.create_default_context().wrap_socket(connection, server_hostname=self._host).close()
        except OSError as error:
            raise _explain_outage(error) from error
        return self._host

    @property
    def _host(self) -> str:
        return urlsplit(self.address).hostname or ""

    def _post_once(self, document: bytes) -> None:
        opener = urllib.request.build_opener(_NoRedirects)
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.address, document, headers, method="POST")  # noqa: S310 - checked above
        try:
            opener.open(request, timeout=SECONDS).close()
        except urllib.error.HTTPError as error:
            error.close()
            kind = OutageError if error.code in PASSING else BakeryError
            raise kind(f"the webhook answers HTTP {error.code}", hint=REFUSED) from error
        except OSError as error:
            raise _explain_outage(error) from error
        except http.client.HTTPException as error:
            raise OutageError("the webhook does not answer in HTTP", hint=REFUSED) from error


def _explain_outage(error: OSError) -> OutageError:
    """The cause in words that contain no part of the address."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        text = f"its certificate is refused: {cause.verify_message}"
    elif isinstance(cause, TimeoutError):
        text = f"no answer within {SECONDS:.0f} s"
    else:
        text = (cause.strerror if isinstance(cause, OSError) else "") or type(cause).__name__
    return OutageError(f"the webhook cannot be reached: {text}", hint="check the network and the proxy variables")
