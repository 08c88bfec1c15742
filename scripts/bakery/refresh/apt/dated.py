"""Archives as they were at some time: the well-known ones, and the user's own."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from bakery.host.errors import UsageError
from bakery.refresh.apt.sources import Source

VARIABLE = "BAKERY_DATED_ARCHIVES"
DEBIAN = "http://snapshot.debian.org/archive/{name}/{{date:%Y%m%dT%H%M%SZ}}"
UBUNTU = "http://snapshot.ubuntu.com/ubuntu/{date:%Y%m%dT%H%M%SZ}"
# By the address without its scheme. https://snapshot.debian.org has the archives of Debian since 2005, and
# https://snapshot.ubuntu.com those of Ubuntu since March 2023. Packages are signed, so that http is enough for both.
WELL_KNOWN = {
    "deb.debian.org/debian": DEBIAN.format(name="debian"),
    "deb.debian.org/debian-security": DEBIAN.format(name="debian-security"),
    "security.debian.org/debian-security": DEBIAN.format(name="debian-security"),
    "security.debian.org": DEBIAN.format(name="debian-security"),
    "archive.ubuntu.com/ubuntu": UBUNTU,
    "security.ubuntu.com/ubuntu": UBUNTU,
}


def date_archives(addresses: Iterable[str], date: datetime) -> dict[str, str]:
    """The dated address of each archive for a time in UTC; its own if it has none. UsageError for a wrong variable."""
    templates = {**WELL_KNOWN, **_read_own(os.environ)}
    keys = {address.rstrip("/"): address.rstrip("/").partition("://")[2] for address in addresses}
    return {address: templates.get(key, address).format(date=date) for address, key in sorted(keys.items())}


def use_dated(source: Source, archives: Mapping[str, str]) -> Source:
    """The source with its dated archive, whose signed list has no end of validity; itself if there is none."""
    address = source.uri.rstrip("/")
    dated = archives.get(address, address)
    if dated == address:
        return source
    options = dict(source.options) | {"Check-Valid-Until": "no"}
    return replace(source, uri=dated, options=tuple(sorted(options.items())))


def _read_own(environment: Mapping[str, str]) -> dict[str, str]:
    """The archives that the environment names: ADDRESS=TEMPLATE words, by the address without its scheme."""
    own = {}
    for word in environment.get(VARIABLE, "").split():
        address, _, template = word.partition("=")
        try:
            is_dated = template.format(date=datetime.min) != template
        except (ValueError, LookupError, AttributeError):
            is_dated = False
        if "://" not in address or "://" not in template or "@" in template or not is_dated:
            raise UsageError(
                f"{VARIABLE} has '{word}', which names no dated archive",
                hint="write ADDRESS=DATED with {date:%Y%m%d} in it and no login: http://mirror/debian=http://mirror/{date:%Y%m%d}/debian",
            )
        own[address.rstrip("/").partition("://")[2]] = template.rstrip("/")
    return own
