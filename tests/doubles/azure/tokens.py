"""The login: client credentials against tokens, and what tokens are good for."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime

import jwt

from doubles.azure.refusal import Refusal
from doubles.azure.world import CLIENT_ID, CLIENT_SECRET, TENANT, VAULT_ID, VAULT_SECRET, Json, World

KEY = "the stand-in's own key, and of a length that HMAC likes"
LIFE = 3600  # seconds
OPENID = ("openid", "offline_access", "profile")  # some clients add them to each request
LOGIN = "login.microsoftonline.com"
MANAGER = "https://management.azure.com"
GRAPH = "https://graph.microsoft.com"
AUDIENCES = (MANAGER, "https://storage.azure.com", GRAPH)
ISSUER = f"https://sts.windows.net/{TENANT}/"


class LoginRefusal(Refusal):
    """In OAuth's own form."""

    @property
    def body(self) -> Json:
        return {"error": self.code, "error_description": self.message}


def discovery(url: str, tenant: str) -> Json:
    """The document that tells a client where to log in."""
    if tenant != TENANT:
        raise LoginRefusal(400, "invalid_tenant", f"AADSTS90002: Tenant '{tenant}' not found.")
    base = f"{url}/{tenant}/oauth2/v2.0"
    issuer = f"https://{LOGIN}/{tenant}/v2.0"
    return {"issuer": issuer, "authorization_endpoint": f"{base}/authorize", "token_endpoint": f"{base}/token"}


def clouds() -> Json:
    """What a client asks before its first login: the other names that the login has."""
    names = {"preferred_network": LOGIN, "preferred_cache": LOGIN, "aliases": [LOGIN]}
    where = f"https://{LOGIN}/{TENANT}/v2.0/.well-known/openid-configuration"
    return {"tenant_discovery_endpoint": where, "api-version": "1.1", "metadata": [names]}


def issue(world: World, form: Mapping[str, str]) -> Json:
    """A token for one of the audiences."""
    if form.get("grant_type") != "client_credentials":
        raise LoginRefusal(400, "unsupported_grant_type", "AADSTS70003: only client_credentials")
    client = form.get("client_id", "")
    secrets = _secrets(world).get(client)
    if secrets is None:
        raise LoginRefusal(400, "unauthorized_client", "AADSTS700016: Application not found in the directory.")
    if form.get("client_secret") not in secrets:
        raise LoginRefusal(401, "invalid_client", "AADSTS7000215: Invalid client secret provided.")
    scopes = [scope for scope in form.get("scope", "").split() if scope not in OPENID]
    audience = " ".join(scopes).removesuffix("/.default").rstrip("/")
    if audience not in AUDIENCES:
        raise LoginRefusal(400, "invalid_scope", f"AADSTS70011: The provided value for scope {audience} is not valid.")
    return {"token_type": "Bearer", "expires_in": LIFE, "access_token": sign(audience, client)}


def sign(audience: str, client: str = CLIENT_ID) -> str:
    """A token for an audience."""
    now = int(time.time())
    claims = {"aud": audience, "iss": ISSUER, "iat": now, "nbf": now, "exp": now + LIFE, "appid": client}
    return jwt.encode(claims, KEY, algorithm="HS256")


def check(header: str, audience: str = MANAGER) -> Json:
    """The claims of a token of ours for an audience; anything else is refused."""
    try:
        return jwt.decode(header.removeprefix("Bearer "), KEY, algorithms=["HS256"], audience=audience, issuer=ISSUER)
    except jwt.ExpiredSignatureError as error:
        raise Refusal(401, "ExpiredAuthenticationToken", str(error)) from None
    except jwt.InvalidTokenError as error:
        raise Refusal(401, "InvalidAuthenticationToken", str(error)) from None


def _secrets(world: World) -> dict[str, set[str]]:
    """What each application may log in with now."""
    now = datetime.now(UTC)
    made = {password.secret for password in world.passwords.values() if password.ends > now}
    return {CLIENT_ID: {CLIENT_SECRET, *made}, VAULT_ID: {VAULT_SECRET}}
