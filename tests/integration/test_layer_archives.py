"""The list of package archives that decides whether a layer still holds, with the real apt and dnf."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bakery.model.resources import SHIPPED
from doubles.apt_archive import AptArchive, apt_archive
from doubles.serving import at_work
from integration.test_refresh import Server

pytestmark = pytest.mark.integration

SCRIPTS = SHIPPED / "ansible" / "playbooks" / "layers" / "archives"


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
            ["sh", "-eu", SCRIPTS / "Debian.sh"], env=self._environment, check=True, capture_output=True, text=True
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
    assert apt.list_archives() == [f"file:{tmp_path}/an%20archive/dists/test/InRelease none"]
    apt = Apt(tmp_path / "second", "deb cdrom:[A CD]/ sid main")
    assert apt.list_archives() == ["cdrom://A%20CD/dists/sid/Release none"]


def test_the_first_mirror_of_a_list_is_asked(tmp_path: Path) -> None:
    """As in Debian's cloud images. A list that is not there names no mirror."""
    with apt_archive(tmp_path / "archive") as archive:
        archive.add_package("test", "some-package", "1")
        mirrors = tmp_path / "mirrors.list"
        mirrors.write_text(f"# Mirrors\n\n{archive.uri}/\tpriority:1\nhttp://second.example/debian\tpriority:2\n")
        source = f"deb {sign(archive, tmp_path)} mirror+file:{mirrors} test main"
        apt = Apt(tmp_path / "apt", source)
        apt.update()
        digest = hashlib.sha256(archive.signed_list("test")).hexdigest()
        assert apt.list_archives() == [f"{archive.uri}/dists/test/InRelease {digest}"]
    mirrors.unlink()
    assert apt.list_archives() == [f"mirror+file:{mirrors}/dists/test/InRelease none"]


def test_sources_that_apt_cannot_read_are_named(tmp_path: Path) -> None:
    """Nobody knows which archives they have."""
    apt = Apt(tmp_path / "apt", "deb http://one.example/debian sid main", "no source")
    assert apt.list_archives() == ["/etc/apt/sources.list none"]


class Dnf:
    """dnf with files of its own in a folder, and repositories with these options."""

    def __init__(self, folder: Path, **repositories: str) -> None:
        for name in ("repositories", "vars"):
            (folder / name).mkdir(parents=True)
        for name, options in repositories.items():
            (folder / "repositories" / f"{name}.repo").write_text(f"[{name}]\nname={name}\n{options}\n")
        (folder / "vars" / "releasever").write_text("9\n")
        (folder / "dnf.conf").write_text(
            f"[main]\ncachedir={folder}/cache\nreposdir={folder}/repositories\nvarsdir={folder}/vars\npluginpath=\n"
        )
        self._folder = folder

    def update(self) -> None:
        self._run("dnf", "--quiet", "makecache")

    def list_archives(self) -> list[str]:
        """What the script prints."""
        return self._run("sh", "-eu", str(SCRIPTS / "RedHat.sh")).splitlines()

    def _run(self, *command: str) -> str:
        """The output of a command that sees the folder's dnf.conf as that of the system."""
        script = 'mount --bind "$0/dnf.conf" /etc/dnf/dnf.conf; exec "$@"'
        unshared = ["unshare", "--mount", "sh", "-euc", script, str(self._folder), *command]
        return subprocess.run(unshared, check=True, capture_output=True, text=True).stdout


@pytest.mark.root
@pytest.mark.skipif(shutil.which("dnf") is None, reason="dnf is not installed: apt-get install dnf")
@pytest.mark.skipif(
    shutil.which("createrepo_c") is None, reason="createrepo_c is not installed: apt-get install createrepo-c"
)
def test_repositories_of_dnf(tmp_path: Path) -> None:
    """Where only the image can ask, or one of many mirrors answers, nobody else can ask whether it changed."""
    (tmp_path / "served" / "9").mkdir(parents=True)
    subprocess.run(["createrepo_c", "--quiet", tmp_path / "served" / "9"], check=True)
    server = Server(tmp_path / "served")
    uri = server.uri
    with at_work(server.http):
        dnf = Dnf(
            tmp_path / "dnf",
            asked=f"baseurl={uri}/$releasever/",
            certified=f"baseurl={uri}/9/\nsslclientcert=/some.pem",
            disabled=f"baseurl={uri}/gone\nenabled=0",
            local=f"baseurl=file:{tmp_path}/served/9",
            login=f"baseurl={uri.replace('//', '//user:secret@')}/9",
            mirrored=f"mirrorlist={uri}/mirrors\nskip_if_unavailable=1",
            unasked=f"baseurl={uri}/new\nskip_if_unavailable=1",
        )
        dnf.update()
        digest = hashlib.sha256((tmp_path / "served/9/repodata/repomd.xml").read_bytes()).hexdigest()
        assert set(dnf.list_archives()) == {
            f"{uri}/9/repodata/repomd.xml {digest}",
            f"{uri}/9/repodata/repomd.xml none",  # with a certificate, and with a login
            f"file:{tmp_path}/served/9/repodata/repomd.xml none",
            f"{uri}/mirrors none",
            f"{uri}/new/repodata/repomd.xml none",
        }


@pytest.mark.root
@pytest.mark.skipif(shutil.which("dnf") is None, reason="dnf is not installed: apt-get install dnf")
def test_repositories_that_cannot_be_listed_are_named(tmp_path: Path) -> None:
    """One without an address: nobody knows what dnf makes of it."""
    assert Dnf(tmp_path, nowhere="enabled=1").list_archives() == ["/etc/yum.repos.d none"]
