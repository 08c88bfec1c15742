"""Rules of security groups: moto forgets the description of one that names a group, and Terraform sees a change."""

from moto.ec2.models.security_groups import SecurityGroupRule


def install() -> None:
    SecurityGroupRule.description = property(_rule_description)  # type: ignore[method-assign, assignment]


def _rule_description(rule: SecurityGroupRule) -> str | None:
    """Model, SecurityGroupRule: each kind of source has one."""
    description: str | None = rule.ip_range.get("Description") or rule.source_group.get("Description")
    return description
