"""What apt would upgrade in an image, from a signed archive whose content a test decides."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bakery.contents import DATABASE, read_disk
from bakery.contents.archive import pack_folder
from bakery.host.errors import BakeryError, OutageError, render_rest
from bakery.model.observations import Update, Upgrade
from bakery.refresh import Archives, find_missing, observe_dated, observe_updates
from doubles.apt_archive import PIN, PINNED, AptArchive, expired_lists
from doubles.disks import write_disk
from doubles.serving import at_work
from integration.test_contents import SYFT, unbaked

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt is not installed: apt-get install apt"),
    pytest.mark.skipif(shutil.which("gpg") is None, reason="gpg is not installed: apt-get install gpg gpg-agent"),
]

FIXED, PLAIN, HELD = "bakery-fixed", "bakery-plain", "bakery-held"
PACKAGES = (FIXED, PLAIN, HELD, PINNED)
PACKAGE = """\
Package: {name}
Status: {selection} ok installed
Architecture: {architecture}
Maintainer: T <t@example.org>
Version: {version}
Description: a test

"""
KEYRING = "/usr/share/keyrings/test.asc"
# Its command would make a file if apt read it.
HOOK = 'APT::Update::Pre-Invoke {{ "touch {path}"; }};\n'


class Server:
    """Shows an archive, and keeps the paths that it is asked for."""

    def __init__(self, folder: Path) -> None:
        self.paths: list[str] = []
        paths = self.paths

        class Handler(SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                paths.append(self.path)
                del self.headers["If-Modified-Since"]  # which is in seconds, and a test changes a list within one
                super().do_GET()

            def log_message(self, *_args: object) -> None:
                """Say nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder))
        self.uri = f"http://127.0.0.1:{self.http.server_port}"


def make_archive(folder: Path, keys: Path, uri: str) -> AptArchive:
    """An archive with a key of its own, whose home is `keys`."""
    keys.mkdir(mode=0o700)
    return AptArchive(folder, keys, uri)


@pytest.fixture
def keys() -> Iterator[Path]:
    """Homes of gpg: sockets there need a short path."""
    folder = Path(tempfile.mkdtemp(prefix="gpg-"))
    yield folder
    for home in folder.iterdir():
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "gpg-agent"], check=True)
    shutil.rmtree(folder, ignore_errors=True)  # the agents remove their sockets at the same time


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "archive"
    folder.mkdir()
    served = Server(folder)
    with at_work(served.http):
        yield served


@pytest.fixture
def archive(tmp_path: Path, server: Server, keys: Path) -> AptArchive:
    """Version 1 of each package; a suite for security that has none."""
    archive = make_archive(tmp_path / "archive", keys / "first", server.uri)
    archive.sign_suite("test-security")
    for name in PACKAGES:
        archive.add_package("test", name, "1")
    return archive


