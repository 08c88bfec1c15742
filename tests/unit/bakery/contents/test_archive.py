"""The archive of a package database: equal bytes for equal files, and no login of an archive."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from bakery.contents.archive import pack_folder


def packed_texts(folder: Path) -> dict[str, str]:
    """The regular files of the archive of a folder."""
    texts = {}
    with tarfile.open(fileobj=io.BytesIO(pack_folder(folder, ()))) as archive:
        for entry in archive:
            stream = archive.extractfile(entry)
            if stream:
                texts[entry.name] = stream.read().decode()
    return texts


@pytest.mark.parametrize(
    ("name", "text", "kept"),
    [
        (
            "etc/apt/sources.list",
            "deb [arch=amd64] https://x:p%40ss@a.example/d s main\n",
            "deb [arch=amd64] https://a.example/d s main\n",
        ),
        ("etc/apt/sources.list.d/a.sources", "URIs: https://token@a.example/d\n", "URIs: https://a.example/d\n"),
        (
            "etc/apt/apt.conf.d/proxy",
            'Acquire::http::Proxy "http://u:p@proxy.example:80/";\n',
            'Acquire::http::Proxy "http://proxy.example:80/";\n',
        ),
        ("etc/yum.repos.d/a.repo", "[a]\nusername=u\n password = p\nenabled=1\n", "[a]\nenabled=1\n"),
        ("etc/dnf/dnf.conf", "[main]\nproxy_username=u\nproxy_password=p", "[main]\n"),
        (
            "etc/apt/sources.list.d/b.list",
            "deb https://a.example/@scope/d s main\n",
            "deb https://a.example/@scope/d s main\n",
        ),
        ("var/lib/dpkg/status", "Homepage: https://u:p@a.example\n", "Homepage: https://u:p@a.example\n"),
    ],
)
def test_no_login_of_an_archive_is_packed(tmp_path: Path, name: str, text: str, kept: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_text(text)
    assert packed_texts(tmp_path) == {name: kept}


def test_only_names_modes_and_bytes_count(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "link").symlink_to("a")
    os.mkfifo(tmp_path / "pipe")
    first = pack_folder(tmp_path, ())
    os.utime(tmp_path / "a", (0, 0))
    (tmp_path / "pipe").unlink()
    assert pack_folder(tmp_path, ()) == first
    (tmp_path / "a").chmod(0o700)
    assert pack_folder(tmp_path, ()) != first
