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
    """One statement; `principals` is left out in policies of a role."""
    result: Statement = {"Sid": sid, "Effect": effect, "Action": list(actions), "Resource": list(resources)}
    if principals:
        result["Principal"] = dict(principals)
    if conditions:
        result["Condition"] = dict(conditions)
    return result


def policy_document(*statements: Statement) -> str:
    """The policy of these statements."""
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def account_root(partition: str, account: str) -> str:
    """An account as a principal: its own policies decide who in it."""
    return f"arn:{partition}:iam::{account}:root"
