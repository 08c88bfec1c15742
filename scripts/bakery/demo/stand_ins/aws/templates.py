"""Versions of launch templates as the caller asked for them: moto adds to the first, and stumbles over later ones."""

from typing import Any

from moto.core.types import Base64EncodedString
from moto.ec2.models.launch_templates import LaunchTemplate, LaunchTemplateVersion

moto_create_version = LaunchTemplate.create_version


def install() -> None:
    """Before the first template is made."""
    LaunchTemplate.create_version = create_version  # type: ignore[method-assign]


def create_version(self: LaunchTemplate, data: dict[str, Any], description: str) -> LaunchTemplateVersion:
    """Tags of the template itself are none of its machines'; user data gets the type that moto starts them with."""
    fields = dict(data)
    if "TagSpecifications" in data:
        fields["TagSpecifications"] = [
            entry for entry in data["TagSpecifications"] if entry["ResourceType"] != "launch-template"
        ]
    if isinstance(data.get("UserData"), str):
        fields["UserData"] = Base64EncodedString(data["UserData"])
    return moto_create_version(self, fields, description)
