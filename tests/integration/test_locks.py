"""Package versions that a lock holds, as a user moves them: update, plan, run, and what goes wrong."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bakery.machine import disk_image
from bakery.machine.filesystem import root_of
from doubles.apt_archive import AptArchive, apt_archive, expired_lists
from integration.clones import run_bakery

pytestmark = [
    pytest.mark.integration,
    pytest.mark.root,
    pytest.mark.guest,
    pytest.mark.skipif(shutil.which("gpg") is None, reason="gpg is not installed: apt-get install gpg gpg-agent"),
]

MOVED, PLAIN = "bakery-moved", "bakery-plain"
SECONDS = 900.0  # of one command; a run takes a minute without acceleration
DEFINITION = """\
name: web
description: A test
os: debian-12
arch: x86_64
version: "1.0"
mode: chroot
base: {{qemu: {{debootstrap: {{suite: bookworm}}}}}}
package_versions: pinned
software:
  roles:
    - name: prepare_apt
    - name: apt_archive
      vars:
        apt_archive_name: test
        apt_archive_uri: {uri}
        apt_archive_suites: [test]
        apt_archive_key: {key}
        apt_archive_packages: [{packages}]
targets: [local]
"""
# The image knows the test's archive alone: Debian's own have no dated ones that a test could reach.
ROLE = """\
- name: Remove Debian's archives
  ansible.builtin.file: {path: /etc/apt/sources.list, state: absent}
"""


@pytest.fixture
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AptArchive]:
    """Version 1 of each package, in a snapshot as well, whose lists are not valid any more."""
    with apt_archive(tmp_path_factory.mktemp("archive")) as archive:
        with expired_lists():
            for name in (MOVED, PLAIN):
                archive.add_package("test", name, "1")
            archive.take_snapshot()
        yield archive


class Project:
    """A project with one image, whose archive has dated ones."""

    def __init__(self, folder: Path, archive: AptArchive) -> None:
        self._folder, self._workspace = folder, folder / ".bakery"
        self._environment = {"BAKERY_DATED_ARCHIVES": f"{archive.uri}={archive.dated}"}
        self.definition = folder / "packer" / "images" / "web.yaml"
        self.lock = self.definition.with_suffix(".lock.json")
        text = DEFINITION.format(key=json.dumps(archive.key), uri=archive.uri, packages=f"{MOVED}, {PLAIN}")
        shutil.rmtree(folder / "packer" / "images")
        for path, content in {
            "packer/images/web.yaml": text,
            "ansible/roles/prepare_apt/tasks/main.yml": ROLE,
            "ansible/roles/prepare_apt/meta/bakery.yml": "modes: [chroot, vm]\n",
        }.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(content)

    def bakery(self, *arguments: str, code: int = 0) -> str:
        """What a command prints; it must end with this exit code."""
        run = run_bakery(self._folder, *arguments, code=code, seconds=SECONDS, environment=self._environment)
        return run.stdout + run.stderr

    def choose(self, versions: str) -> None:
        """Set package_versions of the image."""
        lines = self.definition.read_text().splitlines()
        lines = [f"package_versions: {versions}" if line.startswith("package_versions") else line for line in lines]
        self.definition.write_text("\n".join(lines) + "\n")

    def write_lock(self, archives: dict[str, str], packages: dict[str, str]) -> None:
        self.lock.write_text(json.dumps({"archives": archives, "packages": packages, "schema": "bakery/lock/1"}))

    def read_packages(self, version: str) -> dict[str, str]:
        """The packages of a baked disk by name."""
        contents = self._workspace / "artifacts" / f"web-{version}-x86_64" / "contents.json"
        return {one["name"]: one["version"] for one in json.loads(contents.read_text())["packages"]}

    def read_file(self, version: str, path: str) -> str:
        """A file of a baked disk; empty if it is not there."""
        with disk_image.as_raw(self._workspace / "artifacts" / f"web-{version}-x86_64" / "disk.qcow2") as raw:
            root = root_of(raw)
            assert root
            return root.read(path)

    def bake_again(self, code: int = 0) -> str:
        """Bake although nothing is due."""
        return self.bakery("bake", "--baked-before", datetime.now(UTC).isoformat(), code=code)

    def forget_packages(self) -> None:
        """Empty the cache of packages."""
        shutil.rmtree(self._workspace / "cache" / "packages")

    def plan(self) -> str:
        """The plan's row for the image."""
        (row, *_) = self.bakery("plan").splitlines()[1:]
        return " ".join(row.split())


@pytest.fixture
def project(clone: Path, archive: AptArchive) -> Project:
    return Project(clone, archive)


@pytest.mark.soak  # 500 s beside three others; unit tests have locks, archives and the cache, without a bake
def test_a_lock_holds_versions_until_it_is_updated(project: Project, archive: AptArchive) -> None:
    missing = project.bakery("validate", code=64)
    assert "web.yaml:8: web has no lock, but package_versions is pinned" in missing
    assert "run 'bakery update web'" in missing

    archive.add_package("test", MOVED, "2")
    project.write_lock({archive.uri: archive.dated.format(date=archive.first)}, {PLAIN: "1"})
    project.bakery("run")
    first = project.read_packages("1.0.0")
    assert (first[MOVED], first[PLAIN]) == ("1", "1"), "the dated archive has version 1 alone"
    project.bakery("refresh")
    assert project.plan() == "web keep 1.0.0 inputs unchanged; 1 update since the lock"

    archive.take_snapshot()
    assert f"{MOVED} - 2" in " ".join(project.bakery("update", "web").split())
    lock = json.loads(project.lock.read_text())
    second = first | {MOVED: "2"}
    assert lock["packages"] == second
    assert project.plan().startswith("web bake 1.0.0 -> 1.0.1 lock:")

    archive.add_package("test", MOVED, "3")
    project.write_lock({archive.uri: archive.uri}, second | {PLAIN: "9"})
    failure = project.bakery("bake", code=1)
    assert "web 1.0.1 has 1 package in another version than its lock" in failure
    assert f"{PLAIN}: the disk has 1, the lock 9" in failure
    assert project.read_packages("1.0.1") == second, "preferences hold version 2 beside version 3"

    # The last bake fetched the same files as this one needs.
    project.write_lock({archive.uri: archive.uri}, second)
    project.choose("offline")
    archive.stop()
    project.bakery("bake")
    assert project.read_packages("1.0.2") == second
    project.forget_packages()
    failure = project.bake_again(code=1)
    assert "web cannot be baked offline: no bake with its lock has filled the package cache" in failure


@pytest.mark.soak  # minutes of a guest; the test before it takes the same tasks in a chroot
def test_a_guest_takes_packages_through_the_cache(project: Project, archive: AptArchive) -> None:
    project.definition.write_text(project.definition.read_text().replace("mode: chroot", "mode: vm"))
    archive.add_package("test", MOVED, "2")
    project.write_lock({archive.uri: archive.dated.format(date=archive.first)}, {MOVED: "1", PLAIN: "1"})
    project.bakery("bake")
    packages = project.read_packages("1.0.0")
    assert (packages[MOVED], packages[PLAIN]) == ("1", "1")
    assert project.read_file("1.0.0", "/etc/apt/sources.list.d/test.sources").count("URIs: ") == 1
    assert "bakery" not in project.read_file("1.0.0", "/etc/apt/sources.list.d/test.sources")
    for path in ("/etc/apt/preferences.d/00-bakery-lock", "/etc/apt/apt.conf.d/zz-bakery-lock"):
        assert project.read_file("1.0.0", path) == ""
