"""Rules fail a real synth, name the resource and the reason, and exempt what gives a reason."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cdktf import App
from cdktf_cdktf_provider_aws.iam_role_policy import IamRolePolicy
from cdktf_cdktf_provider_aws.kms_alias import KmsAlias
from cdktf_cdktf_provider_aws.kms_key import KmsKey
from cdktf_cdktf_provider_aws.vpc_security_group_ingress_rule import VpcSecurityGroupIngressRule
from constructs import Construct

from bakery.host.errors import BakeryError
from bakery_stacks import rules
from bakery_stacks.base import AwsStack
from bakery_stacks.config import Environment, Settings
from bakery_stacks.program import new_app
from bakery_stacks.rules.pack import RULES

REASON = "The test needs an open door."
Made = tuple[App, AwsStack]


@pytest.fixture
def made(environment: Environment, tmp_path: Path) -> Made:
    return make(environment, tmp_path)


def make(environment: Environment, outdir: Path) -> Made:
    app = new_app(outdir)
    return app, AwsStack(app, "tested", Settings(environment, environment.catalog, stand_in=False))


def opening(scope: Construct, name: str = "opening") -> Any:
    return VpcSecurityGroupIngressRule(
        scope, name, security_group_id="sg-1", ip_protocol="tcp", from_port=22, to_port=22, cidr_ipv4="0.0.0.0/0"
    )


def refused(app: App) -> str:
    with pytest.raises(RuntimeError) as caught:
        app.synth()
    return str(caught.value)


def test_a_violation_fails_the_synth(made: Made) -> None:
    app, stack = made
    opening(Construct(stack, "inside"))
    message = "[tested/inside/opening] aws_vpc_security_group_ingress_rule lets in 0.0.0.0/0 (BKY001: no ingress"
    assert message in refused(app)


def test_a_value_of_another_stack_is_no_hindrance(made: Made) -> None:
    """cdktf reads the other stack's state for it, by a block that is no construct of ours."""
    app, stack = made
    key = KmsKey(stack, "key", enable_key_rotation=True, lifecycle=stack.data_lifecycle())
    other = AwsStack(app, "other", stack.settings)
    KmsAlias(other, "alias", name="alias/a", target_key_id=key.key_id)
    opening(other)
    assert "[other/opening] aws_vpc_security_group_ingress_rule lets in 0.0.0.0/0" in refused(app)


def test_a_warning_does_not_and_is_in_the_manifest(made: Made, tmp_path: Path) -> None:
    app, stack = made
    document = {"Statement": [{"Effect": "Allow", "Action": "ec2:DeregisterImage", "Resource": "*"}]}
    IamRolePolicy(stack, "policy", role="a", policy=json.dumps(document))
    app.synth()
    [annotation] = json.loads((tmp_path / "manifest.json").read_bytes())["stacks"]["tested"]["annotations"]
    assert (annotation["level"], annotation["constructPath"]) == ("@cdktf/warn", "tested/policy")
    assert "allows ec2:DeregisterImage on every resource (BKY052: " in annotation["message"]


@pytest.mark.parametrize("place", [lambda inside: inside, lambda inside: inside.node.scope])
def test_a_construct_is_let_off_by_a_reason(
    made: Made, tmp_path: Path, place: Callable[[Construct], Construct]
) -> None:
    app, stack = made
    rules.allow(place(opening(Construct(stack, "inside"))), "BKY001", because=REASON)
    app.synth()
    text = (tmp_path / "stacks" / "tested" / "cdk.tf.json").read_text()
    assert REASON not in text


def test_what_has_a_like_name_is_not_let_off(made: Made) -> None:
    app, stack = made
    rules.allow(opening(stack, "opening"), "BKY001", because=REASON)
    opening(stack, "opening-2")
    assert "[tested/opening-2]" in refused(app)


def test_another_rule_lets_nothing_off(made: Made) -> None:
    app, stack = made
    rules.allow(opening(stack), "BKY002", because=REASON)
    message = refused(app)
    assert "[tested/opening] aws_vpc_security_group_ingress_rule lets in 0.0.0.0/0" in message
    assert "[tested/opening] is exempt from BKY002, which nothing here violates" in message


@pytest.mark.parametrize(
    ("rule", "because", "error"),
    [
        ("BKY999", REASON, "there is no rule BKY999"),
        ("BKY001", "", "'' does not say why BKY001 may be violated"),
        ("BKY001", "not needed here", "'not needed here' does not say why BKY001 may be violated"),
    ],
)
def test_an_exemption_names_a_rule_and_says_why(made: Made, rule: str, because: str, error: str) -> None:
    door = opening(made[1])
    with pytest.raises(BakeryError, match=error) as caught:
        rules.allow(door, rule, because=because)
    assert caught.value.where == "tested/opening"


def test_what_is_disposable_may_be_destroyed(environment: Environment, tmp_path: Path) -> None:
    """And exemptions from the rules that are not asked then are not missed."""
    app, stack = make(environment.model_copy(update={"disposable": True}), tmp_path / "disposable")
    key = KmsKey(stack, "key", enable_key_rotation=True)
    rules.allow(key, "BKY033", because="It encrypts nothing but this test.")
    app.synth()
    assert [rule.id for rule in RULES if rule.lasting] == ["BKY033"]
