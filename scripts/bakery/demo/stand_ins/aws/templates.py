"""Versions of launch templates without moto's changes: it adds to the first, and fails at later ones."""

from typing import Any

from moto.core.types import Base64EncodedString
from moto.ec2.models.launch_templates import LaunchTemplate, LaunchTemplateVersion

moto_create_version = LaunchTemplate.create_version


def replace_templates() -> None:
    """Replace moto's methods. Call this before the first template is made."""
    LaunchTemplate.create_version = create_version  # type: ignore[method-assign]


def create_version(self: LaunchTemplate, data: dict[str, Any], description: str) -> LaunchTemplateVersion:
    """Keep the template's own tags from its instances, and give user data the type that moto starts them with."""
    fields = dict(data)
    if "TagSpecifications" in data:
        fields["TagSpecifications"] = [
            entry for entry in data["TagSpecifications"] if entry["ResourceType"] != "launch-template"
        ]
    if isinstance(data.get("UserData"), str):
        fields["UserData"] = Base64EncodedString(data["UserData"])
    return moto_create_version(self, fields, description)
