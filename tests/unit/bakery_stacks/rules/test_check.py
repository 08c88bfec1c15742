"""Rules fail a real synth, name the resource and the reason, and let off what says why."""

from pathlib import Path

import pytest

from bakery_stacks import rules
from bakery_stacks.base import AwsStack
from bakery_stacks.bindings import aws, core
from bakery_stacks.config import Environment, Settings


def stack(environment: Environment, outdir: Path) -> tuple[core.App, AwsStack]:
    app = core.App(stack_traces=False, outdir=str(outdir))
    return app, AwsStack(app, "tested", Settings(environment, environment.catalog, stand_in=False))


def opening(scope: AwsStack) -> aws.VpcSecurityGroupIngressRule:
    return aws.VpcSecurityGroupIngressRule(
        scope, "opening", security_group_id="sg-1", ip_protocol="tcp", from_port=22, to_port=22, cidr_ipv4="0.0.0.0/0"
    )


def test_a_violation_fails_the_synth(environment: Environment, tmp_path: Path) -> None:
    app, made = stack(environment, tmp_path)
    opening(made)
    with pytest.raises(RuntimeError) as caught:
        app.synth()
    assert "[tested/opening] aws_vpc_security_group_ingress_rule lets in 0.0.0.0/0 (BKY001: no ingress" in str(
        caught.value
    )


def test_a_resource_is_let_off_by_a_reason(environment: Environment, tmp_path: Path) -> None:
    app, made = stack(environment, tmp_path)
    rules.allow(opening(made), "BKY001", because="The test needs one.")
    app.synth()
    assert (tmp_path / "stacks" / "tested" / "cdk.tf.json").exists()


def test_another_rule_lets_nothing_off(environment: Environment, tmp_path: Path) -> None:
    app, made = stack(environment, tmp_path)
    rules.allow(opening(made), "BKY999", because="The test needs one.")
    with pytest.raises(RuntimeError, match="BKY001"):
        app.synth()
