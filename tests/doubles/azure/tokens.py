"""The login: client credentials against tokens, and what tokens are good for."""

import time
from collections.abc import Mapping

import jwt

from doubles.azure.refusal import Refusal
from doubles.azure.world import CLIENT_ID, CLIENT_SECRET, TENANT, Json

KEY = "the stand-in's own key, and of a length that HMAC likes"
LIFE = 3600  # seconds
MANAGER = "https://management.azure.com"
AUDIENCES = (MANAGER, "https://storage.azure.com")
ISSUER = f"https://sts.windows.net/{TENANT}/"


class LoginRefusal(Refusal):
    """In OAuth's own form."""

    @property
    def body(self) -> Json:  # type: ignore[override]
        return {"error": self.code, "error_description": self.message}


def discovery(url: str, tenant: str) -> Json:
    """The document that tells a client where to log in."""
    if tenant != TENANT:
        raise LoginRefusal(400, "invalid_tenant", f"AADSTS90002: Tenant '{tenant}' not found.")
    base = f"{url}/{tenant}/oauth2/v2.0"
    return {"issuer": ISSUER, "authorization_endpoint": f"{base}/authorize", "token_endpoint": f"{base}/token"}


def issue(form: Mapping[str, str]) -> Json:
    """A token for one of the two audiences."""
    if form.get("grant_type") != "client_credentials":
        raise LoginRefusal(400, "unsupported_grant_type", "AADSTS70003: only client_credentials")
    if form.get("client_id") != CLIENT_ID:
        raise LoginRefusal(400, "unauthorized_client", "AADSTS700016: Application not found in the directory.")
    if form.get("client_secret") != CLIENT_SECRET:
        raise LoginRefusal(401, "invalid_client", "AADSTS7000215: Invalid client secret provided.")
    audience = form.get("scope", "").removesuffix("/.default").rstrip("/")
    if audience not in AUDIENCES:
        raise LoginRefusal(400, "invalid_scope", f"AADSTS70011: The provided value for scope {audience} is not valid.")
    now = int(time.time())
    claims = {"aud": audience, "iss": ISSUER, "iat": now, "nbf": now, "exp": now + LIFE, "appid": CLIENT_ID}
    token = jwt.encode(claims, KEY, algorithm="HS256")
    return {"token_type": "Bearer", "expires_in": LIFE, "access_token": token}


def check(header: str) -> None:
    """Refuse what is not a token of ours for the resource manager."""
    try:
        jwt.decode(header.removeprefix("Bearer "), KEY, algorithms=["HS256"], audience=MANAGER, issuer=ISSUER)
    except jwt.ExpiredSignatureError as error:
        raise Refusal(401, "ExpiredAuthenticationToken", str(error)) from None
    except jwt.InvalidTokenError as error:
        raise Refusal(401, "InvalidAuthenticationToken", str(error)) from None
