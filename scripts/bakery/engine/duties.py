"""The duties of GitLab's jobs: what tells them apart in Vault and at clouds.

A job can show only the claims of its own ID tokens, which GitLab signs for the job's text. Two of them differ by duty:
`environment`, which Vault's roles are bound to, and `aud`, because clouds read nothing but `aud` and `sub`.
"""

from typing import Literal

from bakery.clouds import CLOUDS

# Each has a role in Vault, as vault/set-up.sh names it, and files in vault/duties/.
Duty = Literal["validate", "bake-private", "bake-public", "verify", "publish", "apply"]
# GitLab's environment of these is the image: their policy in Vault reads the secrets at secret/data/<environment>.
OF_AN_IMAGE: tuple[Duty, ...] = ("bake-private", "bake-public", "verify")
# None of these actions makes a deployment, so that GitLab never refuses a job as an outdated one.
ACTIONS: dict[Duty, str] = {"bake-private": "prepare", "bake-public": "prepare", "verify": "verify"}
VAULT_TOKEN = "VAULT_ID_TOKEN"  # noqa: S105 - the name of a variable


def environment_of(duty: Duty, image: str = "") -> dict[str, str]:
    """The value of `environment` of a job. Names of images have no slash, so the two kinds never meet."""
    name = f"bakery/{image}" if duty in OF_AN_IMAGE else f"bakery-{duty}"
    return {"name": name, "action": ACTIONS.get(duty, "access")}


def id_tokens_of(duty: Duty, vault_audience: str) -> dict[str, dict[str, str]]:
    """The value of `id_tokens` of a job: a token for Vault and for each cloud, with audiences of this duty."""
    clouds = {name: audience for cloud in CLOUDS.values() for name, audience in cloud.id_tokens.items()}
    audiences = {VAULT_TOKEN: vault_audience, **clouds}
    return {name: {"aud": f"{audience}/{duty}"} for name, audience in audiences.items()}
