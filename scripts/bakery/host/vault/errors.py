"""Errors, with hints, for failures of Vault and of the connection to it."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from bakery.host.errors import BakeryError, NotFoundError, OutageError, UsageError


@contextmanager
def explain_errors(address: str, subject: str, capability: str = "read") -> Iterator[None]:
    """Turn exceptions of hvac and requests into one clear error; a missing path stays hvac's InvalidPath."""
    import hvac.exceptions
    import requests

    try:
        yield
    except hvac.exceptions.InvalidPath:
        raise
    except hvac.exceptions.Forbidden as error:
        raise BakeryError(
            f"Vault denies access to {subject}",
            where=address,
            hint=f"the token's policy must allow '{capability}' on that path; an expired token has no rights",
        ) from error
    except (hvac.exceptions.InvalidRequest, hvac.exceptions.UnsupportedOperation) as error:
        raise BakeryError(
            f"Vault refuses {subject}: {', '.join(error.errors or ())}",
            where=address,
            hint="check the path and its role; for a cloud's engine, check also Vault's own login there",
        ) from error
    except hvac.exceptions.VaultError as error:
        reason = ", ".join(error.errors or ()) or type(error).__name__
        raise OutageError(f"Vault failed at {subject}: {reason}", where=address, hint="see Vault's own log") from error
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:  # such as a proxy's
        raise UsageError(
            f"Vault cannot be asked: {type(error).__name__}",
            where=address,
            hint="check VAULT_ADDR and the proxy variables (https_proxy, http_proxy, all_proxy)",
        ) from error
    except requests.RequestException as error:
        raise OutageError(
            f"Vault cannot be reached: {_root_reason(error)}",
            where=address,
            hint="check VAULT_ADDR, the network and VAULT_CACERT",
        ) from error


def no_api_path(path: str, mount: str) -> BakeryError:
    """The error for a path that works for the vault command, but not for Packer."""
    return BakeryError(
        f"{path} is not an API path: this secrets engine keeps versions",
        hint=f"write it as {mount}data/{path.strip('/').removeprefix(mount)}",
    )


def missing_secret(path: str, body: Mapping[str, Any], number: int = 0) -> BakeryError:
    """The reason for a 404: the response distinguishes a deleted version, a wrong path and a missing secret."""
    if any("versioned K/V" in warning for warning in body.get("warnings") or ()):
        return no_api_path(path, f"{path.strip('/').partition('/')[0]}/")
    version = ((body.get("data") or {}).get("metadata")) or {}
    if number:
        was = "destroyed" if version.get("destroyed") else "deleted" if version.get("deletion_time") else "removed"
        undelete = f"restore it ('vault kv undelete -versions={number}'), or " if was == "deleted" else ""
        return NotFoundError(
            f"version {number} of the secret {path}, which the bake used, was {was}",
            hint=f"{undelete}bake the image again: nothing else can say whether the disk holds that value",
        )
    if version.get("destroyed") or version.get("deletion_time"):
        return NotFoundError(
            f"the newest version of the secret {path} was deleted",
            hint="restore it ('vault kv undelete') or write a new one",
        )
    return NotFoundError(f"there is no secret at {path}", hint="check the path; KV version 2 has data/ after the mount")


def missing_key(path: str) -> BakeryError:
    """The reason for a 404 of a transit engine."""
    return NotFoundError(
        f"there is no signing key at {path}", hint="make it with the stack vault-config, or with vault/set-up.sh"
    )


def _root_reason(error: Exception) -> str:
    """The cause as plain text, without the objects and addresses that requests and urllib3 add."""
    cause = re.search(r"\[(?:Errno -?\d+|SSL: \w+)\] ([\w ]+)", str(error))
    return cause[1].strip() if cause else type(error).__name__
