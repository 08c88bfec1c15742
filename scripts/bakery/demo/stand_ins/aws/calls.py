"""Reads the caller and the action from a signed AWS request before moto sees it."""

import io
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote

from botocore.exceptions import UnknownServiceError
from moto.core.exceptions import ServiceException
from moto.core.model import OperationModel
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_service_model
from moto.iam.models import get_account_id_from
from werkzeug import Response
from werkzeug.exceptions import NotFound

# Signature version 4: in the Authorization header, or in the query of a presigned URL.
CREDENTIAL = re.compile(r"Credential=(?P<key>[^/]+)/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")

Environ = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """One request; fields are empty if it is not signed or names no operation."""

    service: str
    action: str
    region: str
    account: str
    key: str


def identify_call(environ: Environ) -> Call:
    signature = environ.get("HTTP_AUTHORIZATION") or unquote(environ.get("QUERY_STRING", ""))
    match = CREDENTIAL.search(signature)
    if not match:
        return Call("", _form_action(environ), "", "", "")
    service = match["service"]
    key = match["key"]
    return Call(service, _action_name(environ, service), match["region"], get_account_id_from(key), key)


def _action_name(environ: Environ, service: str) -> str:
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        return str(target).rpartition(".")[2]
    if action := _form_action(environ):
        return action
    try:
        operation, _ = get_service_router(service).match(Request(environ, populate_request=False))
        return str(operation.name)
    except (NotFound, NotImplementedError, UnknownServiceError):
        return ""


def _form_action(environ: Environ) -> str:
    """The Action of a query-protocol body, which moto can still read afterwards."""
    if not environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        return ""
    body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    return parse_qs(body.decode()).get("Action", [""])[0]


class Refusal(ServiceException):
    """An error of this module: moto would look for a service named `core` for an error class of its own."""


def refusal(call: Call, environ: Environ, code: str, message: str, status: int) -> Response:
    """An error in the wire format of the service that was called (EC2 XML, query XML, JSON, S3 XML)."""
    model = get_service_model(call.service)
    protocol = determine_request_protocol(model, environ.get("CONTENT_TYPE"))
    serializer = get_serializer_class(call.service, protocol)(operation_model=OperationModel({}, model))
    answer = serializer.serialize(Refusal(code, message))
    return Response(answer["body"], status=status, headers=answer["headers"])
