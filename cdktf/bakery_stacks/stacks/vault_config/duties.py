"""Duties of GitLab's jobs in Vault: the same files that vault/set-up.sh writes, as values."""

import json
from pathlib import Path
from typing import Literal

from bakery.model.validation import Model, validate
from bakery_stacks.stacks.vault_config.settings import Duration, Duty, GitLab

FOLDER = Path(__file__).parents[4] / "vault"
PREFIX = "bakery-"  # prefix of the names of policies and roles, with which the pipeline logs in


class Role(Model):
    """A role of the JWT method, in the words of Vault's API."""

    role_type: Literal["jwt"]
    user_claim: str
    bound_audiences: tuple[str, ...]
    bound_claims_type: Literal["string", "glob"] = "string"
    bound_claims: dict[str, str | tuple[str, ...]]
    token_policies: tuple[str, ...]
    token_no_default_policy: bool
    token_ttl: Duration
    token_explicit_max_ttl: Duration
    token_type: Literal["service"]


def duty_role(duty: Duty, gitlab: GitLab) -> Role:
    """A duty's role for one project."""
    path = FOLDER / "duties" / f"{duty}.json"
    values = {'"PROJECT_ID"': gitlab.project_id, f'"AUDIENCE/{duty}"': f"{gitlab.audience}/{duty}"}
    text = path.read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(name, json.dumps(value))
    return validate(Role, "role", path, text)


def duty_policy(name: str, accessor: str) -> str:
    """The policy of a name that a role gives: `bakery-publish` is in vault/duties/publish.hcl.

    `accessor` is that of the JWT method, by which a policy reads the environment of a job.
    """
    text = (FOLDER / "duties" / f"{name.removeprefix(PREFIX)}.hcl").read_text(encoding="utf-8")
    return text.replace("JWT_ACCESSOR", accessor)


def snapshot_policy() -> str:
    """The policy of the machines that take snapshots."""
    return (FOLDER / "snapshot.hcl").read_text(encoding="utf-8")
