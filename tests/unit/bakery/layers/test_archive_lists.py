import hashlib
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bakery.host.errors import BakeryError, OutageError
from bakery.layers import archive_lists
from bakery.layers.archive_lists import FETCHER, fetch_digest, read_clock, read_state
from bakery.model.bases import Debootstrap
from doubles.serving import at_work

RECIPE = """\
sources = ["deb [signed-by=/k.gpg] {mirror} {suite} main", "deb {mirror} {suite}-security main"]
packages = []
[disk]
size_mib = 1
esp_serial = ""
root_uuid = ""
hash_seed = ""
"""

pytestmark = pytest.mark.skipif(
    not Path(FETCHER[0]).exists(), reason="apt's fetcher is missing: install apt 1.1 or newer to run these"
)


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """An archive of two suites, as a folder."""
    for suite in ("stable", "stable-security"):
        folder = tmp_path / "mirror" / "dists" / suite
        folder.mkdir(parents=True)
        (folder / "InRelease").write_text(f"Suite: {suite}\n")
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return tmp_path / "mirror"


def state(mirror: Path, suite: str = "stable") -> tuple[str, ...]:
    spec = Debootstrap.model_construct(suite=suite, mirror=f"file:{mirror}")
    return read_state(spec, mirror.parent)


def test_each_signed_list_counts(mirror: Path) -> None:
    first = state(mirror)
    assert len(set(first)) == 2
    assert state(mirror) == first
    (mirror / "dists" / "stable-security" / "InRelease").write_text("Suite: stable-security\nnewer\n")
    after = state(mirror)
    assert (after[0] == first[0], after[1] == first[1]) == (True, False)


def test_the_clock_is_that_of_the_newest_list(mirror: Path) -> None:
    spec = Debootstrap.model_construct(suite="stable", mirror=f"file:{mirror}")
    assert read_clock(spec, mirror.parent) == 0
    for suite, day in (("stable", 3), ("stable-security", 2)):
        path = mirror / "dists" / suite / "InRelease"
        path.write_text(f"Suite: {suite}\nDate: 0{day} Jan 1970 00:00:01 UTC\n")
    assert read_clock(spec, mirror.parent) == 2 * 86400 + 1


def test_a_release_that_is_not_there(mirror: Path) -> None:
    with pytest.raises(BakeryError, match="has no such list") as caught:
        state(mirror, "unstable")
    assert caught.value.where == f"file:{mirror}/dists/unstable/InRelease"


def test_a_mirror_out_of_reach(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = mirror / "apt.conf"
    at_once.write_text('Acquire::Retries::Delay "false";\n')
    monkeypatch.setattr(archive_lists, "FETCHER", (FETCHER[0], "-c", str(at_once), *FETCHER[1:]))
    spec = Debootstrap(suite="stable", mirror="http://127.0.0.1:9/debian")
    with pytest.raises(OutageError, match="does not answer") as caught:
        read_state(spec, mirror.parent)
    assert "Connection refused" in caught.value.detail


def test_a_mirror_out_of_reach_whose_address_has_the_number_of_a_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_lists, "FETCHER", (*FETCHER[:-1], *archive_lists.ONCE, FETCHER[-1]))
    with pytest.raises(OutageError, match="does not answer"):
        fetch_digest("http://127.0.0.1:9/404/InRelease")


@pytest.mark.parametrize("url", ["--version", "-h"])
def test_an_address_is_no_option_of_apt(url: str) -> None:
    """An image names the archives of its layers."""
    with pytest.raises(OutageError, match="does not answer"):
        fetch_digest(url)


DIGEST = hashlib.sha256(b"state").hexdigest()
METALINK = (
    '<metalink xmlns="http://www.metalinker.org/"><files><file name="repomd.xml">'
    f'<verification><hash type="sha256">{DIGEST}</hash></verification></file></files></metalink>'
)
SILENT = 0  # MiB: no answer at all


