"""How long a plan with nothing to do takes, and how it grows with the number of definitions."""

import subprocess
import time
from dataclasses import replace
from pathlib import Path

from bakery.catalog import Catalog
from bakery.clouds import definitions
from bakery.engine import fingerprint, toolbox
from bakery.engine.session import open_catalog
from bakery.model import documents
from bakery.model.inputs import input_key
from bakery.model.project import Project

ROOT = Path(__file__).parents[1]
SIZES = (10, 100, 1000, 10_000)
RUNS = 5  # the best of five: what the machine can do when nothing disturbs it
TEMPLATE = """\
name: image-{number}
description: Benchmark image {number}
os: debian-12
arch: x86_64
version: "1.0"
base:
  qemu: {{debootstrap: {{suite: bookworm}}}}
software:
  packages: [jq, curl]
  roles:
    - name: nginx
      vars: {{nginx_port: {port}}}
targets: [local]
"""


def measure(folder: Path) -> dict[int, float]:
    """Wall seconds of `bakery plan` by number of definitions, every image up to date, caches warm."""
    return {size: best(["plan", "--detailed-exitcode", *prepare(folder / str(size), size)]) for size in SIZES}


def prepare(folder: Path, size: int) -> list[str]:
    """Options that name definitions, and a catalog in which each is complete with the inputs that it has now."""
    options = write_definitions(folder, size)
    described = project(folder)
    loaded = definitions.load(described.definitions)
    prints = fingerprint.Fingerprints(described, toolbox.versions(described), toolbox.machine())
    catalog = open_catalog(described, "")
    for image in loaded.images.values():
        complete_version(catalog, image.name, prints.inputs(image, loaded.sources[image.name], ""))
    return options


def write_definitions(folder: Path, size: int) -> list[str]:
    """Options that name so many definitions, and a workspace."""
    images = folder / "images"
    images.mkdir(parents=True)
    for number in range(size):
        (images / f"image-{number}.yaml").write_text(TEMPLATE.format(number=number, port=1024 + number))
    return ["--definitions", str(images), "--workspace", str(project(folder).workspace)]


def project(folder: Path) -> Project:
    """The project of a folder's definitions and catalog."""
    return Project(ROOT, folder / "images", folder / "workspace")


def complete_version(catalog: Catalog, image: str, inputs: dict[str, str]) -> None:
    """Add a version with these inputs, as if it had been baked and published to the local store."""
    record = catalog.reserve(image, "x86_64", "1.0", input_key(inputs), inputs, "benchmark", "bake-private")
    location = documents.ImageLocation("", "", f"/images/{image}.qcow2")
    local = documents.Publication(image, "x86_64", record.version, "0" * 64, "local", (location,))
    catalog.revise(replace(record, state="complete", baked=record.at, sha256="0" * 64, publications=(local,)))


def best(arguments: list[str], runs: int = RUNS) -> float:
    """Wall seconds of the fastest of some runs of a verb that ends well."""
    seconds = []
    for _ in range(runs):
        began = time.monotonic()
        # Exit code 0 with --detailed-exitcode says that there was really nothing to do.
        subprocess.run([ROOT / ".venv/bin/bakery", *arguments], check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
        seconds.append(time.monotonic() - began)
    return min(seconds)
