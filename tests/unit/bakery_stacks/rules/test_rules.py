"""Every rule against things that violate it and things that do not: all in two stacks, through one real synth each."""

from collections import defaultdict
from pathlib import Path

import pytest
from cdktf import App
from cdktf_cdktf_provider_vault.provider import VaultProvider
from cdktf_cdktf_provider_vsphere.provider import VsphereProvider
from constructs import Construct

from bakery_stacks.base import AwsStack
from bakery_stacks.config import Environment, Settings
from bakery_stacks.program import new_app
from bakery_stacks.rules.pack import RULES
from unit.bakery_stacks.rules.examples import BAD, GOOD, Example, reference

Found = dict[str, set[str]]
CASES = [(rule.id, number) for rule in RULES for number in range(len(BAD[rule.id]))]


def built(environment: Environment, outdir: Path, examples: dict[str, list[Example]]) -> tuple[App, AwsStack]:
    """A stack with each example in a construct of its own, called like the rule."""
    app = new_app(outdir)
    stack = AwsStack(app, "tested", Settings(environment, environment.catalog, stand_in=False))
    VaultProvider(stack, "vault", address="https://vault.example")
    VsphereProvider(stack, "vsphere", user=reference(stack), password=reference(stack))
    for name, some in examples.items():
        for number, example in enumerate(some):
            example(Construct(stack, f"{name}-{number}"))
    return app, stack


def told(stack: AwsStack) -> Found:
    """The ids in what was annotated, by the name of the example."""
    found: Found = defaultdict(set)
    for node in stack.node.find_all():
        for entry in node.node.metadata:
            if entry.type in ("@cdktf/error", "@cdktf/warn"):
                name = node.node.path.removeprefix("tested").strip("/").partition("/")[0]
                found[name].add(entry.data.rpartition(" (")[2].partition(":")[0])
    return found


@pytest.fixture(scope="module")
def violations(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Found:
    app, stack = built(environment, tmp_path_factory.mktemp("bad"), BAD)
    with pytest.raises(RuntimeError, match="BKY001"):
        app.synth()
    found = told(stack)
    # A provider is the stack's own, and so is what is wrong with it: one example of a rule may be a provider.
    for scope in stack.node.children:
        if scope.node.id.startswith("BKY") and not scope.node.children:
            found[scope.node.id] = found[""] & {scope.node.id.partition("-")[0]}
    return found


@pytest.mark.parametrize(("rule", "number"), CASES)
def test_what_violates_a_rule_is_found(violations: Found, rule: str, number: int) -> None:
    """And no other rule, so that each message is about what is wrong."""
    assert violations[f"{rule}-{number}"] == {rule}


def test_what_violates_no_rule_passes(environment: Environment, tmp_path: Path) -> None:
    app, stack = built(environment, tmp_path, GOOD)
    app.synth()
    assert told(stack) == {}


def test_every_rule_has_examples_of_both() -> None:
    ids = [rule.id for rule in RULES]
    assert ids == sorted(set(ids))
    assert list(BAD) == list(GOOD) == ids
    assert all(BAD.values())
    assert all(GOOD.values())
