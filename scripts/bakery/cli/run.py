"""`bakery run`: all steps for every image that needs them, parents first."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from bakery.cli import options
from bakery.cli.consent import ask_before_leaving
from bakery.cli.session import session
from bakery.engine.run import PublishedVersion, Run, run_images
from bakery.engine.steps import BakeOptions
from bakery.host.text import count_of, describe_duration
from bakery.model import documents
from bakery.reports import render_table


def run(
    images: options.Images = None,
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
    rebuild: options.Rebuild = False,
    fail_on: options.FailOnDifference = None,
    jobs: options.Jobs = options.JOBS,
    yes: options.Yes = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Bring images up to date.

    Plans, bakes, verifies, publishes and records each image that needs it, parents first.

    Looks for all that these images need before the first bake, and names everything that is missing: secrets and
    credentials in Vault, logins at targets, signing keys, programs, free disk.

    Asks before it takes a version back from a region or account that its definition does not name any more.

    With --rebuild, each named image gets a new version, baked from its base as it is now and from no layer. Images that
    are built on it follow in a later run, if its content changed.

    The environment variable BAKERY_NOTIFY names the recipients of notices about new versions and failures: topics,
    and webhooks by their paths in Vault.

    Example: bakery run web

    Example: bakery run --rebuild web

    Example: bakery run --rebuild --fail-on difference web
    """
    with session(definitions, workspace, catalog, verb="run", json=json, quiet=quiet, verbose=verbose) as verb_session:
        if not yes:
            ask_before_leaving(verb_session, images)
        how = BakeOptions(fail_on_difference=fail_on is not None)
        result = run_images(verb_session, images, jobs, how, rebuild=rebuild)
        if json:
            print(documents.dump_all(result.records).decode(), end="")
        elif result.published and not quiet:
            print(render(result), flush=True)  # an error follows on another stream
        result.require_success()
    if json or quiet:
        return
    if result.published:
        print(f"next: '{show_command(result.published[-1], workspace, catalog)}' shows the ID at each location")
    else:
        print("nothing to do: every image is up to date")


def render(result: Run) -> str:
    """The versions that are live now, the seconds of their steps, and the totals."""
    header = ("image", "version", "target", "locations", "channel")
    tables = [render_table(header, [row for version in result.published for row in _publication_rows(version)])]
    if steps := [row for version in result.published for row in _step_rows(version)]:
        tables.append(render_table(("image", "step", "time"), steps))
    return "\n\n".join([*tables, _count_totals(result)])


def show_command(version: PublishedVersion, workspace: Path, catalog: str) -> str:
    """The command that shows a version, with the options of this call that are not its defaults."""
    record = version.record
    command = ["bakery", "show", f"{record.image}@{version.channel or record.version}"]
    if record.arch != options.ARCH:
        command += ["--arch", record.arch]
    if str(workspace) != os.environ.get("BAKERY_WORKSPACE", str(options.WORKSPACE)):
        command += ["--workspace", str(workspace)]
    if catalog != os.environ.get("BAKERY_CATALOG", options.CATALOG):
        command += ["--catalog", catalog]
    return shlex.join(command)


def _publication_rows(version: PublishedVersion) -> Iterator[tuple[str, ...]]:
    record = version.record
    for publication in record.publications:
        locations = str(len(publication.locations))
        yield record.image, record.version, publication.target, locations, _channel_cell(version)


def _channel_cell(version: PublishedVersion) -> str:
    """The channel, and its move if there was one."""
    if not version.channel:
        return "-"
    if version.before == version.record.version:
        return version.channel
    return f"{version.channel} {f'{version.before} ' if version.before else ''}-> {version.record.version}"


def _step_rows(version: PublishedVersion) -> Iterator[tuple[str, str, str]]:
    for step, seconds in version.seconds.items():
        last = version.last_seconds.get(step)
        comparison = f" (last time {_seconds_cell(last)})" if last else ""
        yield version.record.image, step, f"{_seconds_cell(seconds)}{comparison}"


def _seconds_cell(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 1 else "under 1 s"


def _count_totals(result: Run) -> str:
    locations = sum(len(publication.locations) for record in result.records for publication in record.publications)
    published = f"{count_of(len(result.published), 'image')} at {count_of(locations, 'location')}"
    unchanged = f"; {len(result.unchanged)} unchanged" if result.unchanged else ""
    return f"{published} in {describe_duration(result.seconds)}{unchanged}"
