"""The stacks that cdktf wrote, in the order of what they read of each other."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

from bakery.host.errors import UsageError, suggest

# Talks to what another stack makes, and reads no output of it: cdktf's own dependency would deploy both or neither.
AFTER = {"vault-config": ("vault",)}


@dataclass(frozen=True)
class Stack:
    """A folder of Terraform files. `needs` are the stacks whose outputs it reads."""

    name: str
    folder: Path
    needs: tuple[str, ...]

    @property
    def behind(self) -> tuple[str, ...]:
        """All stacks that have to be there before this one."""
        return (*self.needs, *AFTER.get(self.name, ()))


def load(output: Path) -> list[Stack]:
    """All stacks in cdktf's output folder, in the order to apply them. Folders of former stacks are no stacks."""
    written = json.loads((output / "manifest.json").read_bytes())["stacks"]
    found = {
        name: Stack(name, output / entry["workingDirectory"], tuple(sorted(entry["dependencies"])))
        for name, entry in sorted(written.items())
    }
    order = TopologicalSorter({name: stack.behind for name, stack in found.items()})
    return [found[name] for name in order.static_order() if name in found]


def select(stacks: Sequence[Stack], names: Iterable[str]) -> list[Stack]:
    """The named stacks in the order of `stacks`, all if none is named; UsageError for one that is not there."""
    known = [stack.name for stack in stacks]
    wanted = set(names) or set(known)
    for name in sorted(wanted.difference(known)):
        hint = suggest(name, known) or f"this environment has {', '.join(sorted(known))}"
        raise UsageError(f"no stack named '{name}'", hint=hint)
    return [stack for stack in stacks if stack.name in wanted]
