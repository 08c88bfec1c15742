"""What a bake of the Red Hat family brings, in chroot mode: updates of a local archive, by the real dnf.

No archive of a distribution is at hand, so the disk is a Debian that says it is a Rocky Linux: dnf, rpm's database, the
archive and its packages are real; the kernel and the boot loader of that family are not.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from bakery.contents import rpm
from bakery.machine import disk_image, network
from bakery.machine.root import open_root
from bakery.model.documents import Artifact, Updates
from doubles.rpm_archive import RpmArchive
from doubles.serving import at_work
from integration.test_refresh import Server
from integration.test_refresh_dnf import FIXED, HELD, KERNEL, LOCKED, PACKAGES, PLAIN
from integration.test_updates import Bench, as_base

pytestmark = [
    pytest.mark.integration,
    pytest.mark.root,
    pytest.mark.soak,
    pytest.mark.skipif(
        shutil.which("createrepo_c") is None, reason="createrepo_c is not installed: apt-get install createrepo-c"
    ),
]

OS_RELEASE = 'NAME="Rocky Linux"\nID="rocky"\nVERSION_ID="9.4"\nPRETTY_NAME="Rocky Linux 9.4"\n'
REPOSITORY = """\
[baseos]
name=Example
baseurl={uri}/9/
gpgcheck=0
repo_gpgcheck=1
gpgkey=file:///etc/pki/example.asc
"""
# Debian's rpm has its database in the home folder.
FILES = {
    "/etc/rpm/macros": "%_dbpath /var/lib/rpm\n",
    "/etc/dnf/dnf.conf": f"[main]\nbest=True\ninstallonly_limit=3\nexclude={HELD}-2*\n",
    "/etc/dnf/plugins/versionlock.conf": "[main]\nenabled = 1\nlocklist = /etc/dnf/plugins/versionlock.list\n",
    "/etc/dnf/plugins/versionlock.list": f"{LOCKED}-0:1-1.*\n",
    "/etc/dnf/plugins/local.conf": "[main]\nenabled = 0\n",  # Debian 13 enables it, and dnf then asks an archive here
    "/usr/lib/os-release": OS_RELEASE,
    "/etc/redhat-release": "Rocky Linux release 9.4 (Blue Onyx)\n",
}
SUBSCRIBE = """\
- name: Install dnf
  ansible.builtin.apt: {{name: [dnf, python3-dnf, dnf-plugins-core], install_recommends: false}}
- name: Make the folders
  ansible.builtin.file: {{path: "{{{{ item }}}}", state: directory, mode: "0755"}}
  loop: [/etc/pki, /etc/rpm, /etc/yum.repos.d, /etc/dnf/plugins, /var/lib/rpm]
- name: Write the configuration
  ansible.builtin.copy: {{dest: "{{{{ item.key }}}}", content: "{{{{ item.value }}}}", mode: "0644", force: true}}
  loop: "{{{{ files | dict2items }}}}"
  vars: {{files: {files}}}
- name: Install packages
  ansible.builtin.command: dnf --assumeyes --nogpgcheck install {packages}
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"), "debian-13")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RpmArchive]:
    work = tmp_path_factory.mktemp("rpm")
    server = Server(work)
    # Sockets of gpg need a short path, and its agent removes them at its end.
    with (
        at_work(server.http),
        patch.dict(os.environ, {network.PORTS: str(server.http.server_port)}),  # bakes may reach it
        tempfile.TemporaryDirectory(prefix="gpg-", ignore_cleanup_errors=True) as folder,
    ):
        keys = Path(folder, "home")
        yield RpmArchive(work / "9", work / "work", keys, server.uri)
        subprocess.run(["gpgconf", "--homedir", keys, "--kill", "gpg-agent"], check=True)


@pytest.fixture(scope="module")
def first(bench: Bench, archive: RpmArchive) -> Artifact:
    """An image with version 1 of each package and kernel 9. Afterwards the archive has newer versions of all."""
    for name in PACKAGES:
        archive.add_package(name, "1")
    archive.add_package(KERNEL, "9", "x86_64")
    archive.publish()
    files = FILES | {
        "/etc/yum.repos.d/example.repo": REPOSITORY.format(uri=archive.uri),
        "/etc/pki/example.asc": archive.key,
    }
    tasks = SUBSCRIBE.format(files=json.dumps(files), packages=" ".join((*PACKAGES, KERNEL)))
    bench.write_role("subscribe", tasks)
    artifact = bench.bake("first", "none", roles="subscribe")
    for name in PACKAGES:
        archive.add_package(name, "2")
    archive.add_package(KERNEL, "10", "x86_64")
    archive.add_notice(FIXED, "2")
    archive.publish()
    return artifact


def read_versions(artifact: Artifact, folder: Path) -> dict[str, list[str]]:
    """Versions of the image's packages by name, as rpm's database has them."""
    with disk_image.as_raw(Path(artifact.disk.path)) as raw:
        open_root(raw).copy(rpm.DATABASE, folder)
    versions: dict[str, list[str]] = {}
    for package in rpm.read_packages(folder):
        versions.setdefault(package.name, []).append(package.version)
    return versions


@pytest.mark.parametrize(
    ("updates", "changes"),
    [
        ("all", {FIXED: ["2-1"], PLAIN: ["2-1"], KERNEL: ["10-1"]}),
        ("security", {FIXED: ["2-1"]}),
        ("none", {}),
    ],
)
def test_a_bake_brings_exactly_the_updates(
    bench: Bench, first: Artifact, tmp_path: Path, updates: Updates, changes: dict[str, list[str]]
) -> None:
    before = read_versions(first, tmp_path / "before")
    assert before == {**{name: ["1-1"] for name in PACKAGES}, KERNEL: ["9-1"]}
    artifact = bench.bake(f"second-{updates}", updates, on=as_base(first), os="rocky-9")
    assert read_versions(artifact, tmp_path / "after") == before | changes
