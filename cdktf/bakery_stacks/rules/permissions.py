"""Rules on permissions."""

import re
from collections.abc import Iterator

from bakery_stacks.rules.documents import WILDCARD, Statement, allow_statements, is_readable
from bakery_stacks.rules.rule import Resource, Rule, Stack

# Their policies allow nothing: they limit what other policies allow.
NARROWING = ("aws_vpc_endpoint", "aws_vpc_endpoint_policy", "aws_organizations_policy")
IDENTITIES = ("aws_iam_group_policy", "aws_iam_policy", "aws_iam_role", "aws_iam_role_policy", "aws_iam_user_policy")
ACCOUNT_ROOT = re.compile(r"^arn:[^:]+:iam::(.+):root$")
# Condition keys that make a policy not public for S3 Block Public Access, and AWS's newer keys of that kind.
PRINCIPAL_KEYS = re.compile(
    r"^(aws:(Principal(Account|Arn|OrgID|OrgPaths)|Source(Account|Arn|Ip|OrgID|OrgPaths|Owner|Vpc|Vpce)|VpcSourceIp|userid)"
    r"|kms:CallerAccount|s3:(DataAccessPointAccount|DataAccessPointArn))$",
    re.IGNORECASE,
)
# Such a condition is true for almost everybody, or for requests without the key.
LOOSE = re.compile(r"Not|IfExists$|^Null$|^ForAllValues:")
READING = re.compile(r"^(BatchCheck|BatchGet|Check|Describe|Get|Head|List|Lookup|Query|Scan|Search|View)")
# Services and actions without resources (AWS's service authorization reference).
WITHOUT_RESOURCE = re.compile(
    r"^(ec2messages:.*|ssmmessages:.*|cloudwatch:PutMetricData|ssm:UpdateInstanceInformation|xray:Put.*)$"
)


def _public_grant(resource: Resource, _: Stack) -> Iterator[str]:
    if resource.kind in NARROWING:
        return
    for statement in allow_statements(resource):
        if WILDCARD in statement.principals and not any(map(_limits_principal, statement.conditions)):
            yield f"allows everybody to do {', '.join(statement.actions)}"


def _limits_principal(condition: tuple[str, str]) -> bool:
    operator, key = condition
    return bool(PRINCIPAL_KEYS.match(key)) and not LOOSE.search(operator)


def _wildcard_actions(resource: Resource, stack: Stack) -> Iterator[str]:
    if resource.kind in NARROWING:
        return
    for statement in allow_statements(resource):
        wide = [action for action in statement.actions if action.partition(":")[2] in ("*", "") and "*" in action]
        if wide and not (wide == ["kms:*"] and _is_own_account(statement, stack)):
            yield f"allows {', '.join(wide)}"
    if not is_readable(resource):
        yield "has a document that no rule can read: write it as JSON text"


def _is_own_account(statement: Statement, stack: Stack) -> bool:
    """AWS's default key policy: without it, nobody could manage the key. The account's own policies say who may."""
    providers = stack.of_kind("provider.aws")
    accounts = {account for provider in providers for account in provider.arguments.get("allowed_account_ids", ())}
    roots = [ACCOUNT_ROOT.match(principal) for principal in statement.principals]
    return bool(roots) and all(root and (root[1] in accounts or root[1].startswith("${")) for root in roots)


def _writes_anywhere(resource: Resource, _: Stack) -> Iterator[str]:
    """A statement with a principal is part of a resource's own policy, where * is that resource."""
    for statement in allow_statements(resource):
        if WILDCARD in statement.resources and not (statement.conditions or statement.principals):
            wide = [action for action in statement.actions if _is_write(action)]
            if wide:
                yield f"allows {', '.join(wide)} on every resource"


def _is_write(action: str) -> bool:
    return not READING.match(action.partition(":")[2]) and not WITHOUT_RESOURCE.match(action)


PERMISSIONS = (
    Rule(
        "BKY050",
        "error",
        "no policy grants access to everybody",
        "a principal * without a condition on the caller means every AWS customer",
        (),
        _public_grant,
    ),
    Rule(
        "BKY051",
        "error",
        "no wildcard actions",
        "a service gets new actions every month, and the wildcard allows them",
        (),
        _wildcard_actions,
    ),
    Rule(
        "BKY052",
        "warning",
        "statements that allow writing name their resources",
        "an attacker with the role cannot reach other resources",
        (*IDENTITIES, "data.aws_iam_policy_document"),
        _writes_anywhere,
    ),
)
