"""cdktf's manifest -> stacks, each after what it reads."""

import json
from pathlib import Path

import pytest

from bakery.errors import UsageError
from bakery.infra.stacks import Stack, load, select


@pytest.fixture
def output(tmp_path: Path) -> Path:
    needs = {"apps": ["vault", "network"], "images": [], "network": [], "vault": ["network"]}
    stacks = {name: {"workingDirectory": f"stacks/{name}", "dependencies": found} for name, found in needs.items()}
    (tmp_path / "manifest.json").write_text(json.dumps({"version": "0.21.0", "stacks": stacks}))
    (tmp_path / "stacks" / "former").mkdir(parents=True)
    return tmp_path


def test_each_after_what_it_reads(output: Path) -> None:
    found = load(output)
    assert [stack.name for stack in found] == ["network", "images", "vault", "apps"]
    assert found[-1] == Stack("apps", output / "stacks" / "apps", ("network", "vault"))


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