def write_image(folder: Path, archive: AptArchive, suites: Sequence[str] = ("test", "test-security")) -> Path:
    """The package database of an image that has version 1 of each package, with one held and one pinned."""
    packages = {"dpkg": "amd64"} | dict.fromkeys(PACKAGES, "all")
    status = "".join(
        PACKAGE.format(
            name=name, architecture=architecture, version="1", selection="hold" if name == HELD else "install"
        )
        for name, architecture in packages.items()
    )
    for path, text in {
        "etc/os-release": "ID=debian\nVERSION_ID=12\n",
        "var/lib/dpkg/status": status,
        "etc/apt/preferences.d/pinned": PIN,
        "etc/apt/apt.conf.d/99hook": HOOK.format(path=folder.parent / "hook-ran"),
        "etc/apt/sources.list": "".join(f"deb [signed-by={KEYRING}] {archive.uri} {suite} main\n" for suite in suites),
        KEYRING.lstrip("/"): archive.key,
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


@pytest.fixture
def image(tmp_path: Path, archive: AptArchive) -> Path:
    return write_image(tmp_path / "image", archive)


def open_archives(folder: Path) -> Archives:
    """A new refresh that has the lists of those before it."""
    scratch = Path(tempfile.mkdtemp(prefix="refresh-", dir=folder))
    return Archives(folder / "lists", scratch)


def observe(image: Path, archives: Archives) -> Upgrade:
    return observe_updates(pack_folder(image, ()), archives)[1]


def test_a_package_that_no_archive_has(tmp_path: Path, image: Path) -> None:
    entries = [FIXED, "bakery-fixt:amd64", "zz=1.2*", "bakery-plain=1", "bakery-z*", "@tasks"]
    missing = find_missing(pack_folder(image, ()), open_archives(tmp_path), entries)
    assert missing == {"bakery-fixt:amd64": f"did you mean '{FIXED}'?", "zz=1.2*": ""}
    assert not (tmp_path / "hook-ran").exists()


def test_an_image_with_the_newest_packages_has_no_updates(tmp_path: Path, image: Path) -> None:
    states, upgrade = observe_updates(pack_folder(image, ()), open_archives(tmp_path))
    assert upgrade == Upgrade()
    assert [(state.suite, state.security) for state in states] == [("test", False), ("test-security", True)]


def test_updates_are_those_that_apt_would_make(tmp_path: Path, archive: AptArchive, image: Path) -> None:
    assert observe(image, open_archives(tmp_path)) == Upgrade()
    for name in (FIXED, HELD, PINNED):
        archive.add_package("test-security", name, "2")
    archive.add_package("test", FIXED, "3")
    archive.add_package("test", PLAIN, "2")
    upgrade = observe(image, open_archives(tmp_path))
    # Version 3 is not from the security archive, but brings the fix of version 2.
    assert upgrade.updates == (
        Update(FIXED, "1", "3", "test", security=True),
        Update(PLAIN, "1", "2", "test", security=False),
    )
    assert upgrade.held == (Update(HELD, "1", "2", "test-security", security=True),)
    assert (upgrade.added, upgrade.removed) == ((), ())
    assert not (tmp_path / "hook-ran").exists(), "the image's own configuration of apt was read"


def test_a_disk_keeps_all_that_apt_needs(tmp_path: Path, archive: AptArchive, image: Path) -> None:
    """Keys, pins and holds are in the package database that a bake reads from its disk."""
    for name in (FIXED, HELD, PINNED):
        archive.add_package("test-security", name, "2")
    disk = tmp_path / "disk.qcow2"
    write_disk(image, disk)
    read_disk(unbaked(disk), disk, SYFT)
    _, upgrade = observe_updates(disk.with_name(DATABASE).read_bytes(), open_archives(tmp_path))
    assert [update.name for update in upgrade.updates] == [FIXED]
    assert [update.name for update in upgrade.held] == [HELD]


def test_a_package_that_vanished_is_no_update(tmp_path: Path, archive: AptArchive, image: Path) -> None:
    archive.add_package("test", PLAIN, "2")
    assert len(observe(image, open_archives(tmp_path)).updates) == 1
    for package in (tmp_path / "archive/pool/test").glob(f"{PLAIN}_*.deb"):
        package.unlink()
    archive.sign_suite("test")
    assert observe(image, open_archives(tmp_path)) == Upgrade()


def test_an_archive_is_asked_once_for_all_images(tmp_path: Path, server: Server, archive: AptArchive) -> None:
    images = [write_image(tmp_path / f"image-{number}", archive) for number in range(3)]
    archives = open_archives(tmp_path)
    assert [observe(image, archives) for image in images] == [Upgrade()] * 3
    assert sorted(path for path in server.paths if path.endswith("InRelease")) == [
        "/dists/test-security/InRelease",
        "/dists/test/InRelease",
    ]
    assert len([path for path in server.paths if "Packages" in path]) <= 2


def test_images_with_other_keys_do_not_share_an_answer(tmp_path: Path, archive: AptArchive, keys: Path) -> None:
    """One image trusts the archive, the other trusts another key: the second must not get the first one's lists."""
    stranger = make_archive(tmp_path / "elsewhere", keys / "second", archive.uri)
    archives = open_archives(tmp_path)
    assert observe(write_image(tmp_path / "one", archive), archives) == Upgrade()
    with pytest.raises(BakeryError, match="signed with a key that the image does not trust"):
        observe(write_image(tmp_path / "two", stranger), archives)


def test_keys_that_are_trusted_for_all_archives(tmp_path: Path, archive: AptArchive, image: Path) -> None:
    (image / "etc/apt/sources.list").unlink()
    stanza = f"Types: deb deb-src\nURIs: {archive.uri}\nSuites: test test-security\nComponents: main\n"
    (image / "etc/apt/sources.list.d").mkdir()
    (image / "etc/apt/sources.list.d/test.sources").write_text(stanza)
    (image / "etc/apt/trusted.gpg.d").mkdir()
    (image / "etc/apt/trusted.gpg.d/test.asc").symlink_to(KEYRING)
    archive.add_package("test-security", FIXED, "2")
    assert observe(image, open_archives(tmp_path)).updates == (Update(FIXED, "1", "2", "test-security", True),)


def test_a_lock_takes_the_upgrade_of_the_dated_archives(
    tmp_path: Path, archive: AptArchive, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAKERY_DATED_ARCHIVES", f"{archive.uri}={archive.dated}")
    with expired_lists():
        archive.add_package("test-security", FIXED, "2")
        archive.sign_suite("test")
        archive.take_snapshot()
    archive.add_package("test-security", FIXED, "3")
    assert archive.first
    dated, upgrade = observe_dated(pack_folder(image, ()), open_archives(tmp_path), archive.first)
    assert dated == {archive.uri: archive.dated.format(date=archive.first)}
    assert upgrade.updates == (Update(FIXED, "1", "2", "test-security", security=True),)


def fail(tmp_path: Path, image: Path) -> BakeryError:
    """The error of a refresh. One before it had all lists, which must not be taken for the present ones."""
    with pytest.raises(BakeryError) as failure:
        observe(image, open_archives(tmp_path))
    return failure.value


def test_a_rotated_key_is_no_reason_for_old_lists(
    tmp_path: Path, server: Server, archive: AptArchive, keys: Path, image: Path
) -> None:
    observe(image, open_archives(tmp_path))
    make_archive(tmp_path / "archive", keys / "second", server.uri).add_package("test-security", FIXED, "2")
    error = fail(tmp_path, image)
    assert error.message == (
        f"the archive {server.uri} test-security is signed with a key that the image does not trust"
    )
    assert "new keyring" in error.hint


def test_a_changed_list_has_a_bad_signature(tmp_path: Path, archive: AptArchive, image: Path) -> None:
    observe(image, open_archives(tmp_path))
    release = tmp_path / "archive/dists/test/InRelease"
    release.write_text(release.read_text().replace("Origin: Example", "Origin: Other"))
    assert fail(tmp_path, image).message == f"the archive {archive.uri} test has a bad signature"


def test_an_archive_that_is_not_updated_any_more(tmp_path: Path, archive: AptArchive, image: Path) -> None:
    observe(image, open_archives(tmp_path))
    with expired_lists():
        archive.sign_suite("test-security")
    assert fail(tmp_path, image).message == (
        f"the archive {archive.uri} test-security has expired: its mirror is no longer updated"
    )


def test_a_mirror_in_the_middle_of_a_sync(tmp_path: Path, archive: AptArchive, image: Path) -> None:
    observe(image, open_archives(tmp_path))
    index = tmp_path / "archive/dists/test/main/binary-amd64/Packages"
    before = index.read_bytes()
    archive.add_package("test", PLAIN, "2")
    index.write_bytes(before)
    error = fail(tmp_path, image)
    assert error.message.startswith(f"the archive {archive.uri} test does not match its signed list")
    assert isinstance(error, OutageError)


def test_an_archive_out_of_reach_is_no_answer(tmp_path: Path, archive: AptArchive, server: Server, image: Path) -> None:
    observe(image, open_archives(tmp_path))
    server.http.shutdown()
    server.http.server_close()
    error = fail(tmp_path, image)
    assert isinstance(error, OutageError)
    assert error.message == f"the archive {archive.uri} test cannot be reached"
    assert f"the archive {archive.uri} test-security cannot be reached" in render_rest(error)


def test_a_suite_that_is_not_there(tmp_path: Path, archive: AptArchive) -> None:
    image = write_image(tmp_path / "image", archive, ["test", "gone"])
    assert fail(tmp_path, image).message == f"the archive {archive.uri} gone has no signed list of this suite"
