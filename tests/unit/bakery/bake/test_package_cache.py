"""A proxy as apt uses one: what it fetched once, it has without the archive."""

import http.client
import socket
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bakery.bake.package_cache import PackageCache, serve_packages
from bakery.host.errors import BakeryError
from bakery.model.project import Project
from doubles.serving import at_work


class Archive:
    """Files of an archive, one of which is dated, and the paths that were asked for."""

    def __init__(self, folder: Path) -> None:
        paths = self.paths = []

        class Handler(SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                paths.append(self.path)
                super().do_GET()

            def log_message(self, *_args: object) -> None:
                """Say nothing."""

        for name in ("live/list", "2026/list", "2026/package.deb"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(f"first {name}")
        self.folder = folder
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder))
        self.uri = f"http://127.0.0.1:{self.server.server_port}"
        self.dated = f"{self.uri}/2026"

    paths: list[str]


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    archive = Archive(tmp_path / "archive")
    with at_work(archive.server):
        yield archive


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path, tmp_path / "images", tmp_path / "workspace")
    project.definitions.mkdir()
    (project.definitions / "web.lock.json").write_text("{}")
    return project


def ask(cache: PackageCache, address: str, method: str = "GET") -> tuple[int, str]:
    """The status and the text that apt gets."""
    connection = http.client.HTTPConnection("127.0.0.1", cache.port, timeout=10)
    connection.request(method, address if method == "GET" else urlsplit(address).netloc)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, text


def test_a_dated_file_is_fetched_once(archive: Archive, project: Project) -> None:
    for _ in range(2):
        with serve_packages(project, "web", [archive.dated], offline=False) as cache:
            assert ask(cache, f"{archive.dated}/package.deb") == (200, "first 2026/package.deb")
            assert ask(cache, f"{archive.uri}/live/list")[0] == 200
    assert archive.paths == ["/2026/package.deb", "/live/list", "/live/list"]


def test_nothing_is_fetched_offline(archive: Archive, project: Project) -> None:
    with serve_packages(project, "web", [archive.dated], offline=False) as cache:
        ask(cache, f"{archive.uri}/live/list")
    archive.paths.clear()
    with (
        pytest.raises(BakeryError, match="web cannot be baked offline: 2 files of its archives are not") as failure,
        serve_packages(project, "web", [archive.dated], offline=True) as cache,
    ):
        assert ask(cache, f"{archive.uri}/live/list") == (200, "first live/list")
        assert ask(cache, f"{archive.dated}/package.deb")[0] == 404
        assert ask(cache, "https://secure.example:443", "CONNECT")[0] == 403
        raise BakeryError("Packer failed")
    assert failure.value.detail.splitlines() == [f"{archive.dated}/package.deb", "https://secure.example:443"]
    assert "package_versions: pinned" in failure.value.hint
    assert archive.paths == []


def test_an_archive_that_lacks_a_file_says_so(archive: Archive, project: Project) -> None:
    with serve_packages(project, "web", [], offline=False) as cache:
        assert ask(cache, f"{archive.uri}/live/absent")[0] == 404
        assert ask(cache, "http://127.0.0.1:1/debian/list")[0] == 502
    assert list(cache.folder.glob("*")) == []


def test_a_part_of_a_file_is_not_kept(project: Project) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"a part")

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    broken = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    uri = f"http://127.0.0.1:{broken.server_port}"
    with at_work(broken), serve_packages(project, "web", [uri], offline=False) as cache:
        assert ask(cache, f"{uri}/package.deb")[0] == 502
    assert list(cache.folder.glob("*")) == []


def test_files_of_this_machine_are_refused(project: Project, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    with serve_packages(project, "web", [], offline=False) as cache:
        status, text = ask(cache, f"file://{tmp_path}/secret")
    assert status == 403
    assert "secret" not in text


def test_only_what_the_last_bake_used_stays(archive: Archive, project: Project) -> None:
    other = project.cache / "packages" / "other"
    other.mkdir(parents=True)
    with serve_packages(project, "web", [archive.dated], offline=False) as cache:
        ask(cache, f"{archive.dated}/package.deb")
    with serve_packages(project, "web", [archive.dated], offline=False) as cache:
        ask(cache, f"{archive.dated}/list")
    assert [path.read_text() for path in cache.folder.iterdir()] == ["first 2026/list"]
    assert not other.exists(), "no image of this name has a lock"


def test_a_failed_bake_keeps_what_bakes_before_it_used(archive: Archive, project: Project) -> None:
    with serve_packages(project, "web", [archive.dated], offline=False) as cache:
        ask(cache, f"{archive.dated}/package.deb")
    with (
        pytest.raises(BakeryError, match="Packer failed"),
        serve_packages(project, "web", [archive.dated], offline=False),
    ):
        raise BakeryError("Packer failed")
    assert len(list(cache.folder.iterdir())) == 1


@pytest.mark.parametrize("name", ["2026/package.deb", "live/list"])
def test_what_a_failed_bake_fetched_does_not_stay(archive: Archive, project: Project, name: str) -> None:
    """A server may answer 200 with the page of a login, and apt refuses it."""
    address = f"{archive.uri}/{name}"
    with serve_packages(project, "web", [archive.dated], offline=False) as cache:
        ask(cache, f"{archive.uri}/live/list")
    (archive.folder / name).write_text("please log in")
    with (
        pytest.raises(BakeryError, match="Packer failed"),
        serve_packages(project, "web", [archive.dated], offline=False) as cache,
    ):
        assert ask(cache, address) == (200, "please log in")
        raise BakeryError("Packer failed")
    (archive.folder / name).write_text(f"first {name}")
    with serve_packages(project, "web", [archive.dated], offline=False) as cache:
        assert ask(cache, address) == (200, f"first {name}")


def test_an_offline_bake_reads_what_a_successful_one_fetched(archive: Archive, project: Project) -> None:
    address = f"{archive.uri}/live/list"
    with serve_packages(project, "web", [archive.dated], offline=False) as cache:
        ask(cache, address)
    (archive.folder / "live/list").write_text("please log in")
    with pytest.raises(BakeryError), serve_packages(project, "web", [archive.dated], offline=False) as cache:
        ask(cache, address)
        raise BakeryError("Packer failed")
    with serve_packages(project, "web", [archive.dated], offline=True) as cache:
        assert ask(cache, address) == (200, "first live/list")


def test_a_connection_that_apt_ends_is_no_error(
    archive: Archive, project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    (archive.folder / "2026" / "package.deb").write_bytes(bytes(20_000_000))
    with (
        serve_packages(project, "web", [archive.dated], offline=False) as cache,
        socket.create_connection(("127.0.0.1", cache.port)) as connection,
    ):
        connection.sendall(f"GET {archive.dated}/package.deb HTTP/1.0\r\n\r\n".encode())
        assert connection.recv(8) == b"HTTP/1.0"
    assert capfd.readouterr().err == ""


def test_an_empty_cache_is_refused_at_once(project: Project) -> None:
    with (
        pytest.raises(BakeryError, match="web cannot be baked offline: no bake with its lock has filled") as failure,
        serve_packages(project, "web", [], offline=True),
    ):
        pytest.fail("nothing starts")
    assert failure.value.hint == "bake web once with 'package_versions: pinned'"
