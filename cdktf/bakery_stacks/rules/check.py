"""Holds a stack against every rule."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import jsii
from cdktf import Annotations, IAspect, TerraformStack
from constructs import IConstruct

from bakery_stacks.rules.allowed import Exemption, exemptions
from bakery_stacks.rules.pack import RULES
from bakery_stacks.rules.rule import Resource, Rule, Stack, view


@dataclass(frozen=True)
class Finding:
    """A violated rule, at the construct that violates it."""

    path: str
    rule: Rule
    message: str

    def is_let_off(self, exemption: Exemption) -> bool:
        """Whether the exemption is about this."""
        return exemption.rule == self.rule.id and exemption.covers(self.path)


@jsii.implements(IAspect)
class Check:
    """An Aspect: annotates violations, on which `App.synth` fails. (`Testing.synth` of cdktf does not.)

    It looks at the whole stack at once, since a resource alone does not show what refers to it, nor what its own
    references lead to. Rules for what has to last are left out where the environment is disposable.
    """

    def __init__(self, *, disposable: bool) -> None:
        self._rules = [rule for rule in RULES if not (rule.lasting and disposable)]

    def visit(self, node: IConstruct) -> None:
        """Called by cdktf for each construct, the stack first."""
        if not isinstance(node, TerraformStack):
            return
        asked = {rule.id for rule in self._rules}
        findings = list(_findings(self._rules, view(node.to_terraform(), node.node.path)))
        let_off = [one for one in exemptions(node) if one.rule in asked]
        for found in findings:
            if not any(map(found.is_let_off, let_off)):
                _tell(node, found.path, found.rule.level, found.message)
        for one in let_off:
            if not any(found.is_let_off(one) for found in findings):
                _tell(node, one.path, "error", f"is let off {one.rule}, which nothing here violates: take that away")


def _findings(rules: list[Rule], stack: Stack) -> Iterator[Finding]:
    by_kind: dict[str, list[Rule]] = defaultdict(list)
    for rule in rules:
        for kind in rule.kinds:
            by_kind[kind].append(rule)
    everywhere = [rule for rule in rules if not rule.kinds]
    for resource in stack.resources:
        for rule in (*by_kind[resource.kind], *everywhere):
            for wrong in rule.find(resource, stack):
                yield Finding(resource.path, rule, _message(resource, rule, wrong))


def _message(resource: Resource, rule: Rule, wrong: str) -> str:
    return f"{resource.kind} {wrong} ({rule.id}: {rule.demand}; {rule.reason})"


def _tell(stack: TerraformStack, path: str, level: Literal["error", "warning"], message: str) -> None:
    annotations = Annotations.of(_construct(stack, path))
    if level == "error":
        annotations.add_error(message)
    else:
        annotations.add_warning(message)


def _construct(stack: TerraformStack, path: str) -> IConstruct:
    found: IConstruct = stack
    for name in path.removeprefix(stack.node.path).split("/")[1:]:
        found = found.node.find_child(name)
    return found
