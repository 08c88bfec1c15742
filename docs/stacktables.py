"""Tables of the stacks' inputs and outputs, from the models of environments and a synth of production.yaml."""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import tables

from bakery_stacks import config, program
from bakery_stacks.channel_images import ChannelImages
from bakery_stacks.config import Environment
from bakery_stacks.rules.allowed import Exemption, read_exemptions
from bakery_stacks.rules.pack import RULES

ROOT = Path(__file__).parents[1]
INTRODUCTION = """\
A stack exists if the environment has its section. Environments are files in `cdktf/environments/`;
[production.yaml](../../cdktf/environments/production.yaml) has all sections and explains the choices.
`cdktf output STACK` reads outputs. [A page for each stack](stacks/README.md) explains its use.
"""
EXEMPTING = """\
A violation fails `cdktf synth`; a warning is only printed. To exempt a construct, the code beside it gives a reason:

```
rules.allow(bucket, "BKY030", because="A cache: what is in it can be downloaded again.")
```

An exemption covers a construct and all in it. The synth fails if the reason is missing, if the rule does not exist, or
if nothing violates the rule (any more).
"""


@dataclass(frozen=True)
class Synthesized:
    """The documented environment: outputs by stack, and exemptions from rules."""

    outputs: dict[str, dict[str, Any]]
    exemptions: tuple[Exemption, ...]


@cache
def production() -> Synthesized:
    """The stacks of production.yaml with an empty catalog, by a real synth, which also checks the rules."""
    settings = config.load_settings(ROOT / "cdktf" / "environments", {"BAKERY_ENVIRONMENT": "production"})
    with tempfile.TemporaryDirectory(prefix="bakery-docs-") as folder:
        app = program.build_app(settings, ChannelImages((), {}), Path(folder))
        app.synth()
        written = {
            path.parent.name: json.loads(path.read_bytes()) for path in Path(folder).glob("stacks/*/cdk.tf.json")
        }
    exemptions = tuple(exemption for stack in app.node.children for exemption in read_exemptions(stack))
    return Synthesized({name: stack.get("output", {}) for name, stack in sorted(written.items())}, exemptions)


def stacks() -> Iterator[str]:
    """The lines of the page on stacks."""
    schema = Environment.model_json_schema()
    parts = _parts(schema)
    yield f"# Stacks: inputs and outputs\n\n{INTRODUCTION}"
    common = {key: field for key, field in schema["properties"].items() if key not in parts}
    shown: set[str] = set(parts.values())
    yield from tables.fields("Environment", {**schema, "properties": common})
    yield from _models({"properties": common}, schema, shown)
    outputs = production().outputs
    for name in sorted(outputs.keys() | {part.replace("_", "-") for part in parts}):
        yield f"## Stack: {name}\n"
        part = parts.get(name.replace("-", "_"))
        if part:
            yield f"Its section of the environment: `{name.replace('-', '_')}`.\n"
            yield from tables.fields(part, schema["$defs"][part], "###")
            yield from _models(schema["$defs"][part], schema, shown)
        yield from _outputs(outputs[name]) if name in outputs else ["Not in production.yaml.\n"]


def rules() -> Iterator[str]:
    """The lines of the page on rules."""
    yield "# Rules for every stack\n"
    yield EXEMPTING
    yield "| rule | level | demand | reason | checks |\n|---|---|---|---|---|"
    for rule in RULES:
        kinds = ", ".join(f"`{kind}`" for kind in rule.kinds) or "everything"
        unless = "; not in a `disposable` environment" if rule.lasting else ""
        yield f"| {rule.id} | {rule.level} | {rule.demand} | {rule.reason} | {kinds}{unless} |"
    yield "\n## Exemptions in production\n"
    yield from _exemptions(production().exemptions) if production().exemptions else ["Nothing."]
    yield ""


def _exemptions(exemptions: tuple[Exemption, ...]) -> Iterator[str]:
    yield "| construct | rule | because |\n|---|---|---|"
    for exemption in exemptions:
        yield f"| `{exemption.path}` | {exemption.rule} | {exemption.because} |"


def _parts(schema: dict[str, Any]) -> dict[str, str]:
    """The sections of an environment that belong to one stack, and their models. They are optional."""
    properties = schema["properties"].items()
    return {key: name for key, field in properties if "anyOf" in field for name in tables.models(field)}


def _models(part: dict[str, Any], schema: dict[str, Any], shown: set[str]) -> Iterator[str]:
    """The models below a section, each where it is first used."""
    for name in tables.models(part):
        if name not in shown:
            shown.add(name)
            yield from tables.fields(name, schema["$defs"][name], "###")
            yield from _models(schema["$defs"][name], schema, shown)


def _outputs(outputs: dict[str, Any]) -> Iterator[str]:
    """Outputs with a description. cdktf adds others to pass values from stack to stack."""
    named = {name: output["description"] for name, output in outputs.items() if "description" in output}
    if not named:
        yield "It has no outputs.\n"
        return
    yield "| output | value |\n|---|---|"
    for name, description in named.items():
        yield f"| `{name}` | {description} |"
    yield ""
