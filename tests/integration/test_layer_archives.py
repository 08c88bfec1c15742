"""The list of package archives that decides whether a layer still holds, with the real apt and dnf."""

import hashlib
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bakery.host.errors import BakeryError
from bakery.layers.archive_lists import fetch_digest
from bakery.model.resources import SHIPPED
from doubles.apt_archive import AptArchive, apt_archive
from doubles.serving import at_work
from integration.test_refresh import Server

pytestmark = pytest.mark.integration

SCRIPTS = SHIPPED / "ansible" / "playbooks" / "layers" / "archives"
# As MirrorManager writes it for Fedora and EPEL.
METALINK = """\
<?xml version="1.0" encoding="utf-8"?>
<metalink version="3.0" xmlns="http://www.metalinker.org/" xmlns:mm0="http://fedorahosted.org/mirrormanager">
 <files>
  <file name="repomd.xml">
   <mm0:timestamp>1700000000</mm0:timestamp>
   <verification>
    <hash type="md5">d41d8cd98f00b204e9800998ecf8427e</hash>
    <hash type="sha256">{digest}</hash>
   </verification>
   <mm0:alternates>{alternates}</mm0:alternates>
   <resources maxconnections="1">
    <url protocol="http" type="http" location="DE" preference="100">{uri}/9/repodata/repomd.xml</url>
   </resources>
  </file>
 </files>
</metalink>
"""
ALTERNATE = """\
<mm0:alternate>
 <mm0:timestamp>1600000000</mm0:timestamp>
 <verification><hash type="sha256">{digest}</hash></verification>
</mm0:alternate>
"""


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


needs_dnf = pytest.mark.skipif(shutil.which("dnf") is None, reason="dnf is not installed: apt-get install dnf")
needs_createrepo = pytest.mark.skipif(
    shutil.which("createrepo_c") is None, reason="createrepo_c is not installed: apt-get install createrepo-c"
)


class Mirror(Server):
    """Shows the repository `9`, and lists of mirrors that name it, from a folder."""

    def __init__(self, folder: Path) -> None:
        self._repository = folder / "9"
        self._repository.mkdir(parents=True)
        self._metalink = folder / "metalink"
        super().__init__(folder)
        (folder / "list").write_text(f"# Mirrors\n\n{self.uri}/9/\n")
        self.change()
        self.name_in_metalink(self.digest)

    def change(self) -> None:
        """Let the repository have another state than before."""
        revision = str(time.monotonic_ns())
        subprocess.run(["createrepo_c", "--quiet", "--revision", revision, self._repository], check=True)

    @property
    def digest(self) -> str:
        """That of repomd.xml."""
        return hashlib.sha256((self._repository / "repodata" / "repomd.xml").read_bytes()).hexdigest()

    def name_in_metalink(self, digest: str, *older: str) -> None:
        """Let the metalink name these states of the repository."""
        alternates = "".join(ALTERNATE.format(digest=one) for one in older)
        self._metalink.write_text(METALINK.format(digest=digest, alternates=alternates, uri=self.uri))


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    served = Mirror(tmp_path / "served")
    with at_work(served.http):
        yield served


def ask(line: str) -> str:
    """The answer for a line of the script: "holds", "changed", or the reason that it gave none."""
    url, digest = line.split()
    try:
        return "holds" if fetch_digest(url) == digest else "changed"
    except BakeryError as error:
        return error.message


