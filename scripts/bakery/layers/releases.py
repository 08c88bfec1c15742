"""The state of package archives: what was made from them is as new as the lists that they sign."""

import hashlib
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from bakery.host import process
from bakery.host.errors import BakeryError, OutageError
from bakery.host.parallel import threads
from bakery.layers.debian import UNDATED, AptSource, list_sources
from bakery.model.bases import Debootstrap

# apt's own fetcher: its proxies and its kinds of address are those of the installation that follows.
FETCHER = ("/usr/lib/apt/apt-helper", "-o", "Acquire::Retries=2", "-o", "Acquire::http::Timeout=20", "download-file")
FETCH_SECONDS = 120.0
DATE = re.compile(rb"^Date: (?P<date>.+)$", re.MULTILINE)
NOT_THERE = re.compile(r"\b404\b|File not found")


def read_state(spec: Debootstrap, recipe: Path, archives: Mapping[str, str] = UNDATED) -> tuple[str, ...]:
    """The SHA-256 of the signed list (InRelease) of each source of the recipe in a folder, in its order.

    A source with a dated one in `archives` is not asked, since that never changes: its line stands for it. The lists
    are compared here, and verified by apt when it installs from them. OutageError if an archive is out of reach.
    """
    sources = list_sources(spec, recipe)
    with threads(len(sources)) as submit:
        states = [submit(partial(_describe_state, source, source.use_dated(archives))) for source in sources]
        return tuple(state.result() for state in states)


def _describe_state(source: AptSource, used: AptSource) -> str:
    if used != source:
        return used.line
    return fetch_digest(_list_url(source))


def read_clock(spec: Debootstrap, recipe: Path, archives: Mapping[str, str] = UNDATED) -> int:
    """The time of the newest signed list, in seconds since 1970: no package in the archives is newer.

    Dated archives are asked as well. OutageError if an archive is out of reach.
    """
    lists = [_fetch_list(_list_url(source.use_dated(archives))) for source in list_sources(spec, recipe)]
    dates = [match["date"].decode() for match in map(DATE.search, lists) if match]
    return max((int(parsedate_to_datetime(date).timestamp()) for date in dates), default=0)


def fetch_digest(url: str) -> str:
    """The SHA-256 of a list now, InRelease of apt or repomd.xml of dnf.

    BakeryError if it is not there, OutageError if the archive does not answer.
    """
    return hashlib.sha256(_fetch_list(url)).hexdigest()


def _list_url(source: AptSource) -> str:
    return f"{source.uri.rstrip('/')}/dists/{source.suite}/InRelease"


def _fetch_list(url: str) -> bytes:
    with TemporaryDirectory(prefix="bakery-release-") as folder:
        target = Path(folder, "InRelease")
        try:
            process.run([*FETCHER, url, target], timeout=FETCH_SECONDS)
        except process.ProcessError as error:
            raise _explain_failure(url, error.tail) from error
        return target.read_bytes()


def _explain_failure(url: str, output: str) -> BakeryError:
    if NOT_THERE.search(output):
        hint = "check 'suite' and 'mirror' of the definition's base"
        return BakeryError("the package archive has no such list", where=url, hint=hint)
    return OutageError(
        "the package archive does not answer",
        where=url,
        detail=output,
        hint="check the network, and 'mirror' of the definition's base, and run again",
    )
