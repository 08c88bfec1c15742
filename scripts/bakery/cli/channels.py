"""`bakery promote` and `bakery rollback`: move a channel."""

from bakery.catalog import ChannelEntry
from bakery.cli import options
from bakery.cli.session import session
from bakery.engine.steps import promote_version, roll_back_channel
from bakery.host.text import count_of


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
    with session(
        definitions, workspace, catalog, verb="promote", must_exist=True, quiet=quiet, verbose=verbose
    ) as verb_session:
        entry = promote_version(verb_session, image, version, channel, reason)
    _show_entry(entry)


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
    """Point a channel at its previous version.

    Example: bakery rollback web stable --reason "1.0.3 does not start"
    """
    with session(
        definitions, workspace, catalog, verb="rollback", must_exist=True, quiet=quiet, verbose=verbose
    ) as verb_session:
        entry = roll_back_channel(verb_session, image, channel, reason)
    _show_entry(entry)


def _show_entry(entry: ChannelEntry) -> None:
    print(f"{entry.image} {entry.channel} -> {entry.version} ({count_of(len(entry.pointers), 'pointer')})")
