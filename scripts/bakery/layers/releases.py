"""The state of Debian's archives: a base is as new as the lists that they sign."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from bakery.host import files, process
from bakery.host.errors import BakeryError, OutageError
from bakery.layers.debian import read_recipe
from bakery.model.bases import Debootstrap

SOURCE = re.compile(r"deb\s+(?:\[[^]]*]\s*)?(?P<uri>\S+)\s+(?P<suite>\S+)")
# apt's own fetcher: its proxies and its kinds of address are those of the installation that follows.
FETCHER = ("/usr/lib/apt/apt-helper", "-o", "Acquire::Retries=2", "-o", "Acquire::http::Timeout=20", "download-file")
FETCH_SECONDS = 120.0
NOT_THERE = re.compile(r"\b404\b|File not found")


def read_state(spec: Debootstrap, recipe: Path) -> tuple[str, ...]:
    """The SHA-256 of the signed list (InRelease) of each source of the recipe in a folder, in its order.

    The lists are compared here, and verified by apt when it installs from them. OutageError if an archive is out of
    reach.
    """
    return tuple(_fetch_digest(_list_url(spec, source)) for source in read_recipe(recipe).sources)


def _list_url(spec: Debootstrap, source: str) -> str:
    line = source.format(mirror=spec.mirror, suite=spec.suite)
    match = SOURCE.match(line)
    if not match:
        raise BakeryError(f"not a source of apt: {line!r}", hint="write it as 'deb [OPTIONS] URI SUITE COMPONENT'")
    return f"{match['uri'].rstrip('/')}/dists/{match['suite']}/InRelease"


def _fetch_digest(url: str) -> str:
    with TemporaryDirectory(prefix="bakery-release-") as folder:
        target = Path(folder, "InRelease")
        try:
            process.run([*FETCHER, url, target], timeout=FETCH_SECONDS)
        except process.ProcessError as error:
            raise _explain_failure(url, error.tail) from error
        return files.sha256(target)


def _explain_failure(url: str, output: str) -> BakeryError:
    if NOT_THERE.search(output):
        hint = "check 'suite' and 'mirror' of the definition's base"
        return BakeryError("the archive has no such release", where=url, hint=hint)
    return OutageError(
        "the archive of the base does not answer",
        where=url,
        detail=output,
        hint="check the network, and 'mirror' of the definition's base, and run again",
    )
