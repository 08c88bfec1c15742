"""Keys that sign and keys that are trusted: ed25519, in files."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from bakery.host import files
from bakery.host.errors import BakeryError, UsageError
from bakery.model import documents
from bakery.model.documents import Strict

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
    from securesystemslib.signer import CryptoSigner, SSlibKey

# Each is a kind of job with a key of its own: whoever bakes cannot say that a disk passed its tests.
Duty = Literal["bake-private", "bake-public", "verify", "publish"]
DUTIES: tuple[Duty, ...] = get_args(Duty)
PRIVATE = 0o600
LENGTH = 32  # bytes of a public key (RFC 8032)


@dataclass(frozen=True)
class TrustedKey(Strict):
    """A public key that is trusted for one duty: 32 bytes in base64, as Vault prints it."""

    duty: Duty
    public: str


@dataclass(frozen=True)
class TrustedKeys(Strict):
    """The public keys of all duties; a duty whose key was rotated has several."""

    keys: tuple[TrustedKey, ...]
    schema: Literal["bakery/trusted-keys/1"] = "bakery/trusted-keys/1"

    def of(self, *duties: Duty) -> dict[str, "Ed25519PublicKey"]:
        """The keys of some duties, by their 32 bytes in base64."""
        return {key.public: load_public_key(key.public) for key in self.keys if key.duty in duties}


@cache
def load_public_key(public: str) -> "Ed25519PublicKey":
    """The key of 32 bytes in base64; UsageError if they are something else."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(public, validate=True))
    except (ValueError, binascii.Error) as error:
        hint = f"write the {LENGTH} bytes of an ed25519 key in base64"
        raise UsageError(f"'{public}' is not a public key", hint=hint) from error


def make_key(public: str) -> "SSlibKey":
    """The same for the library that signs. The key is its own ID, so a reader finds it in what `bakery keys` prints."""
    from securesystemslib.signer import SSlibKey

    return SSlibKey.from_crypto(load_public_key(public), keyid=public)


def load_trusted_keys(path: Path) -> TrustedKeys:
    """Read a file of trusted keys; UsageError if there is none."""
    if not path.is_file():
        hint = "write it with 'bakery keys' where the documents are signed"
        raise UsageError("the file of trusted keys does not exist", where=str(path), hint=hint)
    return documents.load(TrustedKeys, path, "write it again with 'bakery keys'")


def trust_for_all(path: Path) -> TrustedKeys:
    """The public part of a key in a file, for every duty: one person has all of them.

    A plan needs no more. The library that signs imports those of all clouds, which takes a third of a second.
    """
    public = _read_public(_read_private(path))
    return TrustedKeys(tuple(TrustedKey(duty, public) for duty in DUTIES))


def join_keys(*several: TrustedKeys) -> TrustedKeys:
    """The keys of all."""
    return TrustedKeys(tuple(key for trusted in several for key in trusted.keys))


def trust_versions(duty: Duty, versions: Mapping[int, str]) -> TrustedKeys:
    """All versions of a key that Vault rotates."""
    return TrustedKeys(tuple(TrustedKey(duty, public) for _, public in sorted(versions.items())))


def find_or_make_key(path: Path) -> "CryptoSigner":
    """The key in a file of the workspace, which only its owner may read; made on first use."""
    from securesystemslib.signer import CryptoSigner

    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.create(path, CryptoSigner.generate_ed25519().private_bytes, PRIVATE)  # another run may be faster
    return load_key(path)


def load_key(path: Path) -> "CryptoSigner":
    """The key in a PEM file (PKCS #8, without a password)."""
    from securesystemslib.signer import CryptoSigner

    key = _read_private(path)
    return CryptoSigner(key, make_key(_read_public(key)))


def _read_public(key: "Ed25519PrivateKey") -> str:
    """The public part of a key, as `TrustedKey` has it."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def _read_private(path: Path) -> "Ed25519PrivateKey":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise BakeryError(f"the signing key cannot be read: {error.strerror}", where=str(path)) from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        hint = "make one with 'openssl genpkey -algorithm ed25519 -out signing.pem'"
        raise UsageError("it is not a private key in PEM without a password", where=str(path), hint=hint) from error
    if not isinstance(key, Ed25519PrivateKey):
        hint = "make one with 'openssl genpkey -algorithm ed25519 -out signing.pem'"
        raise UsageError("the signing key is not of the type ed25519", where=str(path), hint=hint)
    return key
