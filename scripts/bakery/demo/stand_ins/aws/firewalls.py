"""Rules of security groups: moto loses the description of a rule that names a group, so Terraform shows a change."""

from moto.ec2.models.security_groups import SecurityGroupRule


def replace_rules() -> None:
    SecurityGroupRule.description = property(_rule_description)  # type: ignore[method-assign, assignment]


def _rule_description(rule: SecurityGroupRule) -> str | None:
    """The rules with their descriptions, which each kind of source has (API model, SecurityGroupRule)."""
    description: str | None = rule.ip_range.get("Description") or rule.source_group.get("Description")
    return description
