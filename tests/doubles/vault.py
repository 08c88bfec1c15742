"""The demo's Vault server for tests, and JSON web tokens that it can be told to trust."""

import base64
import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from bakery.demo.stand_ins import vault
from bakery.demo.stand_ins.vault import VaultServer

ROOT = Path(__file__).parents[2]


@contextmanager
def vault_server(folder: Path, port: int = 0, env: Mapping[str, str] | None = None) -> Iterator[VaultServer]:
    """A server of the installed Vault for as long as the block runs."""
    with vault.vault_server(program(), folder, port, env) as server:
        yield server


def program() -> Path:
    """The vault that the set-up installed, else the one on PATH."""
    installed = ROOT / ".bakery" / "tools" / "bin" / "vault"
    path = str(installed) if installed.exists() else shutil.which("vault")
    assert path, "vault is not installed: run 'make setup'"
    return Path(path)


def jwt_role(server: VaultServer, name: str, issuer: "Issuer", claims: Mapping[str, str], *policies: str) -> None:
    """Make a role of the JWT method at jwt/ that trusts an issuer's tokens with these claims."""
    client = server.client
    if "jwt/" not in client.sys.list_auth_methods():
        client.sys.enable_auth_method("jwt")
    client.auth.jwt.configure(jwt_validation_pubkeys=[issuer.public_key])
    client.auth.jwt.create_role(
        name,
        role_type="jwt",
        user_claim="sub",
        bound_audiences=[server.address],
        bound_claims=dict(claims),
        token_policies=list(policies),
        allowed_redirect_uris=[],
    )


class Issuer:
    """Signs JSON web tokens with a key of its own, as a CI server does."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def public_key(self) -> str:
        kind = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.key.public_key().public_bytes(serialization.Encoding.PEM, kind).decode()

    def token(self, audience: str, seconds: int = 300, **claims: str | int) -> str:
        """An RS256 token that runs out after some seconds, or ran out if they are negative."""
        now = int(time.time())
        body = {
            "iss": "ci",
            "sub": "project",
            "aud": audience,
            "iat": now - 600,
            "nbf": now - 600,
            "exp": now + seconds,
        }
        text = f"{_part({'alg': 'RS256', 'typ': 'JWT'})}.{_part(body | claims)}"
        return f"{text}.{base64url(self.key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def _part(value: Mapping[str, Any]) -> str:
    return base64url(json.dumps(value).encode())


def base64url(data: bytes) -> str:
    """As web tokens and keys are written: no padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
