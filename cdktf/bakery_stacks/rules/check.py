"""Checks a stack against every rule."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import jsii
from cdktf import Annotations, IAspect, TerraformStack
from constructs import IConstruct

from bakery_stacks.rules.allowed import Exemption, read_exemptions
from bakery_stacks.rules.pack import RULES
from bakery_stacks.rules.rule import Resource, Rule, Stack, view_stack


@dataclass(frozen=True)
class Violation:
    """A rule, and the construct that violates it."""

    path: str
    rule: Rule
    message: str

    def is_exempt(self, exemption: Exemption) -> bool:
        """Whether the exemption covers this violation."""
        return exemption.rule == self.rule.id and exemption.covers(self.path)


@jsii.implements(IAspect)
class Check:
    """An Aspect that annotates violations, which make `App.synth` fail. (`Testing.synth` of cdktf does not.)

    It checks the whole stack at once: a resource alone does not show which others refer to it, nor what its references
    lead to. A disposable environment need not keep the rules that protect data.
    """

    def __init__(self, *, disposable: bool) -> None:
        self._rules = [rule for rule in RULES if not (rule.lasting and disposable)]

    def visit(self, node: IConstruct) -> None:
        """cdktf calls this for each construct, the stack first."""
        if not isinstance(node, TerraformStack):
            return
        rule_ids = {rule.id for rule in self._rules}
        violations = list(_find_violations(self._rules, view_stack(node.to_terraform(), node.node.path)))
        stack_exemptions = [exemption for exemption in read_exemptions(node) if exemption.rule in rule_ids]
        for violation in violations:
            if not any(map(violation.is_exempt, stack_exemptions)):
                _add_annotation(node, violation.path, violation.rule.level, violation.message)
        for exemption in stack_exemptions:
            if not any(violation.is_exempt(exemption) for violation in violations):
                _add_annotation(
                    node,
                    exemption.path,
                    "error",
                    f"is exempt from {exemption.rule}, which nothing here violates: remove the exemption",
                )


def _find_violations(rules: list[Rule], stack: Stack) -> Iterator[Violation]:
    by_kind: dict[str, list[Rule]] = defaultdict(list)
    for rule in rules:
        for kind in rule.kinds:
            by_kind[kind].append(rule)
    everywhere = [rule for rule in rules if not rule.kinds]
    for resource in stack.resources:
        for rule in (*by_kind[resource.kind], *everywhere):
            for fault in rule.find(resource, stack):
                yield Violation(resource.path, rule, _violation_text(resource, rule, fault))


def _violation_text(resource: Resource, rule: Rule, fault: str) -> str:
    return f"{resource.kind} {fault} ({rule.id}: {rule.demand}; {rule.reason})"


def _add_annotation(stack: TerraformStack, path: str, level: Literal["error", "warning"], message: str) -> None:
    annotations = Annotations.of(_find_construct(stack, path))
    if level == "error":
        annotations.add_error(message)
    else:
        annotations.add_warning(message)


def _find_construct(stack: TerraformStack, path: str) -> IConstruct:
    construct: IConstruct = stack
    for name in path.removeprefix(stack.node.path).split("/")[1:]:
        construct = construct.node.find_child(name)
    return construct
