"""A base that follows a list of checksums: the list, the plan that compares it, and the bake that downloads it."""

import hashlib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bakery.engine import steps
from bakery.host.errors import BakeryError, OutageError
from bakery.host.events import silent
from bakery.layers import checksums
from bakery.layers.base import prepare
from bakery.model.bases import QemuBase
from doubles.certificates import Authority
from doubles.programs import Programs
from doubles.serving import at_work
from unit.bakery.cli.cli_runner import CliRunner

NAME = "debian-12-genericcloud-amd64.qcow2"
DIGITS = 24  # of an identity in a reason
DEFINITION = """\
name: vendor
description: A vendor's image
os: debian-12
arch: x86_64
version: "1.0"
base:
  qemu:
    url: {server}/{name}
    checksums: {server}/SHA512SUMS
targets: [local]
"""
QEMU_IMG = """
case "$1" in
info) echo '{"format": "qcow2", "virtual-size": 15}' ;;
convert) eval "target=\\${$#}"; shift $(($# - 2)); /bin/cp "$1" "$target" ;;
esac
"""


@dataclass
class Server:
    """Files over HTTPS, with their validators; `asked` has each request and its answer."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    redirect: str = ""
    modified: str = "Fri, 20 Nov 2026 10:00:00 GMT"
    broken: bool = False  # connections end after half a file
    unchanged: bool = False  # each answer is that the file did not change
    asked: list[tuple[str, int]] = field(default_factory=list)

    def release(self, content: bytes, algorithm: str = "sha512") -> str:
        """A new image with its list; the identity of the image."""
        digest = hashlib.new(algorithm, content).hexdigest()
        listing = f"{'0' * len(digest)}  other.qcow2\n{digest}  {NAME}\n"
        self.files = {f"/{NAME}": content, "/SHA512SUMS": listing.encode()}
        return f"{algorithm}:{digest}"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    served = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = served.files.get(self.path)
            tag = f'"{hashlib.sha256(content).hexdigest()}"' if content is not None else ""
            status = 404 if content is None else 304 if self.headers.get("If-None-Match") == tag else 200
            status = 302 if served.redirect else 304 if served.unchanged else status
            served.asked.append((self.path, status))
            self.send_response(status)
            if served.redirect:
                self.send_header("Location", served.redirect)
            self.send_header("ETag", tag)
            self.send_header("Last-Modified", served.modified)
            self.send_header("Content-Length", str(len(content or b"") if status == 200 else 0))
            self.end_headers()
            if status == 200:
                sent = content or b""
                self.wfile.write(sent[: len(sent) // 2] if served.broken else sent)

        def log_message(self, *_args: object) -> None:
            pass

    authority = Authority()
    issued = authority.issue("localhost")
    for name, text in (("ca.pem", authority.pem), ("server.pem", issued.chain + issued.key)):
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "server.pem")
    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.socket = context.wrap_socket(listening.socket, server_side=True)
    with at_work(listening):
        served.url = f"https://localhost:{listening.server_port}"
        yield served


def base(server: Server) -> QemuBase:
    return QemuBase(url=f"{server.url}/{NAME}", checksums=f"{server.url}/SHA512SUMS")


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_list_names_the_newest_image(server: Server, tmp_path: Path, algorithm: str) -> None:
    identity = server.release(b"one", algorithm)
    found = checksums.find_base(base(server), tmp_path)
    assert (found.identity, found.name, found.date) == (identity, NAME, "2026-11-20")


@pytest.mark.parametrize("line", ["SHA256 ({name}) = {digest}", "{digest} *{name}", "{digest}  ./{name}"])
def test_all_forms_of_lists_are_read(server: Server, tmp_path: Path, line: str) -> None:
    digest = hashlib.sha256(b"one").hexdigest()
    text = f"# {NAME}: 3 bytes\n{line.format(name=NAME, digest=digest)}\n"
    server.files = {"/SHA512SUMS": text.encode()}
    assert checksums.find_base(base(server), tmp_path).identity == f"sha256:{digest}"


def test_an_unchanged_list_is_not_sent_again(server: Server, tmp_path: Path) -> None:
    first = server.release(b"one")
    assert [checksums.find_base(base(server), tmp_path).identity for _ in range(2)] == [first, first]
    second = server.release(b"two")
    assert checksums.find_base(base(server), tmp_path).identity == second
    assert [status for _, status in server.asked] == [200, 304, 200]


def test_a_part_of_a_list_is_not_kept(server: Server, tmp_path: Path) -> None:
    identity = server.release(b"one")
    server.broken = True
    with pytest.raises(OutageError, match="out of reach"):
        checksums.find_base(base(server), tmp_path)
    server.broken = False
    assert checksums.find_base(base(server), tmp_path).identity == identity


def test_a_list_that_was_never_sent_is_not_unchanged(server: Server, tmp_path: Path) -> None:
    identity = server.release(b"one")
    server.unchanged = True
    with pytest.raises(BakeryError, match="HTTP 304 Not Modified, and was not asked whether the list changed"):
        checksums.find_base(base(server), tmp_path)
    server.unchanged = False
    assert checksums.find_base(base(server), tmp_path).identity == identity


def test_a_list_of_a_megabyte_is_refused(server: Server, tmp_path: Path) -> None:
    server.release(b"one")
    server.files["/SHA512SUMS"] = b"#" * checksums.LIST_BYTES + server.files["/SHA512SUMS"]
    with pytest.raises(BakeryError, match="longer than 1 MiB"):
        checksums.find_base(base(server), tmp_path)


@pytest.mark.parametrize("modified", ["0", "yesterday"])
def test_a_list_without_a_proper_date_has_none(server: Server, tmp_path: Path, modified: str) -> None:
    identity, server.modified = server.release(b"one"), modified
    found = checksums.find_base(base(server), tmp_path)
    assert (found.identity, found.date) == (identity, "")


@pytest.mark.parametrize("text", ["[]", '{"etag": 1, "modified": 2, "body": 3}', "{"])
def test_a_damaged_copy_of_a_list_is_passed_over(server: Server, tmp_path: Path, text: str) -> None:
    identity = server.release(b"one")
    checksums.find_base(base(server), tmp_path)
    (copy,) = (tmp_path / "checksums").iterdir()
    copy.write_text(text)
    assert checksums.find_base(base(server), tmp_path).identity == identity


def test_a_list_without_the_image_is_an_error(server: Server, tmp_path: Path) -> None:
    server.files = {"/SHA512SUMS": f"{'0' * 128}  {NAME}.old\n{'0' * 96}  {NAME}\n".encode()}
    with pytest.raises(BakeryError, match=f"the list of checksums does not have {NAME}"):
        checksums.find_base(base(server), tmp_path)


def test_a_list_that_is_not_there_is_an_error(server: Server, tmp_path: Path) -> None:
    with pytest.raises(BakeryError, match="the server answers HTTP 404"):
        checksums.find_base(base(server), tmp_path)


def test_a_server_that_nobody_vouches_for_is_not_believed(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.release(b"one")
    (tmp_path / "other.pem").write_text(Authority().pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "other.pem"))
    with pytest.raises(OutageError) as caught:
        checksums.find_base(base(server), tmp_path)
    assert "CERTIFICATE_VERIFY_FAILED" in caught.value.detail


def test_a_list_that_leaves_https_is_not_believed(server: Server, tmp_path: Path) -> None:
    server.redirect = "http://127.0.0.1:1/SHA512SUMS"
    with pytest.raises(BakeryError):
        checksums.find_base(base(server), tmp_path)


@pytest.fixture
def vendor(bakery: CliRunner, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A definition that follows the server's list; downloads are real, and qemu-img copies."""
    bakery.write("packer/images/vendor.yaml", DEFINITION.format(server=server.url, name=NAME))
    bakery.write("packer/templates/chroot/chroot.pkr.hcl", "# template\n")
    Programs(tmp_path / "more", monkeypatch).shell("qemu-img", QEMU_IMG)
    monkeypatch.setattr(steps, "prepare", prepare)
    return server


