"""Reads from Vault the values that a bake used, which may not be the newest ones."""

from collections.abc import Callable

from bakery.host.errors import BakeryError
from bakery.host.vault import Vault
from bakery.host.vault.secrets import is_hash_of, read_secrets
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Part


def read_used_secrets(
    vault: Vault | None, definition: ImageDefinition, part: Part, where: Callable[[str], str]
) -> list[str]:
    """The values that a bake used; BakeryError if Vault does not have one of them any more.

    A part of a release without versions has none, and neither has a build at a target by a template of the user's own;
    the newest values are read for them.
    """
    if vault is None:
        return []
    if not part.secrets:
        return [secret.value for secret in read_secrets(vault, definition.secrets, where).values()]
    versions = {name: use.version for name, use in part.secrets.items()}
    secrets = read_secrets(vault, part.secrets, where, versions)
    for name, use in part.secrets.items():
        if use.digest and not is_hash_of(use.digest, secrets[name].value):
            raise BakeryError(
                f"the secret {use.path} is not the one that the bake used, and its engine keeps no versions",
                where=where(name),
                hint=f"bake {part.image} again, or keep the secret in a KV engine of version 2",
            )
    return [secret.value for secret in secrets.values()]
