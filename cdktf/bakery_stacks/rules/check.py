"""Holds every resource of a stack against every rule."""

from typing import Any

from bakery_stacks.bindings import IConstruct, aspect, core
from bakery_stacks.rules.exposure import EXPOSURE
from bakery_stacks.rules.rule import ALLOWED, Resource, Rule

RULES: tuple[Rule, ...] = (*EXPOSURE,)


@aspect
class Check:
    """An Aspect: annotates violations, on which `App.synth` fails. (`Testing.synth` of cdktf does not.)"""

    def visit(self, node: IConstruct) -> None:
        """Called by cdktf for each construct of the stack."""
        if not isinstance(node, core.TerraformResource):
            return
        resource = _resource(node)
        for rule in RULES:
            if not _is_allowed(node, rule):
                for found in rule.find(resource):
                    _tell(node, rule, f"{resource.kind} {found} ({rule.id}: {rule.demand}; {rule.reason})")


def _resource(node: core.TerraformResource) -> Resource:
    [named] = node.to_terraform()["resource"][node.terraform_resource_type].values()
    return Resource(node.terraform_resource_type, {name: value for name, value in named.items() if name != "//"})


def _is_allowed(node: IConstruct, rule: Rule) -> bool:
    return any(_allowed_on(scope, rule) for scope in node.node.scopes)


def _allowed_on(scope: Any, rule: Rule) -> bool:
    entries = (entry.data for entry in scope.node.metadata if entry.type == ALLOWED)
    return any(entry["rule"] == rule.id for entry in entries)


def _tell(node: IConstruct, rule: Rule, message: str) -> None:
    annotations = core.Annotations.of(node)
    if rule.level == "error":
        annotations.add_error(message)
    else:
        annotations.add_warning(message)
