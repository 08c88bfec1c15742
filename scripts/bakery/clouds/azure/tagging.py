"""Changes single tags of Azure resources, so that concurrent changes of other tags are kept.

Galleries have no ETags, and a PUT or PATCH of a resource replaces all of its tags. The tags API merges instead, and
removes a tag only if it has the value that is named.
"""

from typing import cast

from azure.mgmt.resource.resources.models import Tags as Properties
from azure.mgmt.resource.resources.models import TagsPatchResource

from bakery.clouds.azure.calls import explain_errors
from bakery.clouds.azure.session import AzureSession
from bakery.model.tags import Tags, wrong

PAUSE = 2  # seconds between two requests while Azure finishes a write, which takes one or two


def repair(session: AzureSession, resource: str, actual: Tags, expected: Tags) -> None:
    """Correct tags. Writes nothing if all are right."""
    if missing := wrong(actual, expected):
        merge(session, resource, missing)


def read(session: AzureSession, resource: str) -> Tags:
    """All tags of a resource."""
    with explain_errors("read the tags", resource):
        answer = session.resources.tags.get_at_scope(resource)
    return _plain_tags(answer.properties)


def merge(session: AzureSession, resource: str, tags: Tags) -> Tags:
    """Add or replace the given tags; returns all tags of the resource."""
    return _patch_tags(session, resource, "Merge", tags)


def remove(session: AzureSession, resource: str, tags: Tags) -> Tags:
    """Remove the tags that have the given values; absent tags and other values are ignored."""
    return _patch_tags(session, resource, "Delete", tags)


def _patch_tags(session: AzureSession, resource: str, operation: str, tags: Tags) -> Tags:
    with explain_errors(f"tag with {', '.join(tags)}", resource):
        patch = TagsPatchResource(operation=operation, properties=Properties(tags=tags))
        answer = session.resources.tags.begin_update_at_scope(resource, patch, polling_interval=PAUSE).result()
    return _plain_tags(answer.properties)


def _plain_tags(properties: Properties) -> Tags:
    return dict(cast("Tags", properties.tags or {}))
