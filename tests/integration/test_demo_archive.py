"""The package archive of the demo, with the real gpg and dpkg-deb."""

import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from bakery.demo import archive, services

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("gpg") is None, reason="gpg is not installed: apt-get install gpg gpg-agent"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder of stand-ins whose path is too long for gpg's sockets."""
    folder = tmp_path / ("long" * 30)
    yield folder
    services.stop(archive.SERVICE, folder)


def get(address: str, proxy: str = "") -> str:
    """A file of the archive, asked for as apt does, directly or through a proxy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": proxy} if proxy else {}))
    with opener.open(address, timeout=30) as answer:
        return str(answer.read().decode())


def packages(uri: str, suite: str, proxy: str = "") -> list[str]:
    """The versions in the index of a suite."""
    index = get(f"{uri}/dists/{suite}/main/binary-amd64/Packages", proxy)
    return [line.removeprefix("Version: ") for line in index.splitlines() if line.startswith("Version: ")]


def test_a_patch_appears(folder: Path) -> None:
    uri = archive.start(folder)["apt_archive_uri"]
    assert (packages(uri, archive.SUITE), packages(uri, archive.SECURITY)) == (["1.0"], [])
    assert [archive.add_patch(folder), archive.add_patch(folder)] == ["1.1", "1.2"]
    assert (packages(uri, archive.SUITE), packages(uri, archive.SECURITY)) == (["1.0"], ["1.1", "1.2"])
    assert "BEGIN PGP SIGNED MESSAGE" in get(f"{uri}/dists/{archive.SECURITY}/InRelease")


def test_a_guest_takes_it_for_a_proxy(folder: Path) -> None:
    uri = archive.start(folder)["apt_archive_uri"]
    assert packages("http://elsewhere.invalid", archive.SUITE, proxy=uri) == ["1.0"]


def test_it_starts_again_with_its_key_and_packages(folder: Path) -> None:
    first = archive.start(folder)
    archive.add_patch(folder)
    assert services.stop(archive.SERVICE, folder)
    assert archive.start(folder) == first, "another key or port would be a change of the definition"
    assert packages(first["apt_archive_uri"], archive.SECURITY) == ["1.1"]
