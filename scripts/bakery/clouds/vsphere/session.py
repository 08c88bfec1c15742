"""A session with a vCenter: log in, call, try again, log out. No error contains the password or the session's ID."""

import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import requests
import stamina
from pydantic import TypeAdapter, ValidationError

from bakery.host.errors import BakeryError, ConflictError, NotFoundError, OutageError

# The paths that govmomi calls, and through it Packer and Terraform: every vCenter since 6.5 has them.
REST = "/rest/com/vmware"
SESSION = "vmware-api-session-id"
ENVELOPE = (
    '<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
    '<Body><{method} xmlns="urn:vim25">{arguments}</{method}></Body></Envelope>'
)
HEADERS = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": "urn:vim25/6.5"}
TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
VIM = "{urn:vim25}"  # the namespace of SOAP answers
TIMEOUT = (10.0, 60.0)  # seconds to connect and to wait for an answer
UPLOAD_TIMEOUT = (10.0, 600.0)  # vCenter checks a whole file before it answers
CHUNK = 1 << 20  # bytes of a download in memory
LOGIN_ATTEMPTS = 4  # the first call shows whether there is a vCenter: a user should not wait a minute for that
ATTEMPTS = 10  # with pauses growing to 15 s they ride out about a minute, such as a restart of vCenter's front end
PASSING = {429, 500, 502, 503, 504}

Kind = TypeVar("Kind")


class _TransientError(BakeryError):
    """A failure after which another attempt may succeed."""


class TakenError(ConflictError):
    """The name belongs to another item."""


class StateError(ConflictError):
    """The request is not possible in the current state."""


