"""Checks the AWS_* variables, which the catalog and the cloud read, before a request is made with them."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from bakery.host.connection_settings import find_fault, require_authorities, require_credentials, require_proxies
from bakery.host.errors import UsageError

CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
LOG_IN = "check the AWS credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or a web identity"
AUTHORITIES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")  # botocore reads both


def check_variables(env: Mapping[str, str]) -> None:
    """UsageError if a variable of AWS has a value with which no request can be made."""
    require_credentials(env, *CREDENTIALS)
    require_authorities(env, *AUTHORITIES)
    require_proxies(env)
    for name, address in env.items():
        if name.startswith("AWS_ENDPOINT_URL") and address:
            reason, hint = find_fault(address)
            if reason:
                raise UsageError(f"{name} cannot be used: {reason}", hint=hint)
    token = env.get("AWS_WEB_IDENTITY_TOKEN_FILE")
    if token and not env.get("AWS_ACCESS_KEY_ID") and not os.access(token, os.R_OK):
        hint = "name the file of the token, or unset it"
        raise UsageError("AWS_WEB_IDENTITY_TOKEN_FILE names a file that cannot be read", where=token, hint=hint)


@contextmanager
def explain_settings() -> Iterator[None]:
    """UsageError for a setting that only botocore reads: of its file of profiles, or a variable that is no number."""
    try:
        yield
    except (OSError, ValueError) as error:  # an absent credential_process; an endpoint_url, a number
        raise UsageError(
            "a setting of AWS cannot be used",
            detail=str(error),
            hint="check the AWS_ variables, and endpoint_url and credential_process in ~/.aws/config",
        ) from error
