"""KMS grants across accounts: the key's policy and the grant decide who may create, list and retire it.

Moto finds only keys of the caller's own account, and checks no policy.
"""

import json
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.iam.models import iam_backends
from moto.kms.exceptions import AccessDeniedException, NotFoundException
from moto.kms.models import Key, kms_backends
from moto.kms.responses import KmsResponse


def create_grant(self: KmsResponse) -> str:
    key = _find_key(self)
    request: dict[str, Any] = json.loads(self.body)
    _require_permission(self, key, "kms:CreateGrant", request)
    grantee = request["GranteePrincipal"]
    if not _principal_exists(grantee):
        raise JsonRESTError("InvalidArnException", f"There is no principal {grantee}")
    grant = key.add_grant(
        request.get("Name", ""),
        grantee,
        request["Operations"],
        constraints=request.get("Constraints", {}),
        retiring_principal=request.get("RetiringPrincipal", ""),
    )
    return json.dumps({"GrantId": grant.id, "GrantToken": grant.token})


def list_grants(self: KmsResponse) -> str:
    key = _find_key(self)
    _require_permission(self, key, "kms:ListGrants", {})
    grants = [{**grant.to_json(), "KeyId": key.arn} for grant in key.list_grants(self._get_param("GrantId"))]
    return json.dumps({"Grants": grants, "GrantCount": len(grants), "Truncated": False})


def retire_grant(self: KmsResponse) -> str:
    """The principal that the grant names may retire it, whatever the key's policy says (API model, RetireGrant)."""
    key, grant_id = _find_key(self), self._get_param("GrantId")
    grant = key.grants.get(grant_id)
    if grant is None:
        raise NotFoundException(f"There is no grant {grant_id}")
    if grant.retiring_principal != _root_arn(self.current_account):
        raise AccessDeniedException(f"{self.current_account} may not retire {grant_id}")
    key.retire_grant(grant_id)
    return "{}"


def revoke_grant(self: KmsResponse) -> str:
    key, grant_id = _find_key(self), self._get_param("GrantId")
    _require_permission(self, key, "kms:RevokeGrant", {})
    key.revoke_grant(grant_id)
    return "{}"


def _find_key(self: KmsResponse) -> Key:
    """The key, by its ID in the caller's account or by its ARN in any account, but only in its own region."""
    name, account = self._get_param("KeyId"), self.current_account
    if name.startswith("arn:"):
        _, _, _, region, account, name = name.split(":", 5)
        if region != self.region:
            raise NotFoundException(f"{self._get_param('KeyId')} is in another region")
    key = kms_backends[account][self.region].keys.get(name.removeprefix("key/"))
    if key is None:
        raise NotFoundException(f"There is no key {name} of {account} in {self.region}")
    return key


def _require_permission(self: KmsResponse, key: Key, action: str, request: dict[str, Any]) -> None:
    """Check the key's policy for other accounts only: IAM decides for the own account, and has no stand-in."""
    if self.current_account == key.account_id:
        return
    statements = json.loads(key.policy)["Statement"]
    if not any(_statement_allows(statement, self.current_account, action, request) for statement in statements):
        raise AccessDeniedException(f"{self.current_account} may not do {action} with {key.arn}")


def _statement_allows(statement: dict[str, Any], account: str, action: str, request: dict[str, Any]) -> bool:
    principals = statement.get("Principal", {})
    trusted = principals.get("AWS", []) if isinstance(principals, dict) else []
    return (
        statement["Effect"] == "Allow"
        and _root_arn(account) in ([trusted] if isinstance(trusted, str) else trusted)
        and action in statement["Action"]
        and all(
            _condition_holds(operator, name, values, request)
            for operator, tests in statement.get("Condition", {}).items()
            for name, values in tests.items()
        )
    )


def _condition_holds(operator: str, name: str, values: Any, request: dict[str, Any]) -> bool:
    """Whether the conditions of KMS on grants hold. A person's request is never one for an AWS resource."""
    allowed = [values] if isinstance(values, str) else values
    match operator, name:
        case "StringEquals", "kms:GranteePrincipal":
            return request.get("GranteePrincipal") in allowed
        case "ForAllValues:StringEquals", "kms:GrantOperations":
            return set(request.get("Operations", ())) <= set(allowed)
        case "Bool", "kms:GrantIsForAWSResource":
            return allowed == ["false"]
    raise NotImplementedError(f"the condition {operator} of {name}")


def _root_arn(account: str) -> str:
    return f"arn:aws:iam::{account}:root"


def _principal_exists(principal: str) -> bool:
    account = principal.split(":")[4]
    return principal == _root_arn(account) or any(
        role.arn == principal for role in iam_backends[account]["aws"].roles.values()
    )


HANDLERS = (create_grant, list_grants, retire_grant, revoke_grant)
