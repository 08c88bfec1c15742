from dataclasses import replace
from pathlib import Path

import pytest

from bakery.host import process
from bakery.host.errors import BakeryError, OutageError
from bakery.refresh.apt.lists import describe_request, explain_failure, identify, is_security, map_keys
from bakery.refresh.apt.root import Root
from bakery.refresh.apt.sources import Source
from bakery.refresh.archives import Archives

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
SOURCE = Source("http://deb.debian.org/debian", "bookworm", ("main",), (("Signed-By", KEYRING),))


@pytest.fixture
def root(tmp_path: Path) -> Root:
    for path in (KEYRING, "/etc/apt/trusted.gpg.d/all.asc"):
        (tmp_path / path.lstrip("/")).parent.mkdir(parents=True)
        (tmp_path / path.lstrip("/")).write_bytes(b"a key")
    return Root(tmp_path, ("amd64",))


@pytest.mark.parametrize(
    ("suite", "release"),
    [
        ("bookworm-security", {}),
        ("stable/updates", {"Label": "Debian-Security"}),
        ("jammy", {"Suite": "jammy-security"}),
        ("main", {"Origin": "Example Security Team"}),
    ],
)
def test_archives_for_security(suite: str, release: dict[str, str]) -> None:
    assert is_security(suite, release)


def test_other_archives() -> None:
    assert not is_security("bookworm-updates", {"Suite": "oldstable-updates", "Label": "Debian", "Origin": "Debian"})


def test_all_that_decides_what_an_archive_gives_is_in_its_identity(root: Root) -> None:
    identity = identify(SOURCE, root)
    assert identify(SOURCE, root) == identity
    assert identify(replace(SOURCE, components=("contrib", "main")), root) != identity
    assert identify(SOURCE, replace(root, architectures=("amd64", "i386"))) != identity
    (root.folder / KEYRING.lstrip("/")).write_bytes(b"another key")
    assert identify(SOURCE, root) != identity


def test_keys_for_all_archives_count_where_a_source_names_none(root: Root) -> None:
    open_source = replace(SOURCE, options=())
    before = identify(open_source, root), identify(SOURCE, root)
    (root.folder / "etc/apt/trusted.gpg.d/all.asc").write_bytes(b"another key")
    assert identify(open_source, root) != before[0]
    assert identify(SOURCE, root) == before[1]


def test_keyrings_are_taken_from_the_private_root(root: Root) -> None:
    assert f"Signed-By: {root.folder}{KEYRING}\n" in map_keys(SOURCE, root).stanza
    fingerprint = replace(SOURCE, options=(("Signed-By", "B8B80B5B623EAB6AD8775C45B7C5D7D6350947F8"),))
    assert map_keys(fingerprint, root) == fingerprint
    embedded = replace(SOURCE, options=(("Signed-By", "\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n /8B80B5B\n"),))
    assert map_keys(embedded, root) == embedded
    with pytest.raises(BakeryError, match=r"the keyring of .* bookworm is not in the package database") as error:
        map_keys(replace(SOURCE, options=(("Signed-By", "/opt/key.gpg"),)), root)
    assert error.value.where == "/opt/key.gpg"


def test_a_machine_without_apt_is_no_fault_of_an_archive(
    root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "which", lambda *_: None)
    archives = Archives(tmp_path / "cache", tmp_path / "scratch")
    for _ in range(2):
        with pytest.raises(BakeryError, match="apt-get is not installed") as error:
            archives.fetch(describe_request(SOURCE, root))
        assert error.value.hint == "run 'bakery doctor' to see what is missing"


@pytest.mark.parametrize(
    ("output", "message", "kind"),
    [
        ("E: ... NO_PUBKEY 6C5D6CAA58FF0578\nE: The repository 'x' is not signed.", "does not trust", BakeryError),
        (
            "W: OpenPGP signature verification failed: x: Sub-process /usr/bin/sqv returned an error code (1),"
            " error message is: Missing key 6C5D6CAA58FF0578, which is needed to verify signature.",
            "does not trust",
            BakeryError,
        ),
        ("W: The following signatures were invalid: EXPKEYSIG 6C5D6CAA58FF0578 Test", "has expired or is", BakeryError),
        ("E: Failed to fetch x  401  Unauthorized [IP: 127.0.0.1 80]", "refuses this machine", BakeryError),
        ("E: Release file for x is not valid yet (invalid for another 3h)", "has a date in the future", BakeryError),
        ("E: The repository 'x Release' no longer has a Release file.", "no signed list", BakeryError),
        ("E: The repository 'x Release' is not signed.", "is not signed", BakeryError),
        ("E: Failed to fetch x  Hash Sum mismatch", "in the middle of a sync", OutageError),
        ("E: Failed to fetch x  Temporary failure resolving 'deb.debian.org'", "cannot be reached", OutageError),
        ("E: Malformed entry 1 in sources file x (URI parse)", "cannot be read", BakeryError),
    ],
)
def test_a_failure_of_apt_is_explained(output: str, message: str, kind: type[BakeryError]) -> None:
    error = explain_failure(SOURCE, f"Hit:1 http://x\n{output}\n")
    assert error.message.startswith("the archive http://deb.debian.org/debian bookworm ")
    assert message in error.message
    assert (type(error), bool(error.hint)) == (kind, True)
    assert error.detail == output
