"""`bakery explain`: which inputs of an image changed, and what a run would do about it."""

import json as json_format
from collections.abc import Iterator
from typing import Annotated

import typer

from bakery.cli import options
from bakery.cli.completion import complete_versions
from bakery.cli.session import find_catalog, open_session
from bakery.engine.explain import Explanation, explain_plan, explain_versions
from bakery.engine.plan import Kind
from bakery.host.errors import UsageError
from bakery.host.text import count_of
from bakery.model import documents
from bakery.model.inputs import Change, shorten_digests

NOW = "now"
ACTIONS: dict[Kind, str] = {
    "bake": "bakes",
    "wait": "decides after the bake of its parent on",
    "publish": "publishes",
    "promote": "moves the channel of",
    "pause": "does not bake",
    "keep": "keeps",
}


def explain(
    image: options.Image,
    versions: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="VERSION",
            help="One or two versions or channels: compare them instead of the present inputs.",
            autocompletion=complete_versions,
        ),
    ] = None,
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
    arch: options.Arch = options.ARCH,
    json: options.Json = False,
) -> None:
    """Show which inputs of an image changed, and what a run would do.

    Compares them with those of its newest complete version. Changes nothing. A line with '-' has an input as it was,
    one with '+' as it is now; files of roles and templates have one line each, with their mode and the first digits of
    their digest. With a version, shows what changed between the complete version before it and that one; with two,
    what differs between them.

    Example: bakery explain web

    Example: bakery explain web 1.0.3 stable
    """
    if len(versions or []) > 2:
        raise UsageError(f"{len(versions or [])} versions", hint="explain takes one or two")
    if versions:
        explanation = explain_versions(find_catalog(workspace, catalog, quiet=json), image, arch, versions)
    else:
        explanation = explain_plan(open_session(definitions, workspace, catalog, quiet=json), image)
    print(documents.dump(explanation).decode() if json else render(explanation), end="" if json else "\n")


def render(explanation: Explanation) -> str:
    """The inputs that differ as a diff, and the action of a run with its reason."""
    parts = [_render_changes(explanation)]
    if explanation.action:
        parts.append(_describe_action(explanation.action, explanation))
    return "\n\n".join(parts)


def _render_changes(explanation: Explanation) -> str:
    image, before, after = explanation.image, explanation.before, explanation.after or NOW
    if explanation.action == "wait":
        return f"{image}: its inputs are known after the bake of its parent"
    if not before:
        return f"{image}: no complete version to compare with"
    if not explanation.changes:
        return f"{image}: the inputs of {before} and of {after} are equal"
    title = f"{image}: {count_of(len(explanation.changes), 'input')} changed"
    lines = (line for change in explanation.changes for line in _diff_lines(change))
    return "\n".join([title, f"--- {image} {before}", f"+++ {image} {after}", *lines])


def _diff_lines(change: Change) -> Iterator[str]:
    """Lines with '-' and '+'. A list has them for the entries that differ, unless its order alone does."""
    before, after = _split_list(change.before), _split_list(change.after)
    if before is not None and after is not None and sorted(before) != sorted(after):
        yield from (f"- {change.input}: {entry}" for entry in before if entry not in after)
        yield from (f"+ {change.input}: {entry}" for entry in after if entry not in before)
        return
    if change.before:
        yield f"- {change.input}: {shorten_digests(change.before)}"
    if change.after:
        yield f"+ {change.input}: {shorten_digests(change.after)}"


def _split_list(value: str) -> list[str] | None:
    """The entries of a list of texts; None for any other value. No entry is there twice."""
    if not value.startswith("["):
        return None
    entries = json_format.loads(value)
    return entries if all(isinstance(entry, str) for entry in entries) and len({*entries}) == len(entries) else None


def _describe_action(action: Kind, explanation: Explanation) -> str:
    version = explanation.next_version or explanation.before
    subject = f"{explanation.image} {version}".rstrip()
    text = f"a run {ACTIONS[action]} {subject}: {explanation.reason}"
    if explanation.same_until:
        step = "the packages" if explanation.same_until == "packages" else f"the role {explanation.same_until}"
        text += f"\nnothing changed up to {step}: the bake starts from the layer there, if it is kept and holds"
    return text
