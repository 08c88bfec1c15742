import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import stamina

from bakery.host.errors import BakeryError, UsageError
from bakery.host.events import Event, silent
from bakery.layers.download import ATTEMPTS, download
from doubles.serving import at_work

BODY = bytes(range(256)) * 20_000  # five reads
SHA256 = hashlib.sha256(BODY).hexdigest()


@dataclass
class Server:
    """One file. `cuts` ends the next answers after so many bytes; `status` refuses them."""

    url: str = ""
    body: bytes = BODY
    tag: str = '"one"'
    headers: dict[str, str] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)
    status: list[int] = field(default_factory=list)
    ranges: bool = True
    asked: list[str] = field(default_factory=list)  # the Range of each request


@pytest.fixture
def server() -> Iterator[Server]:
    served = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            served.asked.append(wanted)
            if served.status:
                self.send_error(served.status.pop(0))
                return
            unchanged = self.headers.get("If-Range") in (served.tag, *served.headers.values())
            begin = int(re.findall(r"\d+", wanted)[0]) if wanted and unchanged and served.ranges else 0
            if begin and begin >= len(served.body):
                self.send_error(416)
                return
            self.send_response(206 if begin else 200)
            self.send_header("Content-Length", str(len(served.body) - begin))
            if served.tag:
                self.send_header("ETag", served.tag)
            for name, value in served.headers.items():
                self.send_header(name, value)
            self.end_headers()
            end = served.cuts.pop(0) if served.cuts else len(served.body)
            self.wfile.write(served.body[begin:end])

        def log_message(self, *_args: object) -> None:
            pass

    with at_work(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as listening:
        served.url = f"http://127.0.0.1:{listening.server_port}/disk.img"
        yield served


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=ATTEMPTS):
        yield


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "downloads" / "disk.img"


def left(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


def test_a_download_is_there_as_a_whole(server: Server, target: Path) -> None:
    events: list[Event] = []
    download(server.url, SHA256, target, events.append)
    assert target.read_bytes() == BODY
    assert left(target) == ["disk.img"]
    fractions = [event.fraction or 0.0 for event in events]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_a_broken_connection_goes_on_where_it_stopped(server: Server, target: Path) -> None:
    server.cuts = [1_000_000, 3_000_000]
    download(server.url, SHA256, target, silent)
    assert target.read_bytes() == BODY
    assert server.asked == ["", "bytes=1000000-", "bytes=3000000-"]


def test_an_interrupted_run_goes_on_in_the_next(server: Server, target: Path) -> None:
    server.cuts = [1_000_000] + [0] * ATTEMPTS
    with pytest.raises(BakeryError, match="broke off") as failure:
        download(server.url, SHA256, target, silent)
    assert "run again" in failure.value.hint
    assert failure.value.where == server.url
    assert not target.exists()
    server.cuts, server.asked = [], []
    download(server.url, SHA256, target, silent)
    assert target.read_bytes() == BODY
    assert server.asked == ["bytes=1000000-"]


def test_a_file_that_changed_meanwhile_starts_over(server: Server, target: Path) -> None:
    server.cuts = [1_000_000] + [0] * ATTEMPTS
    with pytest.raises(BakeryError):
        download(server.url, SHA256, target, silent)
    server.cuts, server.body, server.tag = [], BODY[::-1], '"two"'
    download(server.url, hashlib.sha256(BODY[::-1]).hexdigest(), target, silent)
    assert target.read_bytes() == BODY[::-1]


def test_a_server_without_ranges_starts_over(server: Server, target: Path) -> None:
    server.cuts, server.ranges = [1_000_000], False
    download(server.url, SHA256, target, silent)
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("tag", ["", 'W/"weak"'])
def test_what_cannot_be_told_from_another_file_starts_over(server: Server, target: Path, tag: str) -> None:
    server.cuts, server.tag = [1_000_000], tag
    download(server.url, SHA256, target, silent)
    assert target.read_bytes() == BODY
    assert server.asked == ["", ""]


def test_a_date_serves_where_the_tag_is_weak(server: Server, target: Path) -> None:
    server.tag, server.headers = 'W/"weak"', {"Last-Modified": "Sat, 21 Nov 2026 00:53:02 GMT"}
    server.cuts = [1_000_000]
    download(server.url, SHA256, target, silent)
    assert target.read_bytes() == BODY
    assert server.asked == ["", "bytes=1000000-"]


def test_a_wrong_checksum_is_one_error_and_no_file(server: Server, target: Path) -> None:
    with pytest.raises(BakeryError, match="wrong checksum") as failure:
        download(server.url, "0" * 64, target, silent)
    assert SHA256 in failure.value.detail
    assert "0" * 64 in failure.value.detail
    assert failure.value.where == server.url
    assert left(target) == []


def test_a_partial_file_longer_than_the_real_one_is_removed(server: Server, target: Path) -> None:
    server.cuts = [1_000_000] + [0] * ATTEMPTS
    with pytest.raises(BakeryError):
        download(server.url, SHA256, target, silent)
    server.cuts, server.body = [], BODY[:500_000]
    with pytest.raises(BakeryError, match="wrong checksum"):
        download(server.url, SHA256, target, silent)
    assert left(target) == []


def test_a_refusal_is_not_asked_again(server: Server, target: Path) -> None:
    server.status = [404]
    with pytest.raises(BakeryError, match="HTTP 404"):
        download(server.url, SHA256, target, silent)
    assert len(server.asked) == 1


def test_a_busy_server_is_asked_again(server: Server, target: Path) -> None:
    server.status = [503, 429]
    download(server.url, SHA256, target, silent)
    assert target.read_bytes() == BODY


def test_nobody_there(server: Server, target: Path) -> None:
    with pytest.raises(BakeryError, match="refused"):
        download("http://127.0.0.1:1/disk.img", SHA256, target, silent)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/x", "disk.img"])
def test_only_http(url: str, target: Path) -> None:
    with pytest.raises(UsageError, match="not a URL"):
        download(url, SHA256, target, silent)


def test_no_room(server: Server, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": len(BODY) - 1}))
    with pytest.raises(BakeryError, match="not enough disk space for the download"):
        download(server.url, SHA256, target, silent)
    assert len(server.asked) == 1


def test_a_disk_that_fills_up_meanwhile(server: Server, target: Path) -> None:
    target.parent.mkdir()
    part = target.with_name("disk.img.part")
    part.symlink_to("/dev/full")
    with pytest.raises(BakeryError, match="No space left on device") as caught:
        download(server.url, SHA256, target, silent)
    assert caught.value.where == str(part)
    assert len(server.asked) == 1
