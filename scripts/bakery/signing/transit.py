"""Signing by Vault's transit engine, whose private keys never leave Vault."""

import base64
from typing import TYPE_CHECKING

from securesystemslib.signer import Key, SecretsHandler, Signature, Signer

from bakery.signing.keys import Duty, TrustedKeys, make_key, trust_versions

if TYPE_CHECKING:
    from bakery.host.vault import Vault


def key_name(duty: Duty) -> str:
    """The name of a duty's key in the engine, as the stack `vault-config` makes it."""
    return f"bakery-{duty}"


def read_trusted_keys(vault: "Vault", mount: str, duty: Duty) -> TrustedKeys:
    """The public keys of a duty that Vault still accepts: all versions from `min_decryption_version` on."""
    return trust_versions(duty, vault.public_keys(mount, key_name(duty)))


class TransitSigner(Signer):
    """Signs with the newest version of a duty's key. Needs a session with Vault that stays open meanwhile."""

    def __init__(self, vault: "Vault", mount: str, duty: Duty) -> None:
        self._vault, self._mount, self._name = vault, mount, key_name(duty)

    def sign(self, payload: bytes) -> Signature:
        """Sign a payload; the signature names the public key of the version that signed."""
        version, signature = self._vault.sign(self._mount, self._name, payload)
        public = self._vault.public_keys(self._mount, self._name)[version]
        return Signature(public, base64.b64decode(signature).hex())

    @property
    def public_key(self) -> Key:
        """The newest version's public key."""
        versions = self._vault.public_keys(self._mount, self._name)
        return make_key(versions[max(versions)])

    @classmethod
    def from_priv_key_uri(
        cls, priv_key_uri: str, public_key: Key, secrets_handler: SecretsHandler | None = None
    ) -> "TransitSigner":
        """Not used: the library's own way from a URI has no session with Vault."""
        raise NotImplementedError
