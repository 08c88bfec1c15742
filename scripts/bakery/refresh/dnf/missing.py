"""Packages of definitions that no repository of a system has, as dnf itself resolves them to install them."""

import re
from collections.abc import Sequence
from pathlib import Path

from bakery.host.errors import suggest
from bakery.host.process import ProcessError
from bakery.refresh.archives import Archives
from bakery.refresh.dnf.metadata import FAILED, fetch_lists
from bakery.refresh.dnf.root import Root, prepare_root

# A name or pattern of packages, with a version or an architecture behind it, or what a package provides. Groups and
# modules (@) can have several meanings, the lists of files need not be here, and several names may stand in one entry.
RESOLVED = re.compile(r"[A-Za-z0-9][^@/,]*(?<!\.rpm)")
# A package that the image excludes is there, and dnf has another message for it.
NO_MATCH = re.compile(r"No match for argument: (\S+)")
BEHIND_NAME = re.compile(r"-\d|[*:=~^]")


def find_missing(folder: Path, archives: Archives, entries: Sequence[str]) -> dict[str, str]:
    """Entries that dnf would not find in the archives of such an image, each with a hint, which may be empty."""
    resolved = [entry for entry in entries if RESOLVED.fullmatch(entry)]
    if not resolved:
        return {}
    root = prepare_root(folder)
    fetch_lists(root, archives)
    unmatched = _list_unmatched(root, resolved)
    missing = [entry for entry in resolved if entry in unmatched]
    offered = _list_names(root) if missing else set()
    return {entry: _hint_at_name(entry.removesuffix(f".{root.architecture}"), offered) for entry in missing}


def parse_unmatched(lines: Sequence[str]) -> set[str]:
    """The arguments of `dnf install` that it says it does not find."""
    return {match[1] for line in lines if (match := NO_MATCH.search(line))}


def _list_unmatched(root: Root, entries: Sequence[str]) -> set[str]:
    lines: list[str] = []
    try:
        root.run_dnf(
            "--cacheonly",
            "--assumeno",
            "install",
            *entries,
            stanzas=[repository.stanza for repository in root.repositories],
            on_output=lines.append,
        )
    except ProcessError as error:
        if error.returncode != FAILED:  # it also ends so if it would install something
            raise
    return parse_unmatched(lines)


def _list_names(root: Root) -> set[str]:
    stanzas = [repository.stanza for repository in root.repositories]
    query = ("repoquery", "--available", "--queryformat", "%{name}")
    return set(root.run_dnf("--cacheonly", "--quiet", *query, stanzas=stanzas).stdout.split())


def _hint_at_name(entry: str, offered: set[str]) -> str:
    name = BEHIND_NAME.split(entry)[0]
    if name in offered:
        return f"the archives have {name}, but not this version or architecture"
    return suggest(name, [offer for offer in sorted(offered) if offer[0] == name[0]])
