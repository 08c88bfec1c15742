"""Reads from Vault the values that a bake used, which may not be the newest ones."""

from collections.abc import Callable

from bakery.host.errors import BakeryError
from bakery.host.vault import Vault
from bakery.host.vault.secrets import is_hash_of, read_secrets
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Artifact


def read_used_secrets(
    vault: Vault | None, definition: ImageDefinition, artifact: Artifact, where: Callable[[str], str]
) -> list[str]:
    """The values that the bake of an artifact used; BakeryError if Vault does not have one of them any more.

    An artifact of a release without versions has none; the newest values are read for it.
    """
    if vault is None:
        return []
    if not artifact.secrets:
        return [secret.value for secret in read_secrets(vault, definition.secrets, where).values()]
    versions = {name: use.version for name, use in artifact.secrets.items()}
    secrets = read_secrets(vault, artifact.secrets, where, versions)
    for name, use in artifact.secrets.items():
        if use.digest and not is_hash_of(use.digest, secrets[name].value):
            raise BakeryError(
                f"the secret {use.path} is not the one that the bake used, and its engine keeps no versions",
                where=where(name),
                hint=f"bake {artifact.image} again, or keep the secret in a KV engine of version 2",
            )
    return [secret.value for secret in secrets.values()]
