"""The files of package archives that the bakes of one image fetched: apt asks for them as it asks a proxy."""

import hashlib
import http.client
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.error import HTTPError
from urllib.request import urlopen

from bakery.host import files
from bakery.host.errors import BakeryError
from bakery.host.text import count_of
from bakery.model.lock import SUFFIX
from bakery.model.project import Project

ANSWER_SECONDS = 60.0  # of silence, after which an archive is out of reach
POLL_SECONDS = 0.05
FILL = "bake {image} once with 'package_versions: pinned'"


@dataclass
class PackageCache:
    """Files by address. Those below an address of `dated` never change, so that the archive is asked for them once.

    With `offline` no archive is asked at all, and `missing` has the addresses of absent files. A fetched file is in
    `drafts` until a bake has succeeded with it: apt alone knows whether it is what the archive signed.
    """

    folder: Path
    drafts: Path
    dated: Collection[str]
    offline: bool
    used: set[str] = field(default_factory=set)
    missing: list[str] = field(default_factory=list)
    port: int = 0

    def read(self, address: str) -> bytes:
        """A file of an archive. HTTPError for the answer of an archive that lacks it, OSError if none answers."""
        name = hashlib.sha256(address.encode()).hexdigest()
        unchanging = any(address.startswith(f"{one}/") for one in self.dated)
        path = next((folder / name for folder in (self.drafts, self.folder) if (folder / name).is_file()), None)
        if (self.offline or unchanging) and path:
            content = path.read_bytes()
        elif self.offline:
            self.missing.append(address)
            raise FileNotFoundError(address)
        else:
            with urlopen(address, timeout=ANSWER_SECONDS) as answer:  # noqa: S310 - apt's addresses, which are http here
                content = answer.read()
            files.write_atomic(self.drafts / name, content)
        self.used.add(name)
        return content

    def keep_used(self) -> None:
        """Keep what was fetched, and remove the files that no bake asked for since this cache was opened."""
        for path in self.drafts.iterdir():
            path.replace(self.folder / path.name)
        for path in self.folder.iterdir():
            if path.is_file() and path.name not in self.used:
                path.unlink(missing_ok=True)

    def explain_failure(self, image: str, error: BakeryError) -> BakeryError:
        """The error of a bake; if files were missing, one that names them."""
        if not self.missing:
            return error
        names = list(dict.fromkeys(self.missing))
        return BakeryError(
            f"{image} cannot be baked offline: {count_of(len(names), 'file')} of its archives"
            f" {'is' if len(names) == 1 else 'are'} not in the cache",
            detail="\n".join(names),
            hint=FILL.format(image=image),
            log=error.log,
        )


@contextmanager
def serve_packages(project: Project, image: str, dated: Collection[str], offline: bool) -> Iterator[PackageCache]:
    """The cache of an image, at `port` on loopback until the block ends.

    If the block succeeds, it keeps what the bake used; if not, nothing that was fetched stays. The caches of images
    without a lock are removed. BakeryError if an offline bake can have nothing.
    """
    folder = project.cache / "packages" / image
    if offline and not any(folder.glob("*")):
        message = f"{image} cannot be baked offline: no bake with its lock has filled the package cache"
        raise BakeryError(message, where=str(folder), hint=FILL.format(image=image))
    with files.scratch(folder, "fetched") as drafts:
        cache = PackageCache(folder, drafts, dated, offline)
        with _served(cache):
            try:
                yield cache
            except BakeryError as error:
                raise cache.explain_failure(image, error) from error
        cache.keep_used()
    for sibling in folder.parent.glob("*"):
        if not (project.definitions / f"{sibling.name}{SUFFIX}").exists():
            shutil.rmtree(sibling, ignore_errors=True)


@contextmanager
def _served(cache: PackageCache) -> Iterator[None]:
    class Handler(_Handler):
        packages = cache

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        cache.port = server.server_port
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": POLL_SECONDS})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    """Answers apt, which sends whole addresses to a proxy."""

    packages: PackageCache

    def handle(self) -> None:
        """Answer until apt ends the connection, which it does in the middle of a file if its own work ends."""
        with suppress(ConnectionError):
            super().handle()

    def do_GET(self) -> None:
        """Send a file, or what its archive says instead. Files of this machine are refused."""
        if not self.path.startswith("http://"):
            self.send_error(HTTPStatus.FORBIDDEN)
            return
        try:
            content = self.packages.read(self.path)
        except HTTPError as error:
            self.send_error(error.code)
        except FileNotFoundError:
            self.send_error(HTTPStatus.NOT_FOUND)
        except (OSError, http.client.HTTPException, BakeryError) as error:
            self.send_error(HTTPStatus.BAD_GATEWAY, " ".join(str(error).split()))  # apt prints it
        else:
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    def do_CONNECT(self) -> None:
        """Refuse a connection to an archive with TLS, whose files cannot be kept."""
        self.packages.missing.append(f"https://{self.path}")
        self.send_error(HTTPStatus.FORBIDDEN)

    def log_message(self, *_arguments: object) -> None:
        """Log nothing: the log of the bake has what apt prints."""
