"""The list of apt's archives that decides whether a layer still holds, with the real apt."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from bakery.model.resources import SHIPPED
from doubles.apt_archive import AptArchive, apt_archive

pytestmark = pytest.mark.integration

SCRIPT = SHIPPED / "ansible" / "playbooks" / "layers" / "list_archives.sh"


class Apt:
    """apt with files of its own in a folder, and these lines as its sources."""

    def __init__(self, folder: Path, *sources: str) -> None:
        for name in ("etc/preferences.d", "lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True)
        (folder / "status").touch()
        (folder / "etc" / "sources.list").write_text("".join(f"{line}\n" for line in sources))
        (folder / "apt.conf").write_text(
            f'Dir::Etc "{folder}/etc"; Dir::State::lists "{folder}/lists"; Dir::State::status "{folder}/status";\n'
            f'Dir::Cache "{folder}/cache"; APT::Sandbox::User "root"; Acquire::Languages "none";\n'
        )
        self._environment = os.environ | {"APT_CONFIG": str(folder / "apt.conf")}

    def update(self) -> None:
        subprocess.run(["apt-get", "update", "-q"], env=self._environment, check=True, capture_output=True)

    def list_archives(self) -> list[str]:
        """What the script prints."""
        answer = subprocess.run(
            ["sh", "-eu", SCRIPT], env=self._environment, check=True, capture_output=True, text=True
        )
        return answer.stdout.splitlines()


def sign(archive: AptArchive, folder: Path) -> str:
    """The option of a source that trusts an archive."""
    key = folder / "key.asc"
    key.write_text(archive.key)
    return f"[signed-by={key}]"


def test_an_archive_without_packages_counts(tmp_path: Path) -> None:
    """Its first package may be a patch."""
    with apt_archive(tmp_path / "archive") as archive:
        archive.add_package("test", "some-package", "1")
        archive.sign_suite("test-security")
        source = f"deb {sign(archive, tmp_path)} {archive.uri}"
        apt = Apt(tmp_path / "apt", f"{source} test main", f"{source} test-security main")
        apt.update()
        assert set(apt.list_archives()) == {
            f"{archive.uri}/dists/{suite}/InRelease {hashlib.sha256(archive.signed_list(suite)).hexdigest()}"
            for suite in ("test", "test-security")
        }


def test_an_archive_without_a_list_is_named(tmp_path: Path) -> None:
    """One that signs nothing, and one that apt has not asked yet."""
    flat = tmp_path / "flat"
    flat.mkdir()
    (flat / "Packages").touch()
    unsigned = f"deb [trusted=yes] file:{flat} ./"
    apt = Apt(tmp_path / "apt", unsigned, "deb http://user:secret@new.example/debian sid main")
    assert set(apt.list_archives()) == {
        f"file:{flat}/./Release none",
        "http://new.example/debian/dists/sid/Release none",
    }
    apt = Apt(tmp_path / "second", unsigned)
    apt.update()
    assert apt.list_archives() == [f"file:{flat}/./Release none"]


def test_an_archive_that_nobody_else_can_ask_counts_as_one_without_a_list(tmp_path: Path) -> None:
    """The machine that asks may have another archive at the same path. An address may have spaces."""
    folder = tmp_path / "an archive"
    with apt_archive(folder) as archive:
        archive.add_package("test", "some-package", "1")
        source = f"deb {sign(archive, tmp_path)} file:{tmp_path}/an%20archive test main"
        apt = Apt(tmp_path / "apt", source)
        apt.update()
    assert apt.list_archives() == [f"file:{tmp_path}/an%20archive/dists/test/InRelease none"]
    (tmp_path / "mirrors").write_text(f"file:{tmp_path}/an%20archive\n")
    apt = Apt(tmp_path / "mirrored", source.replace(f"file:{tmp_path}/an%20archive", f"mirror+file:{tmp_path}/mirrors"))
    apt.update()
    assert apt.list_archives() == [f"mirror+file:{tmp_path}/mirrors/dists/test/InRelease none"]
    apt = Apt(tmp_path / "second", "deb cdrom:[A CD]/ sid main")
    assert apt.list_archives() == ["cdrom://A%20CD/dists/sid/Release none"]


def test_sources_that_apt_cannot_read_are_named(tmp_path: Path) -> None:
    """Nobody knows which archives they have."""
    apt = Apt(tmp_path / "apt", "deb http://one.example/debian sid main", "no source")
    assert apt.list_archives() == ["/etc/apt/sources.list none"]
