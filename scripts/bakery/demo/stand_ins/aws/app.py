"""The server's WSGI application: record each call, apply faults, then let moto and the strict handlers answer."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from moto.ec2.models import ec2_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug import Request, Response
from werkzeug.exceptions import HTTPException

from bakery.demo.stand_ins.aws import consistency, ebs, permissions, rbin, roles, state
from bakery.demo.stand_ins.aws.calls import Call, Environ, identify_call, refusal
from bakery.demo.stand_ins.aws.faults import Faults, Rule, drop
from bakery.demo.stand_ins.aws.world import WORLD

CONTROL = "/_double/"
CALL = "stand_in.call"  # of a request, for the log
REPEATED = re.compile(r"attempt=(?!1\b)\d+")  # in the header in which an SDK counts its attempts
StartResponse = Callable[..., Any]


class StrictAws:
    """Moto behind the strict layer, and the control surface under `/_double/`."""

    def __init__(self, state_file: Path | None) -> None:
        self._state_file = state_file
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._calls: list[Call] = []
        self._faults = Faults()
        # Moto is not thread-safe. Requests for blocks of a snapshot need no lock: they are many and independent, unless
        # a call hides snapshots while it is handled.
        self._lock = threading.RLock()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith(CONTROL):
            return self._answer_control(Request(environ))(environ, start_response)
        call = identify_call(environ)
        self._calls.append(call)
        environ[CALL] = call
        if attempt := REPEATED.search(environ.get("HTTP_AMZ_SDK_REQUEST", "")):
            environ["wsgi.errors"].write(f"{call.service}:{call.action} in {call.region} is sent again: {attempt[0]}\n")
        if call.region and call.region not in ec2_backends[call.account].regions:
            message = f"There is no region {call.region}"
            return refusal(call, environ, "AuthFailure", message, 401)(environ, start_response)
        if roles.is_expired(call):
            code, status = roles.EXPIRED.get(call.service, roles.OTHERS_EXPIRED)
            return refusal(call, environ, code, "The session of the role has expired", status)(environ, start_response)
        return self._under_fault(call, environ, start_response)

    def _under_fault(self, call: Call, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        rule = self._faults.take(call)
        if rule is None:
            return self._answer_call(call, environ, start_response)
        if rule.kind in ("error", "bucket"):
            code, status = rule.refusal
            return refusal(call, environ, code, "Requested by a fault rule", status)(environ, start_response)
        if rule.kind == "reset":
            drop(environ)
        time.sleep(rule.seconds)
        body = self._answer_call(call, environ, start_response)
        if rule.kind == "after":
            drop(environ)
        return body

    def _answer_call(self, call: Call, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            if call.action == "PutSnapshotBlock" and not WORLD.unseen:
                return self._moto(environ, start_response)  # type: ignore[no-any-return]
            with self._lock:
                if call.service == "rbin":
                    permissions.authorize_call(call)
                    return rbin.answer(call, Request(environ))(environ, start_response)
                with consistency.delay(call):
                    return list(self._moto(environ, start_response))
        except permissions.Denied as denied:
            return refusal(call, environ, denied.code, str(denied), denied.status)(environ, start_response)
        except NotImplementedError as missing:
            message = f"The stand-in cannot do {call.action}: {missing}"
            return refusal(call, environ, "NotImplemented", message, 501)(environ, start_response)

    def _answer_control(self, request: Request) -> Response:
        match request.method, request.path.removeprefix(CONTROL):
            case "GET", "calls":
                return _json_response([asdict(call) for call in list(self._calls)])
            case "POST", "faults":
                return self._change_world(
                    lambda: self._faults.add([Rule(**rule) for rule in request.get_json(force=True)])
                )
            case "DELETE", "faults":
                return self._change_world(self._faults.clear)
            case "POST", "settings":
                return self._change_world(lambda: self._change_settings(request.get_json(force=True)))
            case "POST", "policies":
                return self._change_world(lambda: permissions.set_policies(request.get_json(force=True)))
            case "POST", "blocks":
                return self._change_world(lambda: ebs.change_blocks(**request.get_json(force=True)))
            case "POST", "reset":
                return self._change_world(self._reset_world)
            case "POST", "save":
                return self._change_world(self.save)
        return Response(f"no such control: {request.method} {request.path}\n", status=404)

    def _change_world(self, change: Callable[[], None]) -> Response:
        """Make a change between calls; 400 with the reason if the request's JSON is invalid."""
        try:
            with self._lock:
                change()
        except (TypeError, ValueError, HTTPException) as error:
            return Response(f"{error}\n", status=400)
        return Response(status=204)

    def save(self) -> None:
        if self._state_file is None:
            raise ValueError("started without --state: there is no file to save to")
        with self._lock:
            state.save(self._state_file)

    def _change_settings(self, values: dict[str, Any]) -> None:
        WORLD.settings = replace(WORLD.settings, **values)

    def _reset_world(self) -> None:
        state.reset()
        self._calls.clear()
        self._faults.clear()


def _json_response(value: object) -> Response:
    return Response(json.dumps(value), mimetype="application/json")
