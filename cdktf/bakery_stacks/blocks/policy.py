"""IAM policy documents as JSON text."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

Statement = dict[str, Any]
Principals = Mapping[str, str | Sequence[str]]
Conditions = Mapping[str, Mapping[str, str | Sequence[str]]]


def statement(
    sid: str,
    actions: Sequence[str],
    resources: Sequence[str],
    *,
    effect: Literal["Allow", "Deny"] = "Allow",
    principals: Principals | None = None,
    conditions: Conditions | None = None,
) -> Statement:
    """One statement of a policy. Policies of a role have no principals."""
    result: Statement = {"Sid": sid, "Effect": effect, "Action": list(actions), "Resource": list(resources)}
    if principals:
        result["Principal"] = dict(principals)
    if conditions:
        result["Condition"] = dict(conditions)
    return result


def policy_document(*statements: Statement) -> str:
    """A policy with these statements, as JSON."""
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def account_root(partition: str, account: str) -> str:
    """An account as a principal: its own policies decide which of its roles may act."""
    return f"arn:{partition}:iam::{account}:root"
