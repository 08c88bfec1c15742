"""Options that several verbs share, each written once."""

from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bakery.catalog import VERSION
from bakery.cli import reportfile
from bakery.cli.completion import DEFAULT_ARCH, complete_channels, complete_images, complete_versions
from bakery.clouds import BUILDERS, CLOUDS
from bakery.engine import channels, updates
from bakery.host import parallel
from bakery.host.errors import UsageError

# Choices of options. mypy cannot know members that are not written out.
BuilderName = StrEnum("BuilderName", list(BUILDERS))  # type: ignore[misc]
TargetName = StrEnum("TargetName", ["all", *CLOUDS])  # type: ignore[misc]


class FailOn(StrEnum):
    """A finding about a new disk that makes a bake fail."""

    DIFFERENCE = "difference"


def _check_channel(name: str) -> str:
    """Refuse a text that cannot be a channel's name before any work is done; empty if the option is absent."""
    if name:
        channels.require_name(name)
    return name


def _check_version(text: str) -> str:
    if not VERSION.fullmatch(text):
        raise UsageError(f"'{text}' is not a version", hint="three numbers, such as 1.0.3; 'bakery catalog' lists them")
    return text


def _parse_time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"'{text}' is not a time", hint="ISO 8601, such as 2026-01-31T12:00:00+00:00") from error
    if time.tzinfo is None:
        raise UsageError(f"'{text}' names no time zone", hint=f"for UTC, write '{time.isoformat()}+00:00'")
    return time


Images = Annotated[
    list[str] | None,
    typer.Argument(metavar="IMAGE", help="Image names; all if none is given.", autocompletion=complete_images),
]
Image = Annotated[str, typer.Argument(metavar="IMAGE", help="Image name.", autocompletion=complete_images)]
Definitions = Annotated[
    Path, typer.Option("--definitions", envvar="BAKERY_DEFINITIONS", help="Folder of image definitions.")
]
CatalogAt = Annotated[
    str, typer.Option("--catalog", envvar="BAKERY_CATALOG", help="Folder or s3://BUCKET/PREFIX of the catalog.")
]
Workspace = Annotated[
    Path, typer.Option("--workspace", envvar="BAKERY_WORKSPACE", help="Folder for artifacts, logs and caches.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as a JSON document.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show failures only.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show everything that happens.")]
Jobs = Annotated[
    int,
    typer.Option(
        "--jobs",
        "-j",
        min=1,
        envvar="BAKERY_JOBS",
        show_default="one for each two cores and 3 GiB of free memory",
        help="Images to work on in parallel.",
    ),
]
Reason = Annotated[str, typer.Option("--reason", help="The reason, which the channel's history keeps.")]
Version = Annotated[
    str,
    typer.Argument(
        metavar="VERSION",
        help="Version, such as 1.0.3.",
        callback=_check_version,
        autocompletion=complete_versions,
    ),
]
Channel = Annotated[
    str,
    typer.Argument(
        metavar="CHANNEL",
        help="Channel name, such as stable.",
        callback=_check_channel,
        autocompletion=complete_channels,
    ),
]
FollowingChannel = Annotated[
    str, typer.Option("--channel", help="Channel to move, instead of the definition's.", callback=_check_channel)
]
MaxAge = Annotated[int, typer.Option("--max-age", min=1, help="Hours after which a refresh counts as old.")]
JunitReport = Annotated[
    Path | None,
    typer.Option("--junit", help="Write a JUnit report to this file, for CI.", callback=reportfile.check_writable),
]
Rebuild = Annotated[bool, typer.Option("--rebuild", help="Bake these images again, even if nothing is due.")]
BakedBefore = Annotated[
    datetime | None,
    typer.Option(
        "--baked-before",
        metavar="TIME",
        parser=_parse_time,
        help="A version that was baked before this time is due, as with --rebuild; for jobs of a pipeline.",
    ),
]
FailOnDifference = Annotated[
    FailOn | None,
    typer.Option(
        "--fail-on",
        help="Fail an image whose new disk has other content than its newest version, although both were baked from "
        "the same inputs and archives.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]
Arch = Annotated[str, typer.Option("--arch", help="Architecture of the image.")]

DEFINITIONS = Path("packer/images")
WORKSPACE = Path(".bakery")
CATALOG = ""  # the workspace's own
ARCH = DEFAULT_ARCH
ALL = TargetName("all")
MAX_AGE = int(updates.MAX_AGE / timedelta(hours=1))
# A bake keeps two cores busy, and a guest has 2 GiB. With more emulated guests than pairs of cores, none ends sooner.
JOBS = parallel.count_jobs(cores=2, memory=3 << 30)
