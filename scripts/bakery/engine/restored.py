"""Restored versions: the policy of a definition passes over a version that a person restored, until it changes.

The record's `owner` says it, which a complete version does not use otherwise: an older release refuses a
record with a field that it does not know.
"""

import hashlib
import json

from bakery.catalog import Catalog, Record
from bakery.model.retention import Retention


def name_policy(retention: Retention | None) -> str:
    """The `owner` of a version that is restored under a policy, or under none."""
    policy = retention.model_dump(exclude_defaults=True) if retention else None
    digest = hashlib.sha256(json.dumps(policy, sort_keys=True).encode()).hexdigest()
    return f"retention {digest}"


def describe_restore(catalog: Catalog, record: Record, retention: Retention) -> str:
    """When, by whom and why a version was restored that the policy passes over; empty if it does not."""
    if record.state != "complete" or record.owner != name_policy(retention):
        return ""
    restored = catalog.first_in_state(record)
    return f"restored on {restored.at[:10]} by {restored.by}: {restored.reason}"
