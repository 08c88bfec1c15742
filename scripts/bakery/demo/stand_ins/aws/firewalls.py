"""Security groups: moto loses the description of a rule that names a group, and deletes groups that are in use."""

from typing import Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.security_groups import SecurityGroupBackend, SecurityGroupRule

moto_delete_group: Any = SecurityGroupBackend._delete_security_group


def replace_rules() -> None:
    SecurityGroupRule.description = property(_rule_description)  # type: ignore[method-assign, assignment]
    SecurityGroupBackend._delete_security_group = _delete_unused_group  # type: ignore[assignment,method-assign]


def _rule_description(rule: SecurityGroupRule) -> str | None:
    """The rules with their descriptions, which each kind of source has (API model, SecurityGroupRule)."""
    description: str | None = rule.ip_range.get("Description") or rule.source_group.get("Description")
    return description


def _delete_unused_group(self: EC2Backend, vpc_id: str | None, group_id: str) -> None:
    """Refuse a group that an instance has (API model, DeleteSecurityGroup)."""
    for instance in self.all_instances():
        if instance.state != "terminated" and group_id in {group.id for group in instance.security_groups}:
            raise EC2ClientError("DependencyViolation", f"resource {group_id} has a dependent object")
    moto_delete_group(self, vpc_id, group_id)
