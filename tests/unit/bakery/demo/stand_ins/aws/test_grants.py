"""KMS grants of another account: the key's policy decides who makes one, the grant itself who retires it."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from doubles.aws.client import HOME_ACCOUNT, StandIn

CONSUMER = "210987654321"
SERVICE = "autoscaling.amazonaws.com"
ROLE = f"arn:aws:iam::{CONSUMER}:role/aws-service-role/{SERVICE}/AWSServiceRoleForAutoScaling"
ROOT = f"arn:aws:iam::{CONSUMER}:root"


def allow(*actions: str, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": "*", "Principal": {"AWS": ROOT}, **more}


def made(cloud: StandIn, *statements: dict[str, Any]) -> dict[str, Any]:
    """What to ask of a key of the owner whose policy has these statements for the consumer."""
    owner = allow("kms:*", Principal={"AWS": f"arn:aws:iam::{HOME_ACCOUNT}:root"})
    policy = json.dumps({"Version": "2012-10-17", "Statement": [owner, *statements]})
    arn = cloud.client("kms").create_key(Policy=policy)["KeyMetadata"]["Arn"]
    return {"KeyId": arn, "GranteePrincipal": ROLE, "Operations": ["Decrypt"], "RetiringPrincipal": ROOT}


@pytest.fixture
def service_role(cloud: StandIn) -> None:
    cloud.client("iam", account=CONSUMER).create_service_linked_role(AWSServiceName=SERVICE)


@pytest.mark.usefixtures("service_role")
def test_a_grant_is_made_seen_and_retired_from_another_account(cloud: StandIn) -> None:
    kms = cloud.client("kms", account=CONSUMER)
    request = made(cloud, allow("kms:CreateGrant", "kms:ListGrants"))
    grant = kms.create_grant(**request)["GrantId"]
    [seen] = kms.list_grants(KeyId=request["KeyId"])["Grants"]
    assert (seen["GrantId"], seen["GranteePrincipal"]) == (grant, ROLE)
    with pytest.raises(ClientError, match="AccessDenied"):
        cloud.client("kms").retire_grant(KeyId=request["KeyId"], GrantId=grant)
    kms.retire_grant(KeyId=request["KeyId"], GrantId=grant)
    assert kms.list_grants(KeyId=request["KeyId"])["Grants"] == []


@pytest.mark.usefixtures("service_role")
@pytest.mark.parametrize(
    "condition",
    [
        {"StringEquals": {"kms:GranteePrincipal": [f"{ROLE}_other"]}},
        {"ForAllValues:StringEquals": {"kms:GrantOperations": ["Encrypt"]}},
        {"Bool": {"kms:GrantIsForAWSResource": "true"}},
    ],
)
def test_the_policys_conditions_count(cloud: StandIn, condition: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        cloud.client("kms", account=CONSUMER).create_grant(**made(cloud, allow("kms:CreateGrant", Condition=condition)))


@pytest.mark.usefixtures("service_role")
def test_without_a_right_there_is_nothing_to_see_or_revoke(cloud: StandIn) -> None:
    kms, request = cloud.client("kms", account=CONSUMER), made(cloud, allow("kms:CreateGrant"))
    grant = kms.create_grant(**request)["GrantId"]
    with pytest.raises(ClientError, match="AccessDenied"):
        kms.list_grants(KeyId=request["KeyId"])
    with pytest.raises(ClientError, match="AccessDenied"):
        kms.revoke_grant(KeyId=request["KeyId"], GrantId=grant)
    cloud.client("kms").revoke_grant(KeyId=request["KeyId"], GrantId=grant)


def test_whom_a_grant_is_for_must_exist(cloud: StandIn) -> None:
    with pytest.raises(ClientError, match="InvalidArnException"):
        cloud.client("kms", account=CONSUMER).create_grant(**made(cloud, allow("kms:CreateGrant")))


def test_keys_do_not_leave_their_region(cloud: StandIn) -> None:
    with pytest.raises(ClientError, match="NotFoundException"):
        cloud.client("kms", "us-east-1").create_grant(**made(cloud))
