"""CPU seconds of the CDKTF program, all stacks of production.yaml, with lazy and with eager bindings."""

import os
import resource
import subprocess
import sys
from pathlib import Path

from bakery.infra import env
from bakery.model.project import Project

ROOT = Path(__file__).parents[1]
RUNS = 3  # the best of three, after one that fills the jsii cache


def measure(folder: Path) -> dict[str, float]:
    """CPU seconds (user and system, children included) by kind of bindings."""
    project = Project(ROOT, ROOT / "packer" / "images", folder)
    everything = {"BAKERY_ENVIRONMENT": "production", "BAKERY_CATALOG": str(folder / "catalog")}
    base = {**os.environ, **env.variables(project, os.environ), **everything}
    variants = {"lazy": {}, "eager": {"BAKERY_EAGER_BINDINGS": "1"}}
    return {name: _best({**base, **extra}, folder) for name, extra in variants.items()}


def _best(environment: dict[str, str], folder: Path) -> float:
    return min([_cpu(environment, folder) for _ in range(RUNS + 1)][1:])


def _cpu(environment: dict[str, str], folder: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, ROOT / "cdktf" / "main.py"], env=environment, cwd=folder, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
