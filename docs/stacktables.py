"""Inputs and outputs of the stacks: models of environments, and a synth of production."""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import tables

from bakery_stacks import config, program
from bakery_stacks.config import Environment
from bakery_stacks.published import Published
from bakery_stacks.rules.allowed import Exemption, exemptions
from bakery_stacks.rules.pack import RULES

ROOT = Path(__file__).parents[1]
INTRODUCTION = """\
A stack exists where its part of the environment is there. Environments are files in `cdktf/environments/`;
[production.yaml](../../cdktf/environments/production.yaml) has them all and says what to choose. Outputs are read by
`cdktf output STACK`. By hand: [a page per stack](stacks/README.md).
"""
EXEMPTING = """\
A violation fails `cdktf synth`; a warning is printed. Where something has to stay, the code beside it says why:

```
rules.allow(bucket, "BKY030", because="A cache: what is in it can be downloaded again.")
```

That covers a construct with all in it. It is refused without a reason, for a rule that does not exist, and where
nothing violates the rule (any more).
"""


@dataclass(frozen=True)
class Synthesized:
    """The documented environment: outputs by stack, and what its code lets off."""

    outputs: dict[str, dict[str, Any]]
    exemptions: tuple[Exemption, ...]


@cache
def production() -> Synthesized:
    """The stacks of production.yaml with an empty catalog, by a real synth: the rules are asked as well."""
    settings = config.load(ROOT / "cdktf" / "environments", {"BAKERY_ENVIRONMENT": "production"})
    with tempfile.TemporaryDirectory(prefix="bakery-docs-") as folder:
        app = program.build(settings, Published((), {}), Path(folder))
        app.synth()
        written = {
            path.parent.name: json.loads(path.read_bytes()) for path in Path(folder).glob("stacks/*/cdk.tf.json")
        }
    let_off = tuple(one for stack in app.node.children for one in exemptions(stack))
    return Synthesized({name: stack.get("output", {}) for name, stack in sorted(written.items())}, let_off)


def stacks() -> Iterator[str]:
    """The lines of the page on stacks."""
    schema = Environment.model_json_schema()
    parts = _parts(schema)
    yield f"# Stacks: inputs and outputs\n\n{INTRODUCTION}"
    common = {key: field for key, field in schema["properties"].items() if key not in parts}
    told: set[str] = set(parts.values())
    yield from tables.fields("Environment", {**schema, "properties": common})
    yield from _models({"properties": common}, schema, told)
    outputs = production().outputs
    for name in sorted(outputs.keys() | {part.replace("_", "-") for part in parts}):
        yield f"## Stack: {name}\n"
        part = parts.get(name.replace("-", "_"))
        if part:
            yield f"Its part of the environment: `{name.replace('-', '_')}`.\n"
            yield from tables.fields(part, schema["$defs"][part], "###")
            yield from _models(schema["$defs"][part], schema, told)
        yield from _outputs(outputs[name]) if name in outputs else ["Not in production.yaml.\n"]


def rules() -> Iterator[str]:
    """The lines of the page on rules."""
    yield "# Rules that every stack keeps\n"
    yield EXEMPTING
    yield "| rule | level | demand | because | asked about |\n|---|---|---|---|---|"
    for rule in RULES:
        kinds = ", ".join(f"`{kind}`" for kind in rule.kinds) or "everything"
        unless = "; not where the environment is `disposable`" if rule.lasting else ""
        yield f"| {rule.id} | {rule.level} | {rule.demand} | {rule.reason} | {kinds}{unless} |"
    yield "\n## What is let off in production\n"
    yield from _exemptions(production().exemptions) if production().exemptions else ["Nothing."]
    yield ""


def _exemptions(found: tuple[Exemption, ...]) -> Iterator[str]:
    yield "| construct | rule | because |\n|---|---|---|"
    for one in found:
        yield f"| `{one.path}` | {one.rule} | {one.because} |"


def _parts(schema: dict[str, Any]) -> dict[str, str]:
    """The parts of an environment that are a stack's own, and their models: those that may be left out."""
    found = schema["properties"].items()
    return {key: name for key, field in found if "anyOf" in field for name in tables.models(field)}


def _models(part: dict[str, Any], schema: dict[str, Any], told: set[str]) -> Iterator[str]:
    """The models below a part, each where it is first needed."""
    for name in tables.models(part):
        if name not in told:
            told.add(name)
            yield from tables.fields(name, schema["$defs"][name], "###")
            yield from _models(schema["$defs"][name], schema, told)


def _outputs(outputs: dict[str, Any]) -> Iterator[str]:
    """Without those that cdktf makes to hand values from stack to stack, which have no description."""
    named = {name: output["description"] for name, output in outputs.items() if "description" in output}
    if not named:
        yield "It hands nothing out.\n"
        return
    yield "| output | value |\n|---|---|"
    for name, description in named.items():
        yield f"| `{name}` | {description} |"
    yield ""
