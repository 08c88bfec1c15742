"""The lists of package archives, InRelease of apt and repomd.xml of dnf: one that is unchanged has no newer package."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from bakery.host import process
from bakery.host.errors import BakeryError, OutageError
from bakery.host.parallel import threads
from bakery.layers.debian import UNDATED, AptSource, list_sources
from bakery.layers.mirrors import HINT, METALINK, MIRRORLIST, list_mirrors, read_metalink
from bakery.model.bases import Debootstrap

# apt's own fetcher: its proxies and its kinds of address are those of the installation that follows.
FETCHER = ("/usr/lib/apt/apt-helper", "-o", "Acquire::Retries=2", "-o", "Acquire::http::Timeout=20", "download-file")
FETCH_SECONDS = 120.0
LIST_BYTES = 4 << 20  # the largest lists, InRelease of Debian and Ubuntu, have about 300 KB
# For a list of mirrors and what it names: the host that an image trusts decides, and none that this one names. As dnf
# does, ask caches on the way for what is new, and take an answer of any type.
DIRECT = (
    *("-o", "Acquire::http::AllowRedirect=false"),
    *("-o", "Acquire::http::No-Cache=true"),
    *("-o", "Acquire::http::SendAccept=false"),
)
MIRRORS = 3  # of a list, which are asked in turn
ONCE = ("-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=5")  # another mirror is asked sooner than one again
DATE = re.compile(rb"^Date: (?P<date>.+)$", re.MULTILINE)
REDIRECTED = re.compile(r"^ +30[12378] ", re.MULTILINE)
NOT_THERE = re.compile(r"^ +404 |File not found", re.MULTILINE)


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

    Before the address of a list of mirrors is METALINK or MIRRORLIST. A metalink has the digest itself; of a
    mirrorlist, the first mirror that answers counts, as it does for dnf. BakeryError if the list is not there or
    cannot be read, OutageError if the archive does not answer.
    """
    if url.startswith(METALINK):
        return read_metalink(_fetch_list(url.removeprefix(METALINK), *DIRECT))
    if url.startswith(MIRRORLIST):
        repomd = _fetch_from_mirrors(list_mirrors(_fetch_list(url.removeprefix(MIRRORLIST), *DIRECT)))
        return hashlib.sha256(repomd).hexdigest()
    return hashlib.sha256(_fetch_list(url)).hexdigest()


def _fetch_from_mirrors(mirrors: Sequence[str]) -> bytes:
    """repomd.xml of the first mirror that answers."""
    errors = []
    for mirror in mirrors[:MIRRORS]:
        try:
            return _fetch_list(f"{mirror.rstrip('/')}/repodata/repomd.xml", *DIRECT, *ONCE)
        except BakeryError as error:
            errors.append(f"{error.where}: {error.message}")
    raise OutageError(f"none of the first {MIRRORS} mirrors answers", detail="\n".join(errors), hint=HINT)


def _list_url(source: AptSource) -> str:
    return f"{source.uri.rstrip('/')}/dists/{source.suite}/InRelease"


def _fetch_list(url: str, *options: str) -> bytes:
    with TemporaryDirectory(prefix="bakery-release-") as folder:
        target = Path(folder, "InRelease")
        try:
            limit = ("/usr/bin/prlimit", f"--fsize={LIST_BYTES}")
            process.run([*limit, *FETCHER, *options, "--", url, target], timeout=FETCH_SECONDS)
        except process.ProcessError as error:
            if target.exists() and target.stat().st_size >= LIST_BYTES:
                raise BakeryError(f"the answer is longer than {LIST_BYTES >> 20} MiB", where=url) from error
            raise _explain_failure(url, error.tail) from error
        return target.read_bytes()


def _explain_failure(url: str, output: str) -> BakeryError:
    if NOT_THERE.search(output):
        hint = "check its address: that of a Debian base is made of 'mirror' and 'suite' in the definition"
        return BakeryError("the package archive has no such list", where=url, hint=hint)
    if REDIRECTED.search(output):
        return BakeryError("it leads to another address, which is not asked", where=url, hint=HINT)
    return OutageError(
        "the package archive does not answer",
        where=url,
        detail=output,
        hint="check the network and the address: that of a Debian base is 'mirror' in the definition",
    )
