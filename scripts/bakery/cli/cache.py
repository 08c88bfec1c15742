"""`bakery cache`: the layers that bakes start from."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import typer

from bakery.cli import options
from bakery.cli.consent import require_consent
from bakery.cli.session import describe_project
from bakery.host.errors import BakeryError, UsageError
from bakery.host.events import silent
from bakery.host.text import count_of
from bakery.layers.store import LIMIT, Layer, LayerStore
from bakery.model import documents
from bakery.model.documents import Strict, Time
from bakery.reports import render_table

app = typer.Typer(help="List, remove and check the layers that bakes start from.", no_args_is_help=True)

SIZE = re.compile(r"(?P<number>\d{1,15}(?:\.\d{1,15})?) ?(?P<unit>[KMGT]i?B?|B)")
PREFIXES = "BKMGT"


@dataclass(frozen=True)
class CachedLayer(Strict):
    """A layer with the time of its last use."""

    layer: Layer
    used: Time


def _parse_size(text: str) -> int:
    match = SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"'{text}' is not a size", hint="a number and a unit, such as 20GiB")
    unit = match["unit"]
    return int(float(match["number"]) * (1024 if "i" in unit else 1000) ** PREFIXES.index(unit[0]))


def render_size(size: int) -> str:
    """Bytes for people: "571 MiB", "1.4 GiB"."""
    return f"{size / (1 << 30):.1f} GiB" if size >= 1 << 30 else f"{size >> 20} MiB"


@app.command("ls")
def list_layers(workspace: options.Workspace = options.WORKSPACE, json: options.Json = False) -> None:
    """List the layers, the most recently used first.

    A layer is the disk of a bake after some of its steps. The next bake whose first steps have the same inputs starts
    there. SAVES is the time that these steps took. If BAKERY_LAYERS names a folder, the layers in it are listed; those
    in a bucket are not.

    Example: bakery cache ls
    """
    entries = _open_store(workspace).list_layers()
    if json:
        rows = [CachedLayer(layer, _format_time(used)) for layer, used in entries]
        print(documents.dump_all(rows).decode(), end="")
        return
    table = [
        (layer.key[:12], layer.image, layer.last or "packages", render_size(layer.size), f"{layer.seconds:.0f} s", used)
        for layer, used in ((layer, _format_time(used)) for layer, used in entries)
    ]
    if table:
        print(render_table(("layer", "made by", "up to", "size", "saves", "last used"), table))
    total = sum(layer.size for layer, _ in entries)
    print(f"{count_of(len(entries), 'layer')}, {render_size(total)} of {render_size(LIMIT)}")


@app.command()
def gc(
    size: Annotated[
        str | None,
        typer.Option(
            "--size",
            metavar="SIZE",
            help="Keep the most recently used layers up to this size, such as 5GiB.",
        ),
    ] = None,
    workspace: options.Workspace = options.WORKSPACE,
    yes: options.Yes = False,
) -> None:
    """Remove all layers, after a question; with --size, the least recently used ones.

    Bakes remove the least recently used ones by themselves when all together take more than 20 GiB. Without a layer, a
    bake starts from an earlier one or from its base. If BAKERY_LAYERS names a folder, this removes the layers in it, of
    all machines; those in a bucket stay. A saved boot keeps the disk of its layer until it is removed itself.

    Example: bakery cache gc --size 5GiB
    """
    limit = 0 if size is None else _parse_size(size)
    store = _open_store(workspace)
    if size is None and not yes:
        require_consent(f"remove all layers in {store.folder}?", "--yes, or --size with what may stay,")
    removed = store.collect(limit)
    print(f"{count_of(len(removed), 'layer')} removed, {render_size(sum(layer.size for layer in removed))}")


@app.command()
def verify(workspace: options.Workspace = options.WORKSPACE) -> None:
    """Compare each layer with its digest, and remove the damaged ones.

    A layer is damaged if its disk cannot be read, or is not the one that was kept; the exit code is 1 if there was one.
    Each bake checks the layer that it starts from, so this only finds a failing disk sooner. Layers in a bucket are not
    read.

    Example: bakery cache verify
    """
    store = _open_store(workspace)
    layers = [layer for layer, _ in store.list_layers()]
    damaged = [layer for layer in layers if not store.verify(layer)]
    if damaged:
        raise BakeryError(
            f"{len(damaged)} of {count_of(len(layers), 'layer')} were damaged",
            where=str(store.folder),
            detail="\n".join(f"{layer.key}: {_remove_damaged(store, layer)}" for layer in damaged),
            hint="check the disk that has them; no bake uses such a layer, and the next bakes make them again",
        )
    print(f"{count_of(len(layers), 'layer')} checked")


def _remove_damaged(store: LayerStore, layer: Layer) -> str:
    """The end of a damaged layer, for people: it may be another user's."""
    end = f"{layer.image} up to {layer.last or 'packages'}"
    try:
        store.remove(layer.key)
    except BakeryError as error:
        return f"{end}, cannot be removed: {error.message}"
    return f"{end}, removed"


def _open_store(workspace: options.Workspace) -> LayerStore:
    """The layers of the workspace, or of the folder that BAKERY_LAYERS names; UsageError if that is not there."""
    project = describe_project(workspace)
    if project.layers != project.own_layers and not project.layers.is_dir():
        raise UsageError(f"BAKERY_LAYERS names no folder: {project.layers}", hint="mount it, or make it")
    return LayerStore(project.layers, silent)


def _format_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