def test_a_newer_image_is_due_and_its_bytes_are_the_base(bakery: CliRunner, vendor: Server) -> None:
    first = vendor.release(b"one")
    bakery.line("vendor")
    assert bakery.bases["vendor"].sha256 == hashlib.sha256(b"one").hexdigest(), "the list has the SHA-512"
    bakery("refresh", "vendor")
    assert "base unchanged" in bakery("plan", "vendor").out
    second = vendor.release(b"two")
    assert "newest base" in bakery("refresh", "vendor").out.lower()
    expected = f"base {NAME} {first[:DIGITS]}… -> {second[:DIGITS]}… (2026-11-20)"
    assert expected in " ".join(bakery("plan", "vendor", "--json").out.split())
    (record,) = bakery.line("vendor")
    assert (record.version, record.vendor_bases["qemu"].identity) == ("1.0.1", second)
    assert bakery.bases["vendor"].sha256 == hashlib.sha256(b"two").hexdigest()
    assert bakery.line("vendor") == []


def test_an_image_that_the_list_does_not_name_is_refused(bakery: CliRunner, vendor: Server) -> None:
    """The vendor's mirror has the new list, and still the old image."""
    vendor.release(b"two")
    vendor.files[f"/{NAME}"] = b"one"
    with pytest.raises(BakeryError, match="the download has a wrong checksum"):
        bakery.line("vendor")
    assert bakery.did == []


def test_an_image_that_is_cached_is_not_downloaded_again(bakery: CliRunner, vendor: Server) -> None:
    vendor.release(b"one")
    bakery.line("vendor")
    bakery.edit("vendor", "targets: [local]", "targets: [local]\nupdates: none")
    bakery.line("vendor")
    assert [path for path, _ in vendor.asked].count(f"/{NAME}") == 1


def test_an_offline_bake_knows_its_base(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Programs(tmp_path / "more", monkeypatch).shell("qemu-img", QEMU_IMG)
    identity = server.release(b"one")
    disks = [prepare(base(server), tmp_path / "cache", tmp_path, silent, {}, offline) for offline in (False, True)]
    assert disks[0] == disks[1]
    assert disks[1].vendor_base
    assert (disks[1].vendor_base.identity, bool(disks[1].vendor_base.at)) == (identity, True)
    assert [path for path, _ in server.asked].count("/SHA512SUMS") == 1
