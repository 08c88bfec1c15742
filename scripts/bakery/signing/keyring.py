"""The keys of a run, as two environment variables say: which key signs, and which ones are trusted."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bakery.host.errors import UsageError
from bakery.host.vault import Vault
from bakery.model.project import Project
from bakery.signing import envelope, keys
from bakery.signing.keys import DUTIES, Duty, TrustedKeys
from bakery.signing.statement import Statement

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner, Signer

SIGNING_KEY = "BAKERY_SIGNING_KEY"
TRUSTED_KEYS = "BAKERY_TRUSTED_KEYS"
VAULT = "vault:"  # before the mount of a transit engine; any other value is the path of a file
MOUNT = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")
OWN_KEY = "signing.pem"
PROBE = b"probe"  # no message of DSSE, which begins with the name of its version


def open_keyring(project: Project, trusted: Path | None = None) -> "Keyring":
    """The keys that this process's environment names, or the workspace's own; `trusted` is a file to trust alone."""
    return Keyring(project.keys, {**os.environ, TRUSTED_KEYS: str(trusted)} if trusted else os.environ)


@dataclass(frozen=True)
class Keyring:
    """The key in `folder`, which is made on first use and trusted for every duty, unless `env` names another."""

    folder: Path
    env: Mapping[str, str]

    def __post_init__(self) -> None:
        for name in (SIGNING_KEY, TRUSTED_KEYS):
            setting = self.env.get(name, "")
            if setting.startswith(VAULT) and not MOUNT.fullmatch(setting.removeprefix(VAULT)):
                hint = f"write {VAULT} and the path of the mount, as in {VAULT}transit"
                raise UsageError(f"{name} is '{setting}', which names no mount in Vault", hint=hint)

    def sign(self, statement: Statement, duty: Duty) -> bytes:
        """The envelope of a statement, signed with the key of a duty; UsageError if that key is not trusted here."""
        with self._open_signer(duty) as signer:
            return envelope.sign(statement, signer)

    def require_signer(self, duty: Duty) -> None:
        """BakeryError unless the key of a duty signs. Call it before work that takes long and ends with a signature."""
        with self._open_signer(duty) as signer:
            signer.sign(PROBE)

    @property
    def keys_path(self) -> str:
        """The path in Vault of the trusted keys; empty if they are in files."""
        return f"{self._trusted.removeprefix(VAULT)}/keys" if self.trusts_vault else ""

    def signing_path(self, duty: Duty) -> str:
        """The path in Vault that signs for a duty; empty if a key in a file signs."""
        if self._signs_with_file:
            return ""
        from bakery.signing.transit import key_name

        return f"{self.env[SIGNING_KEY].removeprefix(VAULT)}/sign/{key_name(duty)}"

    def verify(self, content: bytes, duty: Duty, where: str) -> Statement:
        """The statement of an envelope; BakeryError unless a trusted key of the duty signed it."""
        return envelope.verify(content, self.trusted_keys(duty), (duty,), where)

    @property
    def trusts_vault(self) -> bool:
        """Whether the trusted keys are in Vault, so that reading them takes a login."""
        return self._trusted.startswith(VAULT)

    def trusted_keys(self, *duties: Duty) -> TrustedKeys:
        """The public keys of some duties, or of all: those that are named, else the keys that sign."""
        if self.trusts_vault:
            return self._read_vault(duties)
        if self.env.get(TRUSTED_KEYS):
            paths = filter(None, self._trusted.split(os.pathsep))  # a colon at the end names no file
            return keys.join_keys(*(keys.load_trusted_keys(Path(path)) for path in paths))
        return self._own_keys()

    def make_own(self) -> None:
        """Make the workspace's key, if no other is named."""
        if not self.env.get(SIGNING_KEY) and not self.env.get(TRUSTED_KEYS):
            keys.find_or_make_key(self._own_path)

    def _own_keys(self) -> TrustedKeys:
        """The key in a file. The workspace's may not be there yet, one that is named must be."""
        if not self.env.get(SIGNING_KEY) and not self._own_path.exists():
            return TrustedKeys(())
        return keys.trust_for_all(self._own_path)

    @contextmanager
    def _open_signer(self, duty: Duty) -> Iterator["Signer"]:
        if self._signs_with_file:
            signer = self._find_own()
            self._refuse_unknown(signer, str(self._own_path), duty)
            yield signer
            return
        from bakery.signing.transit import TransitSigner

        with Vault.login(self.env) as vault:
            transit = TransitSigner(vault, self.env[SIGNING_KEY].removeprefix(VAULT), duty)
            self._refuse_unknown(transit, self.signing_path(duty), duty)
            yield transit

    def _refuse_unknown(self, signer: "Signer", where: str, duty: Duty) -> None:
        """UsageError if keys are named, and this one is not among them: nobody who trusts those would read its work.

        An entry of a catalog cannot be taken back, so one such entry would stop every reader.
        """
        named = self.env.get(TRUSTED_KEYS)
        if named and signer.public_key.keyid not in self.trusted_keys(duty).of(duty):
            raise UsageError(
                f"this key may not sign: {TRUSTED_KEYS} names trusted keys, and it is none of them",
                where=where,
                detail=f"trusted: {named}",
                hint=f"write its public part with 'env -u {TRUSTED_KEYS} bakery keys' to a file, and name that file as "
                f"well, with '{os.pathsep}' between files; or name the key that signs in {SIGNING_KEY}",
            )

    @property
    def _trusted(self) -> str:
        """The setting that names the trusted keys; empty for the workspace's own."""
        return self.env.get(TRUSTED_KEYS) or self.env.get(SIGNING_KEY, "")

    @property
    def _signs_with_file(self) -> bool:
        return not self.env.get(SIGNING_KEY, "").startswith(VAULT)

    @property
    def _own_path(self) -> Path:
        return Path(self.env.get(SIGNING_KEY) or self.folder / OWN_KEY)

    def _find_own(self) -> "CryptoSigner":
        """The key that a setting names must exist; the workspace's is made."""
        return keys.load_key(self._own_path) if self.env.get(SIGNING_KEY) else keys.find_or_make_key(self._own_path)

    def _read_vault(self, duties: tuple[Duty, ...]) -> TrustedKeys:
        from bakery.signing.transit import read_trusted_keys

        mount = self._trusted.removeprefix(VAULT)
        with Vault.login(self.env) as vault:
            return keys.join_keys(*(read_trusted_keys(vault, mount, duty) for duty in duties or DUTIES))
