"""What holds for every stack."""

import json
from typing import Any

import pytest

from bakery.catalog import Catalog
from bakery.infra.mirror import AWS_VERSION
from bakery_stacks.config import Environment, Settings

Stacks = dict[str, dict[str, Any]]
NAMES = ["distribution", "images"]


@pytest.mark.parametrize("name", NAMES)
def test_state_has_a_key_and_a_lock_of_its_own(stacks: Stacks, name: str) -> None:
    assert stacks[name]["terraform"]["backend"]["s3"] == {
        "bucket": "prod-state",
        "key": f"bakery/prod/{name}.tfstate",
        "region": "eu-west-1",
        "encrypt": True,
        "use_lockfile": True,
        "allowed_account_ids": ["123456789012"],
    }


@pytest.mark.parametrize("name", NAMES)
def test_versions_are_pinned(stacks: Stacks, name: str) -> None:
    terraform = stacks[name]["terraform"]
    assert terraform["required_version"] == ">= 1.10"
    # The mirror is looked for by this version, so both must say the same.
    assert terraform["required_providers"] == {"aws": {"source": "aws", "version": AWS_VERSION}}


@pytest.mark.parametrize("name", NAMES)
def test_every_provider_tags_and_refuses_other_accounts(stacks: Stacks, name: str) -> None:
    providers = stacks[name]["provider"]["aws"]
    assert [provider["region"] for provider in providers] == ["eu-west-1", "us-east-1"]
    assert [provider.get("alias") for provider in providers] == [None, "us-east-1"]
    for provider in providers:
        tags = {"owner": "platform", "bakery:environment": "prod", "bakery:stack": name}
        assert provider["default_tags"] == [{"tags": tags}]
        assert provider["allowed_account_ids"] == ["123456789012"]
        assert "s3_use_path_style" not in provider


@pytest.mark.parametrize("name", NAMES)
def test_a_stand_in_is_spoken_to_by_paths(synth: Any, catalog: Catalog, environment: Environment, name: str) -> None:
    stack = synth(Settings(environment, environment.catalog, stand_in=True), catalog)[name]
    assert stack["terraform"]["backend"]["s3"]["use_path_style"] is True
    assert all(provider["s3_use_path_style"] for provider in stack["provider"]["aws"])


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_this_machine_is_written_down(stacks: Stacks, name: str) -> None:
    text = json.dumps(stacks[name])
    assert __file__.split("/tests/")[0] not in text
    assert "stackTrace" not in text
