"""How long a refresh with nothing new takes, what it asks of archives, and the time of plan and compare after it."""

import hashlib
import io
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path

import plan

from bakery.catalog import Catalog
from bakery.demo.stand_ins.apt import AptArchive, ArchiveHandler, stop_agent
from bakery.engine.session import open_catalog
from bakery.model.contents import Contents, Package

SIZE = 1000
SUITES = ("stable", "stable-updates", "stable-backports", "extra", "stable-security")
PACKAGES = 400  # installed in each image, as in a small server
STATUS = """\
Package: {name}
Status: install ok installed
Architecture: all
Version: 1.0
Maintainer: Example <packages@example.org>
Description: an example

"""


@dataclass(frozen=True)
class Patches:
    """Wall seconds; `requests` counts the files that all archives were asked for in one refresh."""

    refresh: float
    requests: int
    plan: float
    compare: float


def measure(folder: Path) -> Patches:
    """A second refresh of all images, whose archives have nothing new, and what follows it."""
    options = plan.prepare(folder, SIZE)
    catalog = open_catalog(plan.project(folder), "")
    with _served_archives(folder / "apt") as (address, key, requests):
        database = _pack_database(address, key)
        for image, arch in catalog.images():
            _add_contents(catalog, image, arch, database)
        plan.best(["refresh", "image-0", *options], runs=1)
        (observation,) = catalog.newest_observations().observations
        catalog.keep_observations(replace(observation, image=image) for image, _ in catalog.images())
        requests.clear()
        seconds = plan.best(["refresh", *options], runs=1)
        asked = len(requests)
    workspace = options[options.index("--workspace") :]
    return Patches(
        seconds,
        asked,
        plan=plan.best(["plan", "--detailed-exitcode", *options]),
        compare=plan.best(["compare", "image-0", "image-1", *workspace]),
    )


def _add_contents(catalog: Catalog, image: str, arch: str, database: bytes) -> None:
    record = catalog.newest(image, arch)
    assert record
    # One package differs, so that there is something to compare.
    packages = tuple(Package(f"package-{number}", "1.0", "all", "", "") for number in range(PACKAGES))
    own = Package(f"of-{image}", "1.0", "all", "", "")
    digest = hashlib.sha256(database).hexdigest()
    contents = Contents(image, arch, record.version, record.sha256, 1, "Debian", (*packages, own), (), (), digest)
    catalog.revise(replace(record, contents=catalog.keep_contents(contents, database, {})))


@contextmanager
def _served_archives(folder: Path) -> Iterator[tuple[str, str, list[str]]]:
    """Signed suites on loopback: their address, their key, and the paths that were asked for."""
    folder.mkdir()
    requests: list[str] = []

    class Handler(ArchiveHandler):
        def send_head(self) -> object:  # type: ignore[override]
            requests.append(self.path)
            return super().send_head()

    with tempfile.TemporaryDirectory() as keys:  # a short path, for the sockets of gpg
        archive = AptArchive(folder, Path(keys))
        for suite in SUITES:
            archive.sign_suite(suite)
        stop_agent(Path(keys))
        with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder)) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{server.server_port}", archive.key, requests
            server.shutdown()


def _pack_database(address: str, key: str) -> bytes:
    """The package database of an image with these archives, as the catalog keeps it."""
    keyring = "etc/apt/keyrings/example.asc"
    sources = "".join(f"deb [signed-by=/{keyring}] {address} {suite} main\n" for suite in SUITES)
    names = ["dpkg", *(f"package-{number}" for number in range(PACKAGES))]
    status = "".join(STATUS.format(name=name) for name in names).replace("Architecture: all", "Architecture: amd64", 1)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        texts = {"var/lib/dpkg/status": status, "etc/apt/sources.list": sources, keyring: key}
        for name, text in texts.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()
