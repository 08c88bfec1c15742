"""`bakery history`: what happened to an image and its channels."""

from typing import Annotated

import typer

from bakery.catalog import Catalog, ChannelEntry, Record
from bakery.cli import options
from bakery.cli.completion import complete_channels
from bakery.cli.session import find_catalog
from bakery.engine.overview import unknown_image
from bakery.host.errors import NotFoundError
from bakery.model import documents
from bakery.reports import render_table


def history(
    image: options.Image,
    channel: Annotated[
        str,
        typer.Argument(metavar="[CHANNEL]", help="Only the moves of this channel.", autocompletion=complete_channels),
    ] = "",
    arch: options.Arch = options.ARCH,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
    json: options.Json = False,
) -> None:
    """List versions of an image and moves of its channels.

    The oldest comes first.

    Example: bakery history web stable
    """
    events = _list_events(find_catalog(workspace, catalog, quiet=json), image, arch, channel)
    if json:
        print(documents.dump_all(events).decode(), end="")
        return
    rows = [(event.at, _event_text(event), event.by, event.reason or "-") for event in events]
    print(render_table(("time", "event", "by", "reason"), rows))


def _list_events(image_catalog: Catalog, image: str, arch: str, channel: str) -> list[Record | ChannelEntry]:
    channels = image_catalog.channel_names(image, arch)
    if channel and channel not in channels:
        raise NotFoundError(
            f"{image} has no channel '{channel}' ({arch})", hint=f"channels: {', '.join(channels) or 'none'}"
        )
    records = [] if channel else image_catalog.records(image, arch)
    if not channel and not records:
        raise unknown_image(image_catalog, image, arch)
    moves = [
        entry for name in ([channel] if channel else channels) for entry in image_catalog.history(image, arch, name)
    ]
    return sorted([*records, *moves], key=lambda event: event.at)


def _event_text(event: Record | ChannelEntry) -> str:
    if isinstance(event, Record):
        return f"{event.version} {event.state}"
    return f"{event.channel} -> {event.version or 'deleted'}{', held' if event.held else ''}"
