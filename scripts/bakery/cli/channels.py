"""`bakery promote` and `bakery rollback`: move a channel."""

from bakery.catalog import ChannelEntry
from bakery.cli import options
from bakery.cli.session import session
from bakery.engine import channels
from bakery.engine import steps as line


def promote(
    image: options.Image,
    version: options.Version,
    channel: options.Channel,
    reason: options.Reason = "",
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Point a channel at a version.

    Its pointers move in every region and account, or in none.

    Example: bakery promote web 1.0.3 stable --reason "tested in staging"
    """
    with session(definitions, workspace, catalog, verb="promote", quiet=quiet, verbose=verbose) as opened:
        found = opened.definitions.select([image])[0]
        record = opened.catalog.record(image, found.arch, version)
        with line.targets(opened, found) as targets:
            moved = channels.promote(opened.catalog, record, channel, reason, targets, opened.report)
    _report(moved)


def rollback(
    image: options.Image,
    channel: options.Channel,
    reason: options.Reason = "",
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Point a channel at its version before.

    Example: bakery rollback web stable --reason "1.0.3 does not start"
    """
    with session(definitions, workspace, catalog, verb="rollback", quiet=quiet, verbose=verbose) as opened:
        found = opened.definitions.select([image])[0]
        with line.targets(opened, found) as targets:
            moved = channels.rollback(opened.catalog, image, found.arch, channel, reason, targets, opened.report)
    _report(moved)


def _report(moved: ChannelEntry) -> None:
    print(f"{moved.image} {moved.channel} -> {moved.version} ({len(moved.pointers)} pointers)")
