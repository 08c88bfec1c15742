"""Calls to Azure: retries, time limits, and errors in a user's words."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)

from bakery.host.errors import BakeryError

# azure-core waits 0.8 s, then twice as long each time: six tries cover about 50 s. Throttling answers set the pause.
SETTINGS: dict[str, Any] = {"retry_total": 6, "retry_status": 6, "connection_timeout": 10, "read_timeout": 60}

DENIED = {403}
THROTTLED = {429, 503}


def enum_text(value: object) -> str:
    """The text of an enumeration's value: the SDK returns members for values that it knows, and text for others."""
    return str(value.value if isinstance(value, Enum) else value or "")


def status(error: AzureError) -> int:
    """The HTTP status of an error answer; 0 for errors that never reached Azure."""
    return (error.status_code or 0) if isinstance(error, HttpResponseError) else 0


@contextmanager
def explain_errors(doing: str, where: str) -> Iterator[None]:
    """Raise the SDK's errors as BakeryError. `doing` completes "cannot …", `where` is the gallery, image or blob."""
    try:
        yield
    except AzureError as error:
        raise BakeryError(f"cannot {doing}", where=where, detail=error.message, hint=_error_hint(error)) from error


def _error_hint(error: AzureError) -> str:
    if isinstance(error, ClientAuthenticationError):
        return (
            "check distribution.azure.tenant and the client_id and client_secret in Vault; "
            "Azure may not know new credentials for a minute"
        )
    if isinstance(error, ServiceRequestError | ServiceResponseError):
        return "check the network and the proxy variables, then run again"
    if status(error) in DENIED:
        return "the application lacks a role: docs/how-to/run-against-azure.md has the list"
    if status(error) in THROTTLED:
        return "Azure kept refusing for about a minute: run again later; finished work is kept"
    return ""
