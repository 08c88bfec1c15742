"""Azure's errors in a user's words."""

import pytest
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.mgmt.compute.models import GalleryProvisioningState

from bakery.clouds.azure.calls import enum_text, explain_errors
from bakery.host.errors import BakeryError


def _refusal(status: int) -> HttpResponseError:
    error = HttpResponseError("no")
    error.status_code = status
    return error


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (ClientAuthenticationError("AADSTS7000215"), "check distribution.azure.tenant"),
        (ServiceRequestError("refused"), "check the network"),
        (ServiceResponseError("reset"), "check the network"),
        (_refusal(403), "the application lacks a role"),
        (_refusal(429), "Azure kept refusing"),
        (_refusal(400), ""),
        (AzureError("other"), ""),
    ],
)
def test_hints(error: AzureError, hint: str) -> None:
    with pytest.raises(BakeryError, match="cannot look") as caught, explain_errors("look", "bakery"):
        raise error
    assert caught.value.hint.startswith(hint)
    assert bool(caught.value.hint) == bool(hint)
    assert (caught.value.where, caught.value.detail) == ("bakery", error.message)


def test_our_own_errors_stay() -> None:
    with pytest.raises(BakeryError, match="ours"), explain_errors("look", "bakery"):
        raise BakeryError("ours")


def test_words() -> None:
    assert enum_text(GalleryProvisioningState.FAILED) == "Failed"
    assert enum_text("SomethingNew") == "SomethingNew"
    assert enum_text(None) == ""
