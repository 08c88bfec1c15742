"""A patch from the archive to the channel, as a user brings it: refresh, status, plan, run, compare."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bakery.bake.variables import LAYER_SECONDS
from doubles.apt_archive import PIN_TASK, PINNED, AptArchive, apt_archive
from integration.bases import SUITES
from integration.clones import run_bakery

pytestmark = [
    pytest.mark.integration,
    pytest.mark.root,
    pytest.mark.guest,
    pytest.mark.skipif(shutil.which("gpg") is None, reason="gpg is not installed: apt-get install gpg gpg-agent"),
]

FIXED, PLAIN = "bakery-fixed", "bakery-plain"
PACKAGES = (FIXED, PLAIN, PINNED)
SECONDS = 1800.0  # of one command; a run takes two minutes without acceleration, and gives a guest fifteen
DEFINITION = """\
name: web
description: A test
os: {system}
arch: x86_64
version: "1.0"
mode: chroot
base: {{qemu: {{debootstrap: {{suite: {suite}}}}}}}
software:
  roles:
    - name: prepare_apt
    - name: apt_archive
      vars:
        apt_archive_name: test
        apt_archive_uri: {uri}
        apt_archive_proxy: {uri}
        apt_archive_suites: [test, test-security]
        apt_archive_key: {key}
        apt_archive_packages: [{packages}]
    - name: slow
targets: [local]
channel: stable
"""
# The image knows the test's archive alone, so that nothing of the world is an update for it.
ROLE = f"""\
- name: Remove Debian's archives
  ansible.builtin.file: {{path: /etc/apt/sources.list, state: absent}}
{PIN_TASK}"""
# After so long the bake keeps a layer, which has the packages of the test's archive.
SLOW = f"""\
- name: Take as long as a role with some work
  ansible.builtin.pause: {{seconds: {LAYER_SECONDS["chroot"]}}}
"""
MODES = "modes: [chroot]\n"


@pytest.fixture
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AptArchive]:
    """Version 1 of each package; a suite for security that has none."""
    with apt_archive(tmp_path_factory.mktemp("archive")) as archive:
        archive.sign_suite("test-security")
        for name in PACKAGES:
            archive.add_package("test", name, "1")
        yield archive


@pytest.fixture(params=["debian-12", pytest.param("debian-13", marks=pytest.mark.soak)])
def project(request: pytest.FixtureRequest, clone: Path, archive: AptArchive) -> Path:
    """A project with this image alone. test_updates.py patches a Debian 13, test_roles.py boots one."""
    shutil.rmtree(clone / "packer" / "images")
    system, packages = request.param, ", ".join(PACKAGES)
    key, suite = json.dumps(archive.key), SUITES[system]
    definition = DEFINITION.format(system=system, suite=suite, key=key, uri=archive.uri, packages=packages)
    for path, text in {
        "packer/images/web.yaml": definition,
        "ansible/roles/prepare_apt/tasks/main.yml": ROLE,
        "ansible/roles/prepare_apt/meta/bakery.yml": MODES,
        "ansible/roles/slow/tasks/main.yml": SLOW,
        "ansible/roles/slow/meta/bakery.yml": MODES,
    }.items():
        (clone / path).parent.mkdir(parents=True, exist_ok=True)
        (clone / path).write_text(text)
    return clone


def bakery(project: Path, *arguments: str, code: int = 0) -> str:
    """What a command prints to standard output; it must end with this exit code."""
    return run_bakery(project, *arguments, code=code, seconds=SECONDS).stdout


def rows(table: str) -> list[list[str]]:
    """The rows of a table by words, without its head."""
    return [line.split() for line in table.splitlines()[1:]]


def state(project: Path) -> tuple[str, str, str]:
    """Refresh, and return the image's version, its updates as security/all, and the plan's row for it."""
    bakery(project, "refresh")
    ((_, version, _, _, updates, *_),) = rows(bakery(project, "status"))
    (row, *_) = bakery(project, "plan").splitlines()[1:]
    return version, updates, " ".join(row.split())


def test_a_patch_comes_with_the_next_version(project: Path, archive: AptArchive) -> None:
    bakery(project, "run")
    assert state(project) == ("1.0.0", "0/0", "web keep 1.0.0 inputs unchanged; no updates")

    archive.add_package("test-security", FIXED, "2")
    archive.add_package("test-security", PINNED, "2")
    due = f"1 package has an update, 1 for security: {FIXED} 1 -> 2 (test-security)"
    assert state(project) == ("1.0.0", "1/1", f"web bake 1.0.0 -> 1.0.1 {due}")
    assert bakery(project, "plan", "--detailed-exitcode", code=2)
    bakery(project, "status", "--fail-on", "security", code=1)

    bakery(project, "run")
    assert any(project.glob(".bakery/cache/layers/*/layer.json")), "the first bake kept no layer to be misled by"
    comparison = json.loads(bakery(project, "compare", "web@1.0.0", "web@1.0.1", "--json"))
    assert comparison["packages"] == [{"name": FIXED, "architecture": "all", "before": "1", "after": "2"}]
    assert comparison["inputs"] == []

    assert state(project) == ("1.0.1", "0/0", "web keep 1.0.1 inputs unchanged; no updates")
    bakery(project, "status", "--fail-on", "security")
    assert bakery(project, "run") == "nothing to do: every image is up to date\n"
