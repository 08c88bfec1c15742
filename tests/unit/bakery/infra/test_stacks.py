"""cdktf's manifest -> stacks, each after what it reads."""

import json
from pathlib import Path

import pytest

from bakery.host.errors import UsageError
from bakery.infra.stacks import Stack, load, select


@pytest.fixture
def output(tmp_path: Path) -> Path:
    needs = {"apps": ["vault", "network"], "images": [], "network": [], "vault": ["network"]}
    (tmp_path / "stacks" / "former").mkdir(parents=True)
    return _written(tmp_path, needs)


def _written(output: Path, needs: dict[str, list[str]]) -> Path:
    stacks = {name: {"workingDirectory": f"stacks/{name}", "dependencies": found} for name, found in needs.items()}
    (output / "manifest.json").write_text(json.dumps({"version": "0.21.0", "stacks": stacks}))
    return output


def test_each_after_what_it_reads(output: Path) -> None:
    found = load(output)
    assert [stack.name for stack in found] == ["network", "images", "vault", "apps"]
    assert found[-1] == Stack("apps", output / "stacks" / "apps", ("network", "vault"))


def test_what_is_in_vault_comes_after_vault(tmp_path: Path) -> None:
    """Though it reads no output of it; and it is there without it, too."""
    both = {"network": [], "vault": ["network"], "vault-config": []}
    assert [stack.name for stack in load(_written(tmp_path, both))] == ["network", "vault", "vault-config"]
    assert [stack.name for stack in load(_written(tmp_path, {"vault-config": []}))] == ["vault-config"]


def test_all_or_those_that_are_named_in_that_order(output: Path) -> None:
    stacks = load(output)
    assert select(stacks, []) == stacks
    assert [stack.name for stack in select(stacks, ["vault", "network", "vault"])] == ["network", "vault"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [("netwrok", "did you mean 'network'?"), ("former", "this environment has apps, images, network, vault")],
)
def test_a_name_that_is_not_there(output: Path, name: str, hint: str) -> None:
    with pytest.raises(UsageError, match=f"no stack named '{name}'") as caught:
        select(load(output), ["network", name])
    assert caught.value.hint == hint