class Host:
    """A server with these answers by path: a text, a number of MiB, or a status and the address that it leads to."""

    def __init__(self) -> None:
        self.answers: dict[str, str | int | tuple[int, str]] = {}
        self.asked: list[str] = []
        answers, asked = self.answers, self.asked

        class Handler(BaseHTTPRequestHandler):
            def handle(self) -> None:
                with suppress(ConnectionError):  # who asks may have read enough
                    super().handle()

            def do_GET(self) -> None:
                asked.append(self.path)
                answer = answers.get(self.path, (404, ""))
                if answer == SILENT:
                    self.close_connection = True
                elif isinstance(answer, tuple):
                    self._begin(answer[0], 0, answer[1])
                elif isinstance(answer, int):
                    self._begin(200, answer << 20)
                    for _ in range(answer):
                        self.wfile.write(bytes(1 << 20))
                else:
                    self._begin(200, len(answer))
                    self.wfile.write(answer.encode())

            def _begin(self, status: int, length: int, location: str = "") -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(length))
                if location:
                    self.send_header("Location", location)
                self.end_headers()

            def log_message(self, *_args: object) -> None:
                """Say nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.uri = f"http://127.0.0.1:{self.http.server_port}"

    def name_mirrors(self, *names: str) -> None:
        """Let the list of mirrors name these paths of the server."""
        self.answers["/list?repo=9&arch=a"] = "".join(f"{self.uri}/{name}/\n" for name in names)

    def ask(self, kind: str) -> str:
        """The digest of a repository, by the kind of its list of mirrors."""
        self.asked.clear()
        return fetch_digest(f"{kind}+{self.uri}/list?repo=9&arch=a")


@pytest.fixture
def host() -> Iterator[Host]:
    made = Host()
    with at_work(made.http):
        yield made


def test_a_metalink_is_asked_alone(host: Host) -> None:
    host.answers["/list?repo=9&arch=a"] = METALINK
    assert host.ask("metalink") == DIGEST
    assert host.asked == ["/list?repo=9&arch=a"]


def test_the_first_mirror_that_answers_counts(host: Host) -> None:
    """One that is silent is asked once more at most, where a connection of apt ended without an answer."""
    host.name_mirrors("gone", "broken", "good", "other")
    host.answers |= {
        "/broken/repodata/repomd.xml": SILENT,
        "/good/repodata/repomd.xml": "state",
        "/other/repodata/repomd.xml": "another state",
    }
    assert host.ask("mirrorlist") == DIGEST
    asked = [path.split("/")[1] for path in host.asked[1:]]
    assert list(dict.fromkeys(asked)) == ["gone", "broken", "good"]
    assert asked.count("broken") <= 2


def test_few_mirrors_are_asked(host: Host) -> None:
    host.name_mirrors("one", "two", "three", "four")
    host.answers["/four/repodata/repomd.xml"] = "state"
    with pytest.raises(OutageError, match="none of the first 3 mirrors answers") as caught:
        host.ask("mirrorlist")
    assert caught.value.detail.splitlines()[0] == (
        f"{host.uri}/one/repodata/repomd.xml: the package archive has no such list"
    )
    assert host.asked[1:] == [f"/{name}/repodata/repomd.xml" for name in ("one", "two", "three")]


def test_a_mirror_that_leads_elsewhere_counts_as_none(host: Host) -> None:
    host.name_mirrors("moved", "good")
    host.answers |= {
        "/moved/repodata/repomd.xml": (302, f"{host.uri}/new/repodata/repomd.xml"),
        "/new/repodata/repomd.xml": "another state",
        "/good/repodata/repomd.xml": "state",
    }
    assert host.ask("mirrorlist") == DIGEST


@pytest.mark.parametrize("kind", ["metalink", "mirrorlist"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_list_of_mirrors_that_leads_elsewhere(host: Host, kind: str, status: int) -> None:
    """Another host would decide then."""
    elsewhere = f"http://localhost:{host.http.server_port}"
    host.answers["/list?repo=9&arch=a"] = (status, f"{elsewhere}/new")
    host.answers["/new"] = METALINK if kind == "metalink" else f"{host.uri}/good/\n"
    host.answers["/good/repodata/repomd.xml"] = "state"
    with pytest.raises(BakeryError, match="leads to another address"):
        host.ask(kind)
    assert host.asked == ["/list?repo=9&arch=a"]


@pytest.mark.parametrize("kind", ["metalink", "mirrorlist"])
@pytest.mark.parametrize(
    ("answer", "message"),
    [((404, ""), "has no such list"), (9, "is longer than 4 MiB"), ("<html>", "metalink|names none")],
)
def test_a_list_of_mirrors_that_cannot_be_read(
    host: Host, kind: str, answer: str | int | tuple[int, str], message: str
) -> None:
    host.answers["/list?repo=9&arch=a"] = answer
    with pytest.raises(BakeryError, match=message):
        host.ask(kind)


def test_a_mirror_with_a_huge_answer_counts_as_none(host: Host) -> None:
    host.name_mirrors("huge", "good")
    host.answers |= {"/huge/repodata/repomd.xml": 9, "/good/repodata/repomd.xml": "state"}
    assert host.ask("mirrorlist") == DIGEST
