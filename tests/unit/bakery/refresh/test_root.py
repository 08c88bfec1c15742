import errno
import io
import os
import tarfile
from pathlib import Path

import pytest

from bakery.host.errors import BakeryError
from bakery.refresh import Archives, observe_updates
from bakery.refresh.apt.root import prepare_root
from bakery.refresh.root import unpack_database

DPKG = "Package: dpkg\nStatus: install ok installed\nArchitecture: arm64\nVersion: 1.21.22\n"


def pack(files: dict[str, str], links: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
        for name, goal in links.items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, goal
            archive.addfile(entry)
    return buffer.getvalue()


def test_a_database_is_unpacked_with_its_links_inside(tmp_path: Path) -> None:
    links = {"etc/apt/trusted.gpg.d/debian.gpg": "/usr/share/keyrings/debian.gpg"}
    texts = {"var/lib/dpkg/status": DPKG, "var/lib/dpkg/arch": "arm64\namd64\n", "usr/share/keyrings/debian.gpg": "key"}
    unpack_database(pack(texts, links), tmp_path)
    assert prepare_root(tmp_path).architectures == ("arm64", "amd64")
    assert (tmp_path / "etc/apt/trusted.gpg.d/debian.gpg").read_text() == "key"
    assert (tmp_path / "etc/apt/trusted.gpg.d/debian.gpg").resolve().is_relative_to(tmp_path)


@pytest.mark.parametrize(
    ("files", "links", "message"),
    [
        ({"var/lib/rpm/rpmdb.sqlite": ""}, {}, "updates are known for apt and dnf only"),
        ({"var/lib/dpkg/status": ""}, {}, "does not list dpkg"),
        ({"../outside": "x"}, {}, "cannot be unpacked"),
        ({}, {"etc/apt/trusted.gpg": "../../../outside"}, "cannot be unpacked"),
    ],
)
def test_a_database_that_is_refused(tmp_path: Path, files: dict[str, str], links: dict[str, str], message: str) -> None:
    with pytest.raises(BakeryError, match=message):
        observe_updates(pack(files, links), Archives(tmp_path / "cache", tmp_path / "scratch"))


def test_a_full_disk_is_no_fault_of_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tarfile.TarFile, "extractall", full)
    with pytest.raises(BakeryError, match="No space left on device") as caught:
        unpack_database(pack({}, {}), tmp_path)
    assert caught.value.where == str(tmp_path)
    assert "free some space" in caught.value.hint
