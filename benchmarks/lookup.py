"""Requests and seconds of `bakery show AMI`, in a catalog in a slow store in memory and in moto's S3."""

import contextlib
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import WSGIRequestHandler, make_server

from bakery.catalog import Catalog
from bakery.engine.overview import describe_version, find_record
from bakery.host.errors import NotFoundError
from bakery.model.documents import ImageLocation, Pointer, Publication
from bakery.signing import Keyring

ACCOUNT, BUCKET = "123456789012", "catalog"
RUNS = 3
PAGE = 1000  # names in an answer of S3
DELAY = 0.03  # seconds that S3 takes for a request from the same region, about
HIT, MISS = "ami-image-5-42", "ami-unknown"


@dataclass(frozen=True)
class Measurement:
    """The seconds of a piece of work, for a command the best of some runs, and its requests to the store."""

    seconds: float
    requests: int


class MemoryStore:
    """A store that can be as slow as S3.

    moto's bucket is filled from it, since writing a catalog through moto would take most of the time.
    """

    location = "memory"

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.delay = 0.0
        self.requests = 0
        self._names: dict[str, set[str]] = {}

    def list(self, prefix: str) -> list[str]:
        names = list(self._names.get(prefix, ()))
        self._wait(max(1, math.ceil(len(names) / PAGE)))
        return names

    def read(self, key: str) -> bytes:
        self._wait(1)
        return self.objects[key]

    def _wait(self, requests: int) -> None:
        self.requests += requests
        if self.delay:
            time.sleep(requests * self.delay)

    def create(self, key: str, data: bytes) -> bool:
        if key in self.objects:
            return False
        self.objects[key] = data
        while "/" in key:
            key, _, name = key.rpartition("/")
            self._names.setdefault(key, set()).add(name)
        return True


def measure_delayed(folder: Path, images: int, versions: int, name: str) -> Measurement:
    """Ask for an AMI, in this process, where each request takes as long as at S3."""
    keyring = Keyring(folder / "keys", {})
    store = fill(keyring, images, versions)
    store.delay, store.requests = DELAY, 0
    catalog = Catalog(store, keyring)
    began = time.perf_counter()
    with contextlib.suppress(NotFoundError):
        describe_version(catalog, find_record(catalog, name, "x86_64"))
    return Measurement(time.perf_counter() - began, store.requests)


def measure_moto(folder: Path, images: int, versions: int, name: str) -> Measurement:
    """Ask for an AMI in a catalog of so many images with so many versions each, by the command, from moto's S3."""
    bucket = s3_backends[ACCOUNT]["aws"]
    bucket.reset()
    bucket.create_bucket(BUCKET, "us-east-1")
    for key, data in fill(Keyring(folder / "keys", {}), images, versions).objects.items():
        bucket.put_object(BUCKET, key, data)
    with serve() as (address, requests):
        return ask(folder, address, requests, name)


def fill(keyring: Keyring, images: int, versions: int) -> MemoryStore:
    """A catalog in which all images are built on the first one, each with a channel."""
    store = MemoryStore()
    catalog = Catalog(store, keyring)
    for image in range(images):
        base = "content-0-0" if image else ""
        for number in range(versions):
            _publish(catalog, f"image-{image}", f"{image}-{number}", base)
    return store


def _publish(catalog: Catalog, image: str, name: str, base: str) -> None:
    record = catalog.reserve(image, "x86_64", "1.0", f"key-{name}", {"base": base}, "benchmark", "bake-private")
    location = ImageLocation(ACCOUNT, "eu-central-1", f"ami-image-{name}", f"snap-{name}")
    pointer = Pointer(ACCOUNT, "eu-central-1", f"/bakery/{image}/x86_64/{record.version}", 1, location.id)
    publication = Publication(image, "x86_64", record.version, f"file-{name}", "aws", (location,), (pointer,))
    complete = replace(
        record, state="complete", sha256=f"file-{name}", raw_sha256=f"content-{name}", publications=(publication,)
    )
    record = catalog.revise(complete)
    catalog.move(record, "stable", "", catalog.channel(image, "x86_64", "stable"))


@contextmanager
def serve(application: Any = None, delay: float = 0) -> Iterator[tuple[str, list[str]]]:
    """A server, by default moto's over the filled bucket, and the requests that it took, which take `delay` seconds."""
    requests: list[str] = []
    application = application or DomainDispatcherApplication(create_backend_app)

    def count(environ: dict[str, Any], start_response: Any) -> Any:
        requests.append(environ["REQUEST_METHOD"])
        time.sleep(delay)
        return application(environ, start_response)

    class Quiet(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"  # as S3, connections stay open

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            pass

    server = make_server("127.0.0.1", 0, count, threaded=True, request_handler=Quiet)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", requests
    server.shutdown()


def ask(workspace: Path, address: str, requests: list[str], name: str) -> Measurement:
    """Run the command RUNS times."""
    environment = {**os.environ, "AWS_ENDPOINT_URL": address, "AWS_DEFAULT_REGION": "us-east-1"}
    environment |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    bakery = str(Path(sys.executable).parent / "bakery")
    command = [bakery, "show", name, "--catalog", f"s3://{BUCKET}", "--workspace", str(workspace)]
    seconds = []
    for _ in range(RUNS):
        requests.clear()
        began = time.perf_counter()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        seconds.append(time.perf_counter() - began)
        assert ("image-5 1.0.42" in done.stdout) == (name == HIT), done.stderr
    return Measurement(min(seconds), len(requests))