@pytest.mark.root
@needs_dnf
@needs_createrepo
def test_repositories_of_dnf(tmp_path: Path, mirror: Mirror) -> None:
    """Where only the image can ask, nobody else can ask whether it changed."""
    uri, digest = mirror.uri, mirror.digest
    dnf = Dnf(
        tmp_path / "dnf",
        asked=f"baseurl={uri}/$releasever/",
        certified=f"baseurl={uri}/9/\nsslclientcert=/some.pem",
        certified_list=f"metalink={uri}/metalink?c\nsslclientcert=/some.pem",
        disabled=f"baseurl={uri}/gone\nenabled=0",
        local=f"baseurl=file:{tmp_path}/served/9",
        local_list=f"mirrorlist=file://{tmp_path}/served/list",
        login=f"baseurl={uri.replace('//', '//user:secret@')}/9",
        login_list=f"mirrorlist={uri.replace('//', '//user:secret@')}/list?of=http://x",
        mirrored=f"mirrorlist={uri}/mirrors\nskip_if_unavailable=1",
        named=f"mirrorlist={uri}/list?n\nusername=user\npassword=secret",
        spaced=f"metalink={uri}/a b\nskip_if_unavailable=1",
        unasked=f"baseurl={uri}/new\nskip_if_unavailable=1",
    )
    dnf.update()
    assert set(dnf.list_archives()) == {
        f"{uri}/9/repodata/repomd.xml {digest}",
        f"{uri}/9/repodata/repomd.xml none",  # with a certificate, and with a login
        f"file:{tmp_path}/served/9/repodata/repomd.xml none",
        f"metalink+{uri}/a%20b none",  # a line with two spaces would be no line of an archive
        f"metalink+{uri}/metalink?c none",
        f"mirrorlist+file://{tmp_path}/served/list none",
        f"mirrorlist+{uri}/list?n none",
        f"mirrorlist+{uri}/list?of=http://x none",
        f"mirrorlist+{uri}/mirrors none",
        f"{uri}/new/repodata/repomd.xml none",
    }


@pytest.mark.root
@needs_dnf
@needs_createrepo
@pytest.mark.parametrize(
    ("option", "line"),
    [
        ("metalink={uri}/metalink?repo=$releasever&arch=$basearch$other", "metalink+{uri}/metalink?repo=9&arch={arch}"),
        # dnf takes it for one, as its address says so
        ("mirrorlist={uri}/metalink?repo=$releasever", "metalink+{uri}/metalink?repo=9"),
        ("mirrorlist={uri}/list?arch=$basearch&repo=$releasever$other", "mirrorlist+{uri}/list?arch={arch}&repo=9"),
        # dnf asks the list first
        ("mirrorlist={uri}/list?both\nbaseurl={uri}/new/", "mirrorlist+{uri}/list?both"),
    ],
)
def test_a_list_of_mirrors_is_asked_for_its_repository(tmp_path: Path, mirror: Mirror, option: str, line: str) -> None:
    """`$other` is a variable of the image, as `$rltype` is one of Rocky Linux."""
    dnf = Dnf(tmp_path / "dnf", mirrored=option.format(uri=mirror.uri))
    (tmp_path / "dnf" / "vars" / "other").write_text("\n")
    dnf.update()
    before = mirror.digest
    [listed] = dnf.list_archives()
    assert listed == f"{line.format(uri=mirror.uri, arch=platform.machine())} {before}"
    assert ask(listed) == "holds"
    mirror.change()
    mirror.name_in_metalink(mirror.digest, before)
    assert ask(listed) == "changed"
    dnf.update()
    assert dnf.list_archives() == [listed.replace(before, mirror.digest)]


@pytest.mark.root
@needs_dnf
@needs_createrepo
def test_what_dnf_took_from_a_mirror_behind_does_not_hold(tmp_path: Path, mirror: Mirror) -> None:
    """dnf accepts the older states in a metalink."""
    mirror.name_in_metalink("b" * 64, mirror.digest)
    dnf = Dnf(tmp_path / "dnf", mirrored=f"metalink={mirror.uri}/metalink")
    dnf.update()
    [listed] = dnf.list_archives()
    assert listed == f"metalink+{mirror.uri}/metalink {mirror.digest}"
    assert ask(listed) == "changed"


@pytest.mark.root
@needs_dnf
def test_repositories_that_cannot_be_listed_are_named(tmp_path: Path) -> None:
    """One without an address: nobody knows what dnf makes of it."""
    assert Dnf(tmp_path, nowhere="enabled=1").list_archives() == ["/etc/yum.repos.d none"]
