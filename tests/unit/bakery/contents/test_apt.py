"""What a bake says of the archives of apt."""

from pathlib import Path

import pytest

from bakery.contents.apt import Listing, list_at_rest, parse_listing
from bakery.model.contents import ArchiveState, Package

# Shortened output of ansible/roles/seal/files/seal.sh on Debian 12, with an archive that apt never asked.
REPORT = """\
MetaKey: main/binary-amd64/Packages
Filename: /var/lib/apt/lists/deb.debian.org_debian_dists_bookworm_main_binary-amd64_Packages
Site: http://deb.debian.org/debian
Release: bookworm
Component: main

MetaKey: contrib/binary-amd64/Packages
Filename: /var/lib/apt/lists/deb.debian.org_debian_dists_bookworm_contrib_binary-amd64_Packages
Site: http://deb.debian.org/debian
Release: bookworm
Component: contrib

MetaKey: Packages
Filename: /var/lib/apt/lists/example.org:8080_flat_._Packages
Site: http://example.org:8080/flat
Release: ./
Component:

MetaKey: main/binary-amd64/Packages
Filename: /var/lib/apt/lists/never.example_debian_dists_bookworm_main_binary-amd64_Packages
Site: http://never.example/debian
Release: bookworm
Component: main

Filename: /var/lib/apt/lists/deb.debian.org_debian_dists_bookworm_InRelease
SHA256: aaaa
Date: Sat, 11 Jul 2026 10:16:37 UTC
Valid-Until: Sat, 18 Jul 2026 10:16:37 UTC

Filename: /var/lib/apt/lists/example.org:8080_flat_._Release
SHA256: bbbb
Date: Fri, 27 Nov 2026 03:10:32 +0100

Versions:
        acl |    2.3.1-3 | http://deb.debian.org/debian bookworm/main amd64 Packages
 libc6:i386 | 2.36-9 | http://deb.debian.org/debian bookworm/main i386 Packages
 adduser |      3.134 | http://first.example/debian bookworm/main amd64 Packages
 adduser |      3.134 | http://deb.debian.org/debian bookworm/main amd64 Packages
 tool | 1 | http://example.org:8080/flat ./ Packages
 tool | 1 | http://example.org:8080/flat ./ Sources

"""
STATES = (
    ArchiveState(
        "http://deb.debian.org/debian",
        "bookworm",
        ("contrib", "main"),
        "2026-07-11T10:16:37+00:00",
        "2026-07-18T10:16:37+00:00",
        "aaaa",
    ),
    ArchiveState("http://example.org:8080/flat", "./", (), "2026-11-27T02:10:32+00:00", "", "bbbb"),
)


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["chroot", "terminal of a guest"])
def test_archives_are_those_whose_signed_list_is_there(end: str) -> None:
    assert parse_listing(REPORT.replace("\n", end)).archives == STATES


@pytest.mark.parametrize(
    ("name", "version", "archive"),
    [
        ("acl", "2.3.1-3", "http://deb.debian.org/debian bookworm/main"),
        ("libc6", "2.36-9", "http://deb.debian.org/debian bookworm/main"),
        ("adduser", "3.134", "http://first.example/debian bookworm/main"),
        ("tool", "1", "http://example.org:8080/flat ./"),
        ("acl", "2.3.1-2", ""),
        ("local", "1", ""),
    ],
)
def test_a_version_is_of_the_first_archive_that_has_it(name: str, version: str, archive: str) -> None:
    assert parse_listing(REPORT).archive_of(Package(name, version, "amd64", name, "")) == archive


def test_a_root_without_lists_has_no_archive(tmp_path: Path) -> None:
    assert list_at_rest(tmp_path, [Package("dpkg", "1", "amd64", "dpkg", "")]) == Listing()
