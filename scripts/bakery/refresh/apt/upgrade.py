"""Updates of a Debian or Ubuntu system, with apt itself as the solver: it respects holds, pins and conflicts.

The same lists tell whether there is a package at all.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from bakery.host.errors import BakeryError, suggest
from bakery.host.process import ProcessError
from bakery.model.observations import Archive, Update, Upgrade
from bakery.refresh.apt.dated import date_archives, use_dated
from bakery.refresh.apt.lists import LISTS, describe_request, map_keys
from bakery.refresh.apt.root import FAILED, Root, prepare_root
from bakery.refresh.apt.sources import Source, read_sources
from bakery.refresh.archives import Archives

INSTALL = re.compile(r"^Inst (\S+) ", re.MULTILINE)
REMOVE = re.compile(r"^Remv (\S+) ", re.MULTILINE)
KEPT_BACK = re.compile(r"^The following packages have been kept back:\n((?:  .*\n)+)", re.MULTILINE)
# `apt-cache policy` prints a package without indentation, its versions, and below each the archives that have it.
PACKAGE = re.compile(r"(\S+):")
KNOWN = re.compile(r"  (Installed|Candidate): (\S+)")
VERSION = re.compile(r" (?:\*\*\*|   ) (\S+) -?\d+")
OFFER = re.compile(r" {7,}-?\d+ (?P<uri>\S+) (?P<suite>\S+?)(?:/[^/ ]*)? .*Packages")
NO_VERSION = "(none)"
# The name of one package; apt also takes patterns and tasks. A version or an architecture may stand behind it.
NAME = re.compile(r"([a-z0-9][a-z0-9.+-]+)(?::[a-z0-9-]+)?(?:=.*)?")


@dataclass(frozen=True)
class Simulation:
    """Names of packages that apt would install or upgrade, would remove, and keeps back."""

    installs: tuple[str, ...]
    removals: tuple[str, ...]
    held: tuple[str, ...]


@dataclass
class Policy:
    """The versions of a package. `offers` are the (address, suite) of archives, by the version that they have."""

    installed: str = ""
    candidate: str = ""
    offers: dict[str, list[tuple[str, str]]] = field(default_factory=dict)


def observe_updates(folder: Path, archives: Archives) -> tuple[tuple[Archive, ...], Upgrade]:
    """The archives of an image whose package database is unpacked, and the upgrade that they have for it."""
    root = prepare_root(folder)
    return _observe_upgrade(root, _require_sources(folder), archives)


def observe_dated(folder: Path, archives: Archives, date: datetime) -> tuple[dict[str, str], Upgrade]:
    """The dated address of each archive of such an image, and the upgrade that they have for it.

    An archive that has no dated one is asked as it is now.
    """
    root = prepare_root(folder)
    sources = _require_sources(folder)
    dated = date_archives([source.uri for source in sources], date)
    _, upgrade = _observe_upgrade(root, [use_dated(source, dated) for source in sources], archives)
    return dated, upgrade


def find_missing(folder: Path, archives: Archives, entries: Sequence[str]) -> dict[str, str]:
    """Entries whose package no archive of such an image has, each with a hint at a similar one, which may be empty."""
    names = {entry: match[1] for entry in entries if (match := NAME.fullmatch(entry))}
    if not names:
        return {}
    root = prepare_root(folder)
    sources = _require_sources(folder)
    states = archives.fetch_all([describe_request(source, root) for source in sources])
    listing, lists = _link_lists(root, sources, states, archives)
    asked = dict.fromkeys(names.values())
    policies = parse_policies(root.run_apt("apt-cache", "policy", *asked, sources=listing, lists=lists).stdout)
    missing = {entry: name for entry, name in names.items() if name not in policies}
    if not missing:
        return {}
    offered = root.run_apt("apt-cache", "pkgnames", sources=listing, lists=lists).stdout.split()
    return {
        entry: suggest(name, [offer for offer in offered if offer[0] == name[0]]) for entry, name in missing.items()
    }


def _require_sources(folder: Path) -> tuple[Source, ...]:
    sources = read_sources(folder)
    if not sources:
        raise BakeryError("the image names no package archive", hint="add a source to /etc/apt/sources.list.d")
    return sources


def _observe_upgrade(root: Root, sources: Sequence[Source], archives: Archives) -> tuple[tuple[Archive, ...], Upgrade]:
    states = archives.fetch_all([describe_request(source, root) for source in sources])
    return states, _solve_upgrade(root, sources, states, archives)


def parse_simulation(text: str) -> Simulation:
    """The answer of `apt-get --simulate full-upgrade`."""
    held = KEPT_BACK.search(text)
    return Simulation(tuple(INSTALL.findall(text)), tuple(REMOVE.findall(text)), tuple(held[1].split()) if held else ())


def parse_policies(text: str) -> dict[str, Policy]:
    """The answer of `apt-cache policy PACKAGE…`, by the name of the package."""
    policies: dict[str, Policy] = {}
    policy, version = Policy(), ""
    for line in text.splitlines():
        if match := PACKAGE.fullmatch(line):
            policy = policies[match[1]] = Policy()
        elif match := KNOWN.fullmatch(line):
            setattr(policy, match[1].lower(), "" if match[2] == NO_VERSION else match[2])
        elif match := VERSION.fullmatch(line):
            version = match[1]
            policy.offers[version] = []
        elif match := OFFER.fullmatch(line):
            policy.offers[version].append(_suite_key(match["uri"], match["suite"]))
    return policies


def describe_upgrade(simulation: Simulation, policies: Mapping[str, Policy], states: Sequence[Archive]) -> Upgrade:
    """The upgrade that a simulation names, with what the policies and archives know of each package."""
    changes = sorted(_describe_update(name, policies[name], states) for name in simulation.installs)
    return Upgrade(
        updates=tuple(update for update in changes if update.installed),
        added=tuple(update for update in changes if not update.installed),
        removed=tuple(sorted(simulation.removals)),
        held=tuple(sorted(_describe_update(name, policies[name], states) for name in simulation.held)),
    )


def _solve_upgrade(root: Root, sources: Sequence[Source], states: Sequence[Archive], archives: Archives) -> Upgrade:
    listing, lists = _link_lists(root, sources, states, archives)
    try:
        answer = root.run_apt("apt-get", "--simulate", "full-upgrade", sources=listing, lists=lists)
        simulation = parse_simulation(answer.stdout)
        names = [*simulation.installs, *simulation.held]
        text = root.run_apt("apt-cache", "policy", *names, sources=listing, lists=lists).stdout if names else ""
    except ProcessError as error:
        if error.returncode != FAILED:
            raise
        raise BakeryError("apt finds no way to upgrade the packages of the image", detail=error.tail) from error
    return describe_upgrade(simulation, parse_policies(text), states)


def _link_lists(
    root: Root, sources: Sequence[Source], states: Sequence[Archive], archives: Archives
) -> tuple[Path, Path]:
    """A file with all sources, and a folder with their lists."""
    for state in states:
        archives.link_lists(state, root.folder)
    listing = root.folder / "all.sources"
    listing.write_text("\n".join(map_keys(source, root).stanza for source in sources))
    return listing, root.folder / LISTS


def _describe_update(name: str, policy: Policy, states: Sequence[Archive]) -> Update:
    security = {_suite_key(state.uri, state.suite) for state in states if state.security}
    # Also those between: an archive may have a newer version that a fix of a security archive came before.
    passed = [version for version in policy.offers if _is_newer(version, policy.installed, policy.candidate)]
    offers = policy.offers[policy.candidate]
    return Update(
        name,
        policy.installed,
        policy.candidate,
        suite=next((suite for uri, suite in offers if (uri, suite) in security), offers[0][1] if offers else ""),
        security=any(offer in security for version in passed for offer in policy.offers[version]),
    )


def _is_newer(version: str, installed: str, candidate: str) -> bool:
    from debian.debian_support import Version

    if version == candidate:
        return True
    return bool(installed) and Version(installed) < Version(version) < Version(candidate)


def _suite_key(uri: str, suite: str) -> tuple[str, str]:
    return uri.rstrip("/"), suite.rstrip("/")
