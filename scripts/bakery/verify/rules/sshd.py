"""The settings of the SSH server as sshd merges them from its files."""

from collections.abc import Iterator
from dataclasses import dataclass

from bakery.machine.file_tree import FileTree

MAIN = "/etc/ssh/sshd_config"
VENDOR_MAIN = "/usr/etc/ssh/sshd_config"  # where SUSE has it
OLD_NAMES = {"challengeresponseauthentication": "kbdinteractiveauthentication"}  # before OpenSSH 8.7
DEPTH = 16  # SERVCONF_MAX_DEPTH of OpenSSH's servconf.c: how deep files include others


@dataclass(frozen=True)
class Setting:
    """A line of a file; `conditional` inside of a Match block, which counts for some connections only."""

    path: str
    keyword: str
    argument: str
    conditional: bool


def read_settings(files: FileTree) -> list[Setting]:
    """All lines in the order in which sshd reads them, with keywords in lower case. An included file stands where its
    Include is.
    """
    main = MAIN if files.find(MAIN) else VENDOR_MAIN
    return list(_read_file(files, main, False, 0))


def effective_value(settings: list[Setting], keyword: str, default: str) -> str:
    """The value for all connections. The first line wins: sshd_config(5)."""
    lines = (line for line in settings if line.keyword == keyword.lower() and not line.conditional)
    return next((line.argument for line in lines), default)


def _read_file(files: FileTree, path: str, conditional: bool, depth: int) -> Iterator[Setting]:
    for line in files.read(path).splitlines():
        keyword, _, argument = line.strip().replace("=", " ", 1).partition(" ")
        keyword, argument = OLD_NAMES.get(keyword.lower(), keyword.lower()), argument.strip().strip('"')
        if not keyword or keyword.startswith("#"):
            continue
        if keyword == "match":
            conditional = argument.lower() != "all"
        elif keyword == "include" and depth < DEPTH:
            for included in _expand_patterns(files, argument):
                yield from _read_file(files, included, conditional, depth + 1)
        else:
            yield Setting(path, keyword, argument, conditional)


def _expand_patterns(files: FileTree, patterns: str) -> Iterator[str]:
    """The files that an Include names, in the order of glob(3)."""
    for pattern in patterns.replace('"', "").split():
        folder, _, name = (pattern if pattern.startswith("/") else f"/etc/ssh/{pattern}").rpartition("/")
        yield from (path for path in files.match(folder, name) if "/." not in path or name.startswith("."))