class VCenter:
    """One login to one vCenter. Each creating call has a token: a repeated call makes no second resource."""

    def __init__(self, server: str, login: tuple[str, str]) -> None:
        self.server = server
        self._login = login
        self._verify = _authority()
        self._http = requests.Session()
        self._http.auth = _leave_unchanged  # otherwise requests reads logins from ~/.netrc

    def log_in(self) -> None:
        """Log in; BakeryError if vCenter does not answer, has the wrong certificate, or refuses the login."""
        self._http.headers.pop(SESSION, None)
        answer = self._call_with_retries("log in", "POST", "/cis/session", LOGIN_ATTEMPTS, auth=self._login)
        if answer.status_code == requests.codes.unauthorized:
            raise BakeryError(
                "vCenter refuses the login",
                where=self.server,
                hint="check username and password in the secret that distribution.vsphere.credentials names",
            )
        self._http.headers[SESSION] = self._read_answer("log in", answer, str)

    def log_out(self) -> None:
        """End the session, since a user's sessions are limited. No error if it has ended already."""
        with suppress(BakeryError):
            self._call_with_retries("log out", "DELETE", "/cis/session", 1)
        self._http.close()

    def get(self, doing: str, path: str, kind: type[Kind], **query: str) -> Kind:
        return self._read_answer(doing, self._call_with_login(doing, "GET", path, params=query), kind)

    def find(self, doing: str, path: str, **spec: str) -> list[str]:
        """The IDs of the resources with exactly these properties."""
        return self.ask(doing, path, "find", list[str], {"spec": spec})

    def create(self, doing: str, path: str, body: Mapping[str, Any], action: str = "") -> str:
        """The ID of the new resource; TakenError if its name is in use."""
        return self.ask(doing, path, action, str, {"client_token": str(uuid.uuid4()), **body})

    def ask(self, doing: str, path: str, action: str, kind: type[Kind], body: Mapping[str, Any]) -> Kind:
        query = {"~action": action} if action else {}
        return self._read_answer(doing, self._call_with_login(doing, "POST", path, params=query, json=body), kind)

    def act(self, doing: str, path: str, action: str, body: Mapping[str, Any] | None = None) -> None:
        self._call_with_login(doing, "POST", path, params={"~action": action}, json=body)

    def patch(self, doing: str, path: str, body: Mapping[str, Any]) -> None:
        self._call_with_login(doing, "PATCH", path, json=body)

    def delete(self, doing: str, path: str) -> None:
        """Delete a resource; no error if it is gone."""
        with suppress(NotFoundError):
            self._call_with_login(doing, "DELETE", path)

    def put(self, doing: str, uri: str, file: Path, sent: Callable[[int], None]) -> None:
        """Send a file. `sent` receives the number of bytes so far, again from 0 if the request is repeated."""
        for attempt in _retry_attempts(ATTEMPTS):
            with attempt, file.open("rb") as stream:
                body = _Body(stream, file.stat().st_size, sent)
                answer = self._call_once(doing, "PUT", uri, data=body, timeout=UPLOAD_TIMEOUT)
                self._raise_refusal(doing, answer)

    def download(self, doing: str, uri: str, file: Path, received: Callable[[int], None]) -> None:
        """Get a file. `received` gets the number of bytes so far, again from 0 if the request is repeated."""
        for attempt in _retry_attempts(ATTEMPTS):
            with attempt, file.open("wb") as stream:
                answer = self._call_once(doing, "GET", uri, stream=True, timeout=UPLOAD_TIMEOUT)
                self._raise_refusal(doing, answer)
                try:
                    for chunk in answer.iter_content(CHUNK):
                        stream.write(chunk)
                        received(stream.tell())
                except requests.RequestException as error:  # the connection broke off
                    raise self._unreachable_error(doing, error) from error

    def _call_with_login(self, doing: str, method: str, path: str, **options: Any) -> requests.Response:
        answer = self._call_with_retries(doing, method, path, ATTEMPTS, **options)
        if answer.status_code == requests.codes.unauthorized:  # the session expired, or vCenter was restarted
            self.log_in()
            answer = self._call_with_retries(doing, method, path, ATTEMPTS, **options)
        self._raise_refusal(doing, answer)
        return answer

    def _call_with_retries(
        self, doing: str, method: str, path: str, attempts: int, **options: Any
    ) -> requests.Response:
        for attempt in _retry_attempts(attempts):
            with attempt:
                answer = self._call_once(
                    doing, method, f"https://{self.server}{REST}{path}", timeout=TIMEOUT, **options
                )
        return answer

    def _call_once(self, doing: str, method: str, uri: str, **options: Any) -> requests.Response:
        try:
            answer = self._http.request(method, uri, verify=self._verify, **options)
        except OSError as error:  # requests' own errors are of this kind
            raise self._unreachable_error(doing, error) from error
        if answer.status_code in PASSING:
            raise _TransientError(
                f"cannot {doing}",
                where=self.server,
                detail=_answer_detail(answer),
                hint="vCenter kept failing for about a minute: run again later; finished work is kept",
            )
        return answer

    def _unreachable_error(self, doing: str, error: OSError) -> BakeryError:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):  # other errors of TLS are broken connections
            return BakeryError(
                f"cannot {doing}: vCenter's certificate is not trusted",
                where=self.server,
                detail=str(error),
                hint="set VSPHERE_CACERT to the file with the certificate authority of this vCenter",
            )
        return _TransientError(
            f"cannot {doing}: vCenter cannot be reached",
            where=self.server,
            detail=str(error),
            hint="check distribution.vsphere.server, the network and the proxy variables, then run again",
        )

    def _raise_refusal(self, doing: str, answer: requests.Response) -> None:
        if answer.ok:
            return
        detail, message = _answer_detail(answer), f"cannot {doing}"
        if answer.status_code == requests.codes.not_found:
            raise NotFoundError(message, where=self.server, detail=detail)
        if "already_exists" in detail:
            raise TakenError(message, where=self.server, detail=detail, hint="another item has this name")
        if "not_allowed_in_current_state" in detail:
            raise StateError(message, where=self.server, detail=detail)
        is_denied = answer.status_code in (requests.codes.unauthorized, requests.codes.forbidden)
        hint = "the login lacks a privilege: docs/how-to/run-against-vsphere.md lists them" if is_denied else ""
        raise BakeryError(message, where=self.server, detail=detail, hint=hint)

    def _read_answer(self, doing: str, answer: requests.Response, kind: type[Kind]) -> Kind:
        self._raise_refusal(doing, answer)
        try:
            return TypeAdapter(kind).validate_python(answer.json().get("value"))
        except (ValueError, AttributeError, ValidationError) as error:
            raise BakeryError(
                f"cannot {doing}: the answer does not come from vCenter",
                where=self.server,
                detail=str(error),
                hint="check whether a proxy or another server has this address",
            ) from error


