"""Bakes of one image in a chroot after a change of each kind, with layers and without them."""

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bakes import BASE, ROOT

RUNS = 3
ROLES = ("first", "second", "last")
IMAGE = """\
name: layers
description: Packages, and three roles of which each installs one more
os: debian-13
arch: x86_64
version: "1.0"
mode: chroot
base:
  qemu: {{image: debian-13}}
software:
  packages: [jq, rsync, tree]
  roles:
    - name: first
    - name: second
    - name: last
      vars: {{last_text: "{text}"}}
"""
PACKAGES = {"first": "nginx-light", "second": "python3-venv", "last": "lsof"}
# A role that installs a package and writes a file; `fails` is a task that fails, or nothing.
TASKS = """\
- name: Install the package
  ansible.builtin.package:
    name: {package}

- name: Write a file
  ansible.builtin.copy:
    content: "{{{{ {role}_text | default('{text}') }}}}\\n"
    dest: /etc/{role}
    mode: "0644"
{fails}"""
FAILS = "\n- name: Fail\n  ansible.builtin.command: 'false'\n"


@dataclass(frozen=True)
class Layered:
    """Wall seconds of `bakery bake` by what changed, the median of RUNS; `fresh` is a bake without any layer."""

    fresh: float
    nothing: float
    comment: float
    variable: float
    last_role: float
    first_role: float
    resumed: float


class Bench:
    """A project whose image is changed and baked again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0
        (folder / "packer" / "images").mkdir(parents=True)
        (folder / "packer" / "images" / "debian-13.yaml").write_text(BASE)
        for role in ROLES:
            self.write_role(role)
            meta = folder / "ansible" / "roles" / role / "meta" / "bakery.yml"
            meta.parent.mkdir()
            meta.write_text("modes: [vm, chroot]\n")
        self.write_image()

    def write_image(self) -> None:
        """Give a variable of the last role another value."""
        self._number += 1
        definition = self._folder / "packer" / "images" / "layers.yaml"
        definition.write_text(IMAGE.format(text=f"text {self._number}"))

    def write_role(self, role: str, fails: str = "") -> None:
        """Change the text of a task of a role; `fails` is added to its tasks."""
        self._number += 1
        text = TASKS.format(role=role, package=PACKAGES[role], text=f"text {self._number}", fails=fails)
        tasks = self._folder / "ansible" / "roles" / role / "tasks" / "main.yml"
        tasks.parent.mkdir(parents=True, exist_ok=True)
        tasks.write_text(text)

    def write_comment(self) -> None:
        """Add another comment to the definition."""
        self._number += 1
        with (self._folder / "packer" / "images" / "layers.yaml").open("a") as stream:
            stream.write(f"# {self._number}\n")

    def bakery(self, *arguments: str, succeeds: bool = True) -> float:
        """Wall seconds of a verb."""
        began = time.monotonic()
        command = [str(ROOT / ".venv/bin/bakery"), *arguments]
        finished = subprocess.run(command, cwd=self._folder, env=dict(os.environ), capture_output=True, check=False)
        if succeeds != (finished.returncode == 0):
            raise SystemExit(f"{' '.join(arguments)} ended with {finished.returncode}:\n{finished.stderr.decode()}")
        return time.monotonic() - began

    def bake(self) -> float:
        """Wall seconds of a bake of the image, which is never published."""
        return self.bakery("bake", "layers")


def measure(folder: Path) -> Layered:
    """Each kind of change RUNS times, in turn; the base comes first and does not count."""
    bench = Bench(folder)
    bench.bakery("run", "debian-13")
    bench.bake()
    seconds: dict[str, list[float]] = {name: [] for name in Layered.__dataclass_fields__}
    for _ in range(RUNS):
        seconds["nothing"].append(bench.bake())
        bench.write_comment()
        seconds["comment"].append(bench.bake())
        bench.write_image()
        seconds["variable"].append(bench.bake())
        bench.write_role("last")
        seconds["last_role"].append(bench.bake())
        bench.write_role("first")
        seconds["first_role"].append(bench.bake())
        bench.bakery("cache", "gc", "--yes")
        bench.write_role("last")
        seconds["fresh"].append(bench.bake())
        bench.write_role("first")
        bench.write_role("last", FAILS)
        bench.bakery("bake", "layers", succeeds=False)
        bench.write_role("last")
        seconds["resumed"].append(bench.bake())
    return Layered(**{name: median(values) for name, values in seconds.items()})
