"""`bakery promote`, `bakery rollback` and `bakery channel`: channels of images."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated

import typer

from bakery.catalog import ChannelEntry
from bakery.cli import options
from bakery.cli.consent import require_consent
from bakery.cli.session import find_catalog, session
from bakery.engine import channels
from bakery.engine.moves import settle_move
from bakery.engine.overview import require_record, unknown_image
from bakery.engine.session import Session
from bakery.host.text import count_of
from bakery.model import documents
from bakery.model.version import ImageVersion
from bakery.reports import render_table

app = typer.Typer(
    help="List, show, release and delete channels.\n\nExample: bakery channel list web", rich_markup_mode=None
)

Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace values that somebody else wrote to the channel's pointers.")
]
New = Annotated[bool, typer.Option("--new", help="Make a channel that the image does not have.")]


def promote(
    image: options.Image,
    version: options.Version,
    channel: options.Channel,
    reason: options.Reason = "",
    new: New = False,
    overwrite: Overwrite = False,
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Point a channel at a version.

    Its pointers move in every region and account, or in none. A channel that points at an older version than the newest
    is held: no run moves it. Promoting the newest version releases it.

    Example: bakery promote web 1.0.3 stable --reason "tested in staging"
    """
    with (
        _open_session(definitions, workspace, catalog, "promote", quiet=quiet, verbose=verbose) as verb_session,
        channels.open_image_channel(verb_session, image, channel) as handle,
    ):
        record = require_record(verb_session.catalog, ImageVersion(image, handle.arch, version))
        is_new = new or verb_session.definitions.images[image].channel == channel
        entry = channels.promote(handle, record, reason, is_new=is_new, overwrite=overwrite)
    _print_entry(entry)


def rollback(
    image: options.Image,
    channel: options.Channel,
    reason: options.Reason = "",
    overwrite: Overwrite = False,
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Point a channel at the version before its own.

    It is held there: no run moves it until 'bakery promote' or 'bakery channel release' ends that.

    Example: bakery rollback web stable --reason "1.0.3 does not start"
    """
    with (
        _open_session(definitions, workspace, catalog, "rollback", quiet=quiet, verbose=verbose) as verb_session,
        channels.open_image_channel(verb_session, image, channel) as handle,
    ):
        entry = channels.rollback(handle, reason, overwrite=overwrite)
    _print_entry(entry)


@app.command("list")
def list_channels(
    image: options.Image,
    arch: options.Arch = options.ARCH,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
    json: options.Json = False,
) -> None:
    """List the channels of an image.

    Example: bakery channel list web
    """
    image_catalog = find_catalog(workspace, catalog, quiet=json)
    if (image, arch) not in image_catalog.images():
        raise unknown_image(image_catalog, image, arch)
    heads = image_catalog.heads(image, arch)
    if json:
        print(documents.dump_all(heads).decode(), end="")
    elif heads:
        rows = [_entry_row(head) for head in heads]
        print(render_table(("channel", *HEADER), [(head.channel, *row) for head, row in zip(heads, rows, strict=True)]))
    else:
        print(f"{image} has no channel: 'bakery promote {image} VERSION CHANNEL --new' makes one")


@app.command()
def show(
    image: options.Image,
    channel: options.Channel,
    arch: options.Arch = options.ARCH,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
    json: options.Json = False,
) -> None:
    """Show the pointers and the history of a channel, the newest entry last.

    Example: bakery channel show web stable
    """
    image_catalog = find_catalog(workspace, catalog, quiet=json)
    history = image_catalog.history(image, arch, channel)
    if not history and (image, arch) not in image_catalog.images():
        raise unknown_image(image_catalog, image, arch)
    if not history:
        raise channels.unknown_channel(image_catalog, image, arch, channel)
    if json:
        print(documents.dump_all(history).decode(), end="")
        return
    rows = [(pointer.account or "-", pointer.region or "-", pointer.name) for pointer in history[-1].pointers]
    if rows:
        print(render_table(("account", "region", "pointer"), rows), end="\n\n")
    print(render_table(HEADER, [_entry_row(entry) for entry in history]))


@app.command()
def release(
    image: options.Image,
    channel: options.Channel,
    reason: options.Reason = "",
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Let runs move a held channel again.

    Example: bakery channel release web stable --reason "1.0.4 has the fix"
    """
    with (
        _open_session(definitions, workspace, catalog, "release", quiet=quiet, verbose=verbose) as verb_session,
        channels.open_image_channel(verb_session, image, channel) as handle,
    ):
        entry = channels.release(handle, reason)
    _print_entry(entry)


@app.command()
def delete(
    image: options.Image,
    channel: options.Channel,
    reason: options.Reason = "",
    yes: options.Yes = False,
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Remove the pointers of a channel everywhere. Its history stays.

    A run makes the channel again if a definition names it.

    Example: bakery channel delete web candidate
    """
    with (
        _open_session(definitions, workspace, catalog, "delete", quiet=quiet, verbose=verbose) as verb_session,
        channels.open_image_channel(verb_session, image, channel) as handle,
    ):
        settle_move(handle)  # an interrupted move may be the one that makes the channel
        head = channels.require_head(handle)
        if not yes:
            count = count_of(len(head.pointers), "pointer")
            require_consent(f"delete {channel} of {image} with {count} to {head.version}?", "--yes")
        entry = channels.delete(handle, reason)
    print(f"{entry.image} {entry.channel} is deleted")


HEADER = ("version", "since", "by", "held", "reason")


def _entry_row(entry: ChannelEntry) -> tuple[str, ...]:
    state = "held" if entry.held else "-"
    return entry.version or "deleted", entry.at, entry.by, state, entry.reason or "-"


def _open_session(
    definitions: Path, workspace: Path, catalog: str, verb: str, *, quiet: bool, verbose: bool
) -> AbstractContextManager[Session]:
    return session(definitions, workspace, catalog, verb=verb, must_exist=True, quiet=quiet, verbose=verbose)


def _print_entry(entry: ChannelEntry) -> None:
    hold = ", held" if entry.held else ""
    print(f"{entry.image} {entry.channel} -> {entry.version} ({count_of(len(entry.pointers), 'pointer')}{hold})")
