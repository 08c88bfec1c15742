"""Logins for the programs and targets of one image."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from bakery.host.vault import Vault
from bakery.model.definition import ImageDefinition


@contextmanager
def open_vault(*needs: object) -> Iterator[Vault | None]:
    """A session with Vault if any need is not empty; otherwise None, so that no Vault is required."""
    if not any(needs):
        yield None
        return
    with Vault.login(os.environ) as vault:
        yield vault


def read_credentials(vault: Vault | None, definition: ImageDefinition, target: str) -> dict[str, str]:
    """The fields of a target's secret; empty if it has none: its tools read the environment."""
    return _read_fields(vault, definition.distribution.credentials(target))


def read_build_credentials(vault: Vault | None, definition: ImageDefinition, target: str) -> dict[str, str]:
    """The same for the secret with which Packer builds at a target."""
    return _read_fields(vault, definition.distribution.build_credentials(target))


def _read_fields(vault: Vault | None, path: str | None) -> dict[str, str]:
    return vault.fields(path) if vault and path else {}
