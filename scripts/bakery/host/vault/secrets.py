"""Reads the secrets of a definition, from engines that store values only."""

import hashlib
import hmac
import secrets as random
from collections.abc import Callable, Mapping
from typing import Protocol

from bakery.host.errors import BakeryError, OutageError, merge_errors
from bakery.host.vault import Secret, Vault

# Engines that store values. Reading from another engine, such as database, creates credentials, and a path outside of
# all engines, such as auth/token/lookup-self, shows the token.
KEEPING = ("kv", "kv-v2", "generic")


class Reference(Protocol):
    """The address of a secret: an API path and a key."""

    @property
    def path(self) -> str: ...
    @property
    def key(self) -> str: ...


def read_secrets(
    vault: Vault,
    secrets: Mapping[str, Reference],
    where: Callable[[str], str],
    versions: Mapping[str, int] | None = None,
) -> dict[str, Secret]:
    """Every secret by name: the version in `versions`, else the newest. One error names all unreadable secrets."""
    engines = vault.engines() if secrets else {}
    values: dict[str, Secret] = {}
    errors: list[BakeryError] = []
    for name, secret in secrets.items():
        try:
            require_storage(engines, secret.path)
            values[name] = vault.read_version(secret.path, secret.key, (versions or {}).get(name, 0))
        except OutageError:
            raise
        except BakeryError as error:
            error.where = where(name)
            errors.append(error)
    if errors:
        raise merge_errors(errors)
    return values


def find_engine(engines: Mapping[str, str], path: str) -> tuple[str, str]:
    """(mount, kind) of the engine at a path; both empty if there is none."""
    mount = next((mount for mount in engines if path.strip("/").startswith(mount)), "")
    return mount, engines.get(mount, "")


def require_storage(engines: Mapping[str, str], path: str) -> None:
    """BakeryError if a path is not in a KV engine."""
    _, kind = find_engine(engines, path)
    if not kind:
        raise BakeryError(
            f"the token may read no secrets engine at {path}",
            hint="check the path's first part, VAULT_NAMESPACE, and the token's policy",
        )
    if kind not in KEEPING:
        raise BakeryError(
            f"{path} is in an engine of the kind {kind}, but a build gets secrets from a KV engine only",
            hint="store the value with 'vault kv put', and name its path",
        )


def hash_value(value: str) -> str:
    """A salted hash of a value, slow to try values with; a new one for each call."""
    salt = random.token_bytes(16)
    return f"{salt.hex()}:{_derive_key(value, salt)}"


def is_hash_of(digest: str, value: str) -> bool:
    """Whether `hash_value` made a digest of a value."""
    salt, _, key = digest.partition(":")
    return hmac.compare_digest(_derive_key(value, bytes.fromhex(salt)), key)


def _derive_key(value: str, salt: bytes) -> str:
    # The parameters of Python's documentation and of RFC 7914 for a login: 16 MiB of memory for each try.
    return hashlib.scrypt(value.encode(), salt=salt, n=1 << 14, r=8, p=1).hex()
