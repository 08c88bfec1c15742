"""Cuts a target off from its cloud at one of its writing calls: a killed run, a lost answer, a missing right."""

import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any, Literal, cast

import pytest
import requests
from botocore import httpsession
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ConnectionClosedError
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

# What happens to a call: the run dies before it or after it, its answer is lost, or the cloud refuses it.
Cut = Literal["killed before", "killed after", "lost", "denied"]
# Requests that change nothing: of every cloud, and those of vSphere and of logins that are POST.
READING = re.compile(r"^(GET|HEAD) |~action=(find|get)|/cis/session|/oauth2/|keep-alive")
READING_AWS = re.compile(r"^(Describe|Get|List|Assume)")


class Killed(BaseException):
    """The end of a run: no handler of the code under test may catch it and go on."""


class Wire:
    """The calls of one target, oldest first, and the cut of one of them."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.changes: list[str] = []  # the calls that succeeded: the removal of what is gone is none
        self._cut: tuple[int, Cut] | None = None
        self._is_dead = False
        self._lock = threading.Lock()

    @contextmanager
    def cut(self, number: int, cut: Cut) -> Iterator[None]:
        """Cut the writing call of this number, from 0; afterwards all goes through again."""
        self.calls, self._cut = [], (number, cut)
        try:
            yield
        finally:
            self._cut, self._is_dead = None, False

    @contextmanager
    def watch(self) -> Iterator[list[str]]:
        """The writing calls from now on, as far as they succeed."""
        self.calls, self.changes = [], []
        yield self.changes

    def read(self, act: Callable[[], Any]) -> Any:
        """A call that changes nothing."""
        self._refuse_dead()
        return act()

    def write(self, name: str, act: Callable[[], Any], lose: Callable[[], Any], deny: Callable[[], Any]) -> Any:
        """A call that changes something: `lose` and `deny` answer in place of the cloud."""
        with self._lock:
            self._refuse_dead()
            cut = self._cut[1] if self._cut and self._cut[0] == len(self.calls) else None
            self.calls.append(name)
            self._is_dead = cut == "killed before"
        self._refuse_dead()
        if cut == "denied":
            return deny()
        answer = act()
        if getattr(answer, "status_code", 200) < 300:
            self.changes.append(name)
        if cut == "killed after":
            self._is_dead = True
            self._refuse_dead()
        return lose() if cut == "lost" else answer

    def _refuse_dead(self) -> None:
        if self._is_dead:
            raise Killed


def tap_requests(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lead the calls of `requests` through the wire: those of vSphere, and of Azure's SDK."""
    send = requests.Session.send

    def tapped(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        name = f"{request.method} {request.url}"

        def lose() -> requests.Response:
            raise requests.ConnectionError("the answer was lost")

        def deny() -> requests.Response:
            # Azure Resource Manager reads `error`, vCenter `type`; blobs need no body.
            text = json.dumps({"error": {"code": "AuthorizationFailed", "message": "no right"}, "type": "unauthorized"})
            headers = {"Content-Type": "application/json", "x-ms-error-code": "AuthorizationFailure"}
            raw = HTTPResponse(BytesIO(text.encode()), headers, 403, preload_content=False)
            return HTTPAdapter().build_response(request, raw)

        def act() -> requests.Response:
            return send(session, request, **options)

        answer = wire.read(act) if READING.search(name) else wire.write(name, act, lose, deny)
        return cast("requests.Response", answer)

    monkeypatch.setattr(requests.Session, "send", tapped)


def tap_botocore(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lead the calls of AWS's SDK through the wire."""
    send = httpsession.URLLib3Session.send

    def tapped(session: httpsession.URLLib3Session, request: Any) -> Any:
        name = _operation(request)

        def lose() -> Any:
            raise ConnectionClosedError(endpoint_url=request.url)

        def deny() -> Any:
            is_query = b"Action=" in _body(request)
            text = (
                b"<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>no</Message></Error></Errors></Response>"
                if is_query
                else b'{"__type": "AccessDeniedException", "message": "no right"}'
            )
            raw = HTTPResponse(BytesIO(text), {"x-amzn-errortype": "AccessDeniedException"}, 403, preload_content=False)
            return AWSResponse(request.url, 403, HTTPHeaders(), raw)

        def act() -> Any:
            return send(session, request)

        return wire.read(act) if READING_AWS.search(name) else wire.write(name, act, lose, deny)

    monkeypatch.setattr(httpsession.URLLib3Session, "send", tapped)


def _body(request: Any) -> bytes:
    body = request.body or b""
    return body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else b""


def _operation(request: Any) -> str:
    """The name of an operation: in the body of EC2 and STS, in a header of JSON, else method and path."""
    if match := re.search(rb"Action=(\w+)", _body(request)):
        return match.group(1).decode()
    target = request.headers.get("X-Amz-Target", b"")
    target = target.decode() if isinstance(target, bytes) else target
    return target.rpartition(".")[2] or ("GetByPath" if request.method == "GET" else f"{request.method} {request.url}")


def tap_files(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lead the renames and removals of files in the store through the wire; no answer of theirs can be lost."""
    for name in ("replace", "unlink"):
        monkeypatch.setattr(os, name, _tapped(wire, name, getattr(os, name)))


def _tapped(wire: Wire, name: str, act: Callable[..., Any]) -> Callable[..., Any]:
    def tapped(path: Any, *arguments: Any, **options: Any) -> Any:
        def deny() -> Any:
            raise PermissionError(13, "Permission denied", str(path))

        if ".qcow2" not in str(path) or not os.path.lexists(path):
            return act(path, *arguments, **options)
        return wire.write(f"{name} {path}", lambda: act(path, *arguments, **options), deny, deny)

    return tapped
