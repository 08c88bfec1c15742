"""The stacks that cdktf wrote, in the order of their dependencies."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

from bakery.host.errors import UsageError, suggest

# It uses resources of another stack without reading its outputs: a dependency in cdktf would deploy both or neither.
AFTER = {"vault-config": ("vault",)}


@dataclass(frozen=True)
class Stack:
    """A folder of Terraform files. `needs` are the stacks whose outputs it reads."""

    name: str
    folder: Path
    needs: tuple[str, ...]

    @property
    def behind(self) -> tuple[str, ...]:
        """All stacks that must be applied before this one."""
        return (*self.needs, *AFTER.get(self.name, ()))


def load(output: Path) -> list[Stack]:
    """All stacks in cdktf's output folder, in the order to apply them. Folders of former stacks are ignored."""
    entries = json.loads((output / "manifest.json").read_bytes())["stacks"]
    stacks = {
        name: Stack(name, output / entry["workingDirectory"], tuple(sorted(entry["dependencies"])))
        for name, entry in sorted(entries.items())
    }
    order = TopologicalSorter({name: stack.behind for name, stack in stacks.items()})
    return [stacks[name] for name in order.static_order() if name in stacks]


def select(stacks: Sequence[Stack], names: Iterable[str]) -> list[Stack]:
    """The named stacks in the order of `stacks`, all if none is named; UsageError for one that does not exist."""
    all_names = [stack.name for stack in stacks]
    selection = set(names) or set(all_names)
    for name in sorted(selection.difference(all_names)):
        hint = suggest(name, all_names) or f"this environment has {', '.join(sorted(all_names))}"
        raise UsageError(f"no stack named '{name}'", hint=hint)
    return [stack for stack in stacks if stack.name in selection]