class SoapSession:
    """A login to vCenter's SOAP API. No error contains the password: a fault's own text is all that is shown."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._verify = _authority()
        self._http = requests.Session()
        self._http.auth = _leave_unchanged

    def call(self, method: str, owner: str, kind: str, arguments: str = "") -> list[ElementTree.Element]:
        """The values that a method of the object `owner`, of a `kind`, returns; `arguments` are XML.

        NotFoundError if an object that the call names is gone.
        """
        body = ENVELOPE.format(method=method, arguments=f'<_this type="{kind}">{escape(owner)}</_this>{arguments}')
        try:
            answer = self._http.post(
                f"https://{self._server}/sdk",
                data=body.encode(),
                headers=HEADERS,
                verify=self._verify,
                timeout=TIMEOUT,
            )
            root = ElementTree.fromstring(answer.content)  # noqa: S314 - vCenter, by its certificate, wrote it
        except (OSError, ElementTree.ParseError) as error:  # requests' own errors are of the first kind
            raise OutageError("vCenter's SOAP API does not answer", where=self._server, detail=str(error)) from error
        if fault := root.findtext(".//faultstring"):
            is_gone = any(element.get(TYPE) == "ManagedObjectNotFound" for element in root.iter())
            kind_of_error = NotFoundError if is_gone else BakeryError
            raise kind_of_error(f"vCenter refuses {method}", where=self._server, detail=fault)
        return list(root.iter(f"{VIM}returnval"))


@contextmanager
def connect(server: str, credentials: Mapping[str, str]) -> Iterator[VCenter]:
    """Log in until the block ends. `credentials` has username and password."""
    if not credentials.get("username") or not credentials.get("password"):
        raise BakeryError(
            "there is no login for vCenter",
            where=server,
            hint="set distribution.vsphere.credentials to a secret in Vault with username and password",
        )
    vcenter = VCenter(server, (credentials["username"], credentials["password"]))
    try:
        vcenter.log_in()
        yield vcenter
    finally:
        vcenter.log_out()


class _Body:
    """A file to upload. Its length makes requests send Content-Length, which vCenter requires."""

    def __init__(self, stream: Any, size: int, sent: Callable[[int], None]) -> None:
        self._stream = stream
        self._size = size
        self._sent = sent

    def __len__(self) -> int:
        return self._size

    def read(self, size: int = -1) -> bytes:
        self._sent(self._stream.tell())
        data: bytes = self._stream.read(size)
        return data


def _retry_attempts(count: int) -> Iterator[stamina.Attempt]:
    return iter(stamina.retry_context(on=_TransientError, attempts=count, timeout=None, wait_max=15.0))


def _authority() -> str | bool:
    """A CA for vCenter alone, or REQUESTS_CA_BUNDLE, or the CAs that come with requests."""
    return os.environ.get("VSPHERE_CACERT") or os.environ.get("REQUESTS_CA_BUNDLE") or True


def _leave_unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _answer_detail(answer: requests.Response) -> str:
    """The type of vCenter's error and its messages."""
    try:
        body = answer.json()
        messages = [message["default_message"] for message in body["value"]["messages"]]
        return f"{answer.status_code} {body['type'].rpartition('.')[2]}: {'; '.join(messages)}".rstrip(": ")
    except (ValueError, TypeError, KeyError, AttributeError):
        return f"{answer.status_code} {answer.reason}"
