"""Has apt take packages from dated archives: `date_archives.py '{"ADDRESS": "DATED ADDRESS"}' [/etc/apt]`.

It runs in the image. Each changed line stays above its replacement as a comment, which seal.sh restores.
"""

import json
import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

LINE = re.compile(r"(deb(?:-src)?)\s+(?:\[([^]]*)]\s*)?(\S+)(.*)")
FIELD = re.compile(r"URIs:\s*(\S.*)", re.IGNORECASE)
BEGIN, END = "#bakery# ", "#bakery#"


def main(archives: dict[str, str], folder: Path) -> None:
    for path in (
        folder / "sources.list",
        *folder.glob("sources.list.d/*.list"),
        *folder.glob("sources.list.d/*.sources"),
    ):
        if path.is_file():
            before = path.read_text()
            after = "\n".join(change_lines(before.split("\n"), archives))
            if after != before:
                path.resolve().write_text(after)


def change_lines(lines: list[str], archives: dict[str, str]) -> list[str]:
    """All lines, with a dated archive where there is one. A line that was changed before stays."""
    changed, kept = [], False
    for line in lines:
        kept = line.startswith(BEGIN) or (kept and line != END)
        replacement = [] if kept else change_line(line, archives)
        changed += [f"{BEGIN}{line}", *replacement, END] if replacement else [line]
    return changed


def change_line(line: str, archives: dict[str, str]) -> list[str]:
    """The lines in place of a line; none if it names no archive that has a dated one."""
    if match := LINE.fullmatch(line):
        kind, options, address, rest = match.groups()
        dated = date_address(address, archives)
        options = f"{options or ''} check-valid-until=no".lstrip()
        return [f"{kind} [{options}] {dated}{rest}"] if dated != address else []
    if match := FIELD.fullmatch(line):
        addresses = match[1].split()
        dated_all = [date_address(address, archives) for address in addresses]
        return [f"URIs: {' '.join(dated_all)}", "Check-Valid-Until: no"] if dated_all != addresses else []
    return []


def date_address(address: str, archives: dict[str, str]) -> str:
    """The dated address of an archive, with the login of the archive on the same host alone; else its own address."""
    if address.startswith("mirror+file:"):
        text = Path(address.removeprefix("mirror+file:")).read_text()
        mirrors = [line.split()[0] for line in text.splitlines() if line.strip() and not line.startswith("#")]
        return date_address(mirrors[0], archives) if mirrors and mirrors[0].rstrip("/") in archives else address
    login, _, host = urlsplit(address).netloc.rpartition("@")
    dated = archives.get(address.replace(f"{login}@", "", 1).rstrip("/") if login else address.rstrip("/"))
    if dated is None:
        return address
    return dated.replace("://", f"://{login}@", 1) if login and urlsplit(dated).netloc == host else dated


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else "/etc/apt"))
