"""How long `bakery validate` takes: all image files side by side over one after the other, and how it grows."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import plan

from bakery.bake import validator
from bakery.clouds import definitions
from bakery.engine import toolbox
from bakery.model.project import Project

SIZES = (10, 100, 1000)


@dataclass(frozen=True)
class Validation:
    """Wall seconds: of all image files, and of the verb by number of definitions."""

    files: int
    one_by_one: float
    side_by_side: float
    by_size: dict[int, float]


def measure(folder: Path) -> Validation:
    """Image files are those of packer/images/; definitions are the ones that plans are measured with."""
    project = Project(plan.ROOT, plan.ROOT / "packer" / "images", folder / "workspace")
    found = validator.select_templates(definitions.load(project.definitions).images.values())
    toolchain = toolbox.toolchain(project, "tcg")

    def work(template: validator.Template) -> None:
        validator.validate_template(project, template, toolchain)

    def timed(jobs: int) -> float:
        began = time.monotonic()
        with ThreadPoolExecutor(jobs) as pool:
            list(pool.map(work, found))
        return time.monotonic() - began

    timed(len(found))  # fills the page cache
    by_size = {size: plan.best(["validate", *plan.prepare(folder / str(size), size)]) for size in SIZES}
    return Validation(len(found), timed(1), timed(len(found)), by_size)
