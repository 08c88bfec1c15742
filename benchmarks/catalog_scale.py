"""A plan with nothing to do, and listings, over a large catalog, where each request takes as long as at S3.

The plan by heads is the whole command, its start included, and reads by HTTP what it would read from S3. What makes
thousands of requests is measured in this process, without HTTP.
"""

import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import lookup
import plan

from bakery.catalog import Catalog
from bakery.catalog.search import list_versions
from bakery.clouds import definitions
from bakery.engine import fingerprint, toolbox
from bakery.engine.session import Session
from bakery.signing import open_keyring

IMAGES, VERSIONS = 1000, 10
MANY_VERSIONS = 30  # of one more image
MOVES = 10
RUNS = 5  # the best of five, as for the other plans


@dataclass(frozen=True)
class Scale:
    """A plan by heads, also after moves of channels, and one without; a snapshot; listings of one image and of all."""

    plan: lookup.Measurement
    plan_after_moves: lookup.Measurement
    plan_of_records: lookup.Measurement
    snapshot: lookup.Measurement
    image: lookup.Measurement
    all: lookup.Measurement


def measure(folder: Path) -> Scale:
    """Measure each on one catalog."""
    options = plan.write_definitions(folder, IMAGES)
    store = lookup.MemoryStore()
    catalog = fill(folder, store)
    project = plan.project(folder)
    session = Session(project, definitions.load(project.definitions), catalog)
    of_records = _measure_delayed(store, lambda: session.plan(None))
    image = _measure_delayed(store, lambda: list_versions(catalog, catalog.images(["many"])))
    everything = _measure_delayed(store, lambda: list_versions(catalog, catalog.images()))
    snapshot = _measure_delayed(store, catalog.renew_heads)
    by_heads = _measure_plan(store, options)
    for number in range(MOVES):
        record = catalog.newest(f"image-{number}", "x86_64", "1.0")
        assert record
        catalog.move(record, "stable", "", None)
    return Scale(by_heads, _measure_plan(store, options), of_records, snapshot, image, everything)


def _measure_delayed(store: lookup.MemoryStore, work: Callable[[], object]) -> lookup.Measurement:
    store.delay, store.requests = lookup.DELAY, 0
    began = time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    store.delay = 0
    return lookup.Measurement(seconds, store.requests)


def _measure_plan(store: lookup.MemoryStore, options: list[str]) -> lookup.Measurement:
    """The best seconds of the command with nothing to do, and its requests."""
    command = [str(plan.ROOT / ".venv/bin/bakery"), "plan", "--detailed-exitcode", *options]
    seconds = []
    with lookup.serve(lambda *request: answer(store, *request), lookup.DELAY) as (address, requests):
        environment = {**os.environ, "AWS_ENDPOINT_URL": address, "AWS_DEFAULT_REGION": "us-east-1"}
        environment |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        environment["BAKERY_CATALOG"] = f"s3://{lookup.BUCKET}"
        for _ in range(RUNS):
            requests.clear()
            began = time.perf_counter()
            # Exit code 0 with --detailed-exitcode says that there was really nothing to do.
            subprocess.run(command, env=environment, check=True, capture_output=True, cwd=plan.ROOT)
            seconds.append(time.perf_counter() - began)
    return lookup.Measurement(min(seconds), len(requests))


def answer(store: lookup.MemoryStore, environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answer ListObjectsV2 with a delimiter, and GetObject, as S3 does. Moto looks through all keys for a listing."""
    key = environ["PATH_INFO"].removeprefix(f"/{lookup.BUCKET}").removeprefix("/")
    if key:
        content = store.objects[key]
    else:
        prefix = parse_qs(environ["QUERY_STRING"])["prefix"][0]
        names = store.list(prefix.rstrip("/"))
        assert len(names) <= lookup.PAGE
        keys = "".join(_list_key(store, prefix + name) for name in names)
        content = f"<ListBucketResult><IsTruncated>false</IsTruncated>{keys}</ListBucketResult>".encode()
    start_response("200 OK", [("Content-Length", str(len(content)))])
    return [content]


def _list_key(store: lookup.MemoryStore, key: str) -> str:
    if key in store.objects:
        return f"<Contents><Key>{key}</Key></Contents>"
    return f"<CommonPrefixes><Prefix>{key}/</Prefix></CommonPrefixes>"


def fill(folder: Path, store: lookup.MemoryStore) -> Catalog:
    """A catalog in which the newest version of each image has the inputs that the image has now."""
    project = plan.project(folder)
    catalog = Catalog(store, open_keyring(project))
    loaded = definitions.load(project.definitions)
    prints = fingerprint.Fingerprints(project, toolbox.versions(project), toolbox.machine())
    for image in loaded.images.values():
        for number in range(VERSIONS - 1):
            plan.complete_version(catalog, image.name, {"number": str(number)})
        plan.complete_version(catalog, image.name, prints.inputs(image, loaded.sources[image.name], ""))
    for number in range(MANY_VERSIONS):
        plan.complete_version(catalog, "many", {"number": str(number)})
    return catalog
