from pathlib import Path

import pytest

from bakery.host.errors import BakeryError
from bakery.refresh.apt.sources import Source, parse_lines, parse_stanzas, read_sources

URI = "http://deb.debian.org/debian"
STANZAS = f"""\
# Written by the installer.
Types: deb deb-src
# A comment within.
URIs: {URI} http://mirror.example/debian
Suites: trixie
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.pgp

Types: deb-src
URIs: {URI}
Suites: trixie
Components: main

Enabled: no
Types: deb
URIs: {URI}
Suites: trixie-backports
Components: main

Types: deb
URIs: {URI}
Suites: trixie-updates
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mDMEaQ
 -----END PGP PUBLIC KEY BLOCK-----
"""


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


@pytest.mark.parametrize(
    ("line", "source"),
    [
        (f"deb {URI} bookworm main contrib # ours", Source(URI, "bookworm", ("main", "contrib"), ())),
        (
            f"  deb [ arch=amd64,i386 signed-by=/etc/apt/keyrings/a.asc trusted=yes ] {URI} bookworm main",
            Source(
                URI,
                "bookworm",
                ("main",),
                (("Architectures", "amd64 i386"), ("Signed-By", "/etc/apt/keyrings/a.asc"), ("Trusted", "yes")),
            ),
        ),
        (
            f"deb [arch+=i386 check-valid-until=no] {URI} ./",
            Source(URI, "./", (), (("Architectures-Add", "i386"), ("Check-Valid-Until", "no"))),
        ),
    ],
)
def test_a_line_is_a_source(line: str, source: Source) -> None:
    assert list(parse_lines([line])) == [source]


def test_lines_that_are_no_source() -> None:
    assert list(parse_lines(["", f"# deb {URI} bookworm main", f"deb-src {URI} bookworm main"])) == []


def test_stanzas_are_sources() -> None:
    first, mirror, updates = parse_stanzas(STANZAS.splitlines())
    keys = (("Signed-By", "/usr/share/keyrings/debian-archive-keyring.pgp"),)
    assert first == Source(URI, "trixie", ("main", "contrib"), keys)
    assert mirror == Source("http://mirror.example/debian", "trixie", ("main", "contrib"), keys)
    assert updates.suite == "trixie-updates"
    assert "\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mDMEaQ\n" in updates.stanza


def test_a_stanza_is_read_as_it_was_written() -> None:
    for source in parse_stanzas(STANZAS.splitlines()):
        assert list(parse_stanzas(source.stanza.splitlines())) == [source]


def test_files_are_read_that_apt_reads(tmp_path: Path) -> None:
    write(tmp_path, "etc/apt/sources.list", f"deb {URI} bookworm main\n")
    write(tmp_path, "etc/apt/sources.list.d/more.list", f"deb {URI} bookworm contrib main\n")
    write(tmp_path, "etc/apt/sources.list.d/off.list.disabled", f"deb {URI} sid main\n")
    write(tmp_path, "etc/apt/sources.list.d/x.sources", f"Types: deb\nURIs: {URI}\nSuites: a b\nComponents: main\n")
    assert [(source.suite, source.components) for source in read_sources(tmp_path)] == [
        ("bookworm", ("contrib", "main")),
        ("a", ("main",)),
        ("b", ("main",)),
    ]


@pytest.mark.parametrize("uri", ["file:///srv/debian", "cdrom:[Debian]/", "copy:/srv/debian"])
def test_files_of_the_image_are_no_archive(tmp_path: Path, uri: str) -> None:
    """apt would look for them on the machine that refreshes."""
    write(tmp_path, "etc/apt/sources.list", f"deb {uri} bookworm main\n")
    with pytest.raises(BakeryError, match="not at a network address"):
        read_sources(tmp_path)


def test_the_first_of_a_list_of_mirrors_is_taken(tmp_path: Path) -> None:
    write(tmp_path, "etc/apt/sources.list", "deb mirror+file:///etc/apt/mirrors/debian.list bookworm main\n")
    with pytest.raises(BakeryError, match="the list of mirrors is not in the package database"):
        read_sources(tmp_path)
    write(tmp_path, "etc/apt/mirrors/debian.list", f"# by the vendor\n{URI}\tpriority:1\nhttp://other.example/\n")
    assert read_sources(tmp_path) == (Source(URI, "bookworm", ("main",), ()),)
