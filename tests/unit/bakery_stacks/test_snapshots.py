"""The whole output, so that no change goes unseen: `pytest --snapshot-update` accepts one, the diff is for review."""

from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension


@pytest.mark.parametrize("name", ["consumer-210987654321", "distribution", "images", "vault-config"])
def test_the_stack_is_as_it_was(stacks: dict[str, dict[str, Any]], name: str, snapshot: SnapshotAssertion) -> None:
    assert stacks[name] == snapshot(extension_class=JSONSnapshotExtension)
