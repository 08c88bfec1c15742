"""Log in to Vault as the VAULT_* variables say."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bakery.host.errors import BakeryError

if TYPE_CHECKING:
    import hvac

LOGIN_HINT = "set VAULT_TOKEN, or VAULT_ROLE_ID and VAULT_SECRET_ID, or VAULT_JWT and VAULT_ROLE"


def check_token(client: "hvac.Client") -> None:
    import hvac.exceptions

    try:
        client.auth.token.lookup_self()
    except hvac.exceptions.Forbidden as error:
        if "invalid token" not in str(error):
            return  # a token without the default policy is valid, but may not look itself up
        raise BakeryError(
            "VAULT_TOKEN is expired, revoked or wrong", where=client.url, hint="log in again and set the new token"
        ) from error


def obtain_token(client: "hvac.Client", env: Mapping[str, str]) -> None:
    import hvac.exceptions

    jwt = env.get("VAULT_JWT") or env.get("VAULT_ID_TOKEN")
    try:
        if env.get("VAULT_ROLE_ID") and env.get("VAULT_SECRET_ID"):
            method = "AppRole"
            client.auth.approle.login(env["VAULT_ROLE_ID"], env["VAULT_SECRET_ID"])
        elif jwt and env.get("VAULT_ROLE"):
            method = "JWT"
            client.auth.jwt.jwt_login(env["VAULT_ROLE"], jwt, path=env.get("VAULT_JWT_MOUNT") or "jwt")
        else:
            raise BakeryError("no login for Vault is set", where=client.url, hint=LOGIN_HINT)
    except (hvac.exceptions.InvalidRequest, hvac.exceptions.Forbidden, hvac.exceptions.InvalidPath) as error:
        raise BakeryError(
            f"Vault refused the {method} login",
            where=client.url,
            detail=", ".join(error.errors or ()),
            hint="check whether it expired, was used up, or is for another role",
        ) from error
