"""What dnf would upgrade in an image, from a signed archive whose content a test decides."""

import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bakery.contents import DATABASE, read_disk, rpm
from bakery.contents.archive import pack_folder
from bakery.contents.comparison import compare_packages
from bakery.engine.refresh import refresh_images
from bakery.engine.session import Session, open_session
from bakery.engine.status import describe_images
from bakery.engine.updates import render_security
from bakery.host.errors import BakeryError, OutageError
from bakery.host.parallel import raise_failures
from bakery.model.contents import Contents
from bakery.model.documents import Publication
from bakery.model.observations import Archive, Update, Upgrade
from bakery.refresh import Archives, UnknownPackagesError, find_missing, observe_updates
from doubles.disks import write_disk
from doubles.rpm_archive import RpmArchive, build_package, run
from doubles.serving import at_work
from integration.test_contents import SYFT, unbaked
from integration.test_refresh import Server, open_archives

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("dnf") is None, reason="dnf is not installed: apt-get install dnf"),
    pytest.mark.skipif(
        shutil.which("createrepo_c") is None, reason="createrepo_c is not installed: apt-get install createrepo-c"
    ),
    pytest.mark.skipif(shutil.which("gpg") is None, reason="gpg is not installed: apt-get install gpg gpg-agent"),
]

FIXED, PLAIN, HELD, LOCKED, KERNEL = "bakery-fixed", "bakery-plain", "bakery-held", "bakery-locked", "kernel"
PACKAGES = (FIXED, PLAIN, HELD, LOCKED)
ARCH = "x86_64"
SYSTEM = (
    ("rpm", "4.16", ARCH, ()),
    (KERNEL, "9", ARCH, ()),
    (KERNEL, "10", ARCH, ()),
    ("example-release", "9.4", "noarch", ("Provides: system-release(releasever) = 9",)),
    *((name, "1", "noarch", ()) for name in PACKAGES),
)
KEY = "/etc/pki/rpm-gpg/RPM-GPG-KEY-example"
REPOSITORY = """\
[baseos]
name=Example $releasever - $basearch
baseurl={uri}/$releasever/
gpgcheck=1
repo_gpgcheck=1
enabled=1
gpgkey=file://{key}

[baseos-source]
name=Example - sources
baseurl={uri}/gone
enabled=0
"""
MODULE = """\
---
document: modulemd
version: 2
data:
  name: example
  stream: {stream}
  version: 20260131
  context: 0123abcd
  arch: x86_64
  summary: An example
  description: An example
  license: {{module: [MIT]}}
  dependencies: [{{requires: {{platform: [el9]}}}}]
  artifacts: {{rpms: ["{package}"]}}
...
"""
# The command would make a file if a plugin of the image's choice ran.
HOOK = "[main]\nenabled=1\naction_file=touch {path}\n"
DEFINITION = f"""\
name: web
description: A test
os: rocky-9
arch: {ARCH}
version: "1.0"
base: {{qemu: {{url: "https://example.org/rocky-9.qcow2", sha256: {"a" * 64}}}}}
targets: [local]
"""


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that has the packages which were built before."""
    return tmp_path_factory.mktemp("rpm")


@pytest.fixture(scope="session")
def database(work: Path) -> Path:
    """The database of rpm after version 1 of each package and two kernels were installed."""
    packages = [build_package(work, name, version, arch, more) for name, version, arch, more in SYSTEM]
    root = work / "root"
    root.mkdir()
    options = ("--root", root, "--dbpath", "/var/lib/rpm")
    run("rpm", *options, "--install", "--justdb", "--nodeps", "--ignorearch", *packages)
    return root / "var/lib/rpm"


@pytest.fixture
def keys() -> Iterator[Path]:
    """A home of gpg: sockets there need a short path."""
    folder = Path(tempfile.mkdtemp(prefix="gpg-"))
    yield folder
    subprocess.run(["gpgconf", "--homedir", folder, "--kill", "gpg-agent"], check=True)
    shutil.rmtree(folder, ignore_errors=True)  # the agent removes its sockets at the same time


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "archive"
    folder.mkdir()
    served = Server(folder)
    with at_work(served.http):
        yield served


@pytest.fixture
def archive(tmp_path: Path, work: Path, server: Server, keys: Path) -> RpmArchive:
    """Version 1 of each package."""
    archive = RpmArchive(tmp_path / "archive/9", work, keys, server.uri)
    for name in PACKAGES:
        archive.add_package(name, "1")
    archive.publish()
    return archive


def write_image(folder: Path, archive: RpmArchive, database: Path) -> Path:
    """What the catalog keeps of an image with one package excluded and one locked."""
    shutil.copytree(database, folder / "var/lib/rpm")
    for path, text in {
        "usr/lib/os-release": 'ID=example\nVERSION_ID=9.4\nPLATFORM_ID="platform:el9"\n',
        "etc/dnf/dnf.conf": f"[main]\ngpgcheck=1\ninstallonly_limit=3\nbest=True\nexclude={HELD}\n",
        "etc/dnf/plugins/versionlock.conf": "[main]\nenabled = 1\nlocklist = /etc/dnf/plugins/versionlock.list\n",
        "etc/dnf/plugins/versionlock.list": f"{LOCKED}-0:1-1.*\n",
        "etc/dnf/plugins/post-transaction-actions.conf": HOOK.format(path=folder.parent / "hook-ran"),
        "etc/yum.repos.d/example.repo": REPOSITORY.format(uri=archive.uri, key=KEY),
        KEY.lstrip("/"): archive.key,
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    (folder / "etc/os-release").symlink_to("../usr/lib/os-release")
    return folder


@pytest.fixture
def image(tmp_path: Path, archive: RpmArchive, database: Path) -> Path:
    return write_image(tmp_path / "image", archive, database)


def ask(image: Path, archives: Archives) -> tuple[tuple[Archive, ...], Upgrade]:
    return observe_updates(pack_folder(image, rpm.OMITTED), archives)


def observe(image: Path, archives: Archives) -> Upgrade:
    return ask(image, archives)[1]


def fail(tmp_path: Path, image: Path) -> BakeryError:
    """The error of a refresh. One before it had all lists, which must not be taken for the present ones."""
    with pytest.raises(BakeryError) as failure:
        observe(image, open_archives(tmp_path))
    return failure.value


def replace_text(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def names(updates: Sequence[Update]) -> list[str]:
    return [update.name for update in updates]


def test_packages_that_no_archive_has(tmp_path: Path, archive: RpmArchive, image: Path) -> None:
    """Those that are right are written in every form that dnf takes, or are not looked up."""
    archive.add_package("New_Package", "2.1", ARCH, ["Provides: web-server = 3", "Provides: perl(Example)"])
    archive.add_package("broken", "1", ARCH, ["Requires: nothing-has-it"])
    archive.publish()
    right = ["New_Package", "New_Package-2.1", "New_Package-2.*", f"New_Package.{ARCH}", "New_Pack*", "web-server"]
    right += [f"New_Package-0:2.1-1.{ARCH}", "perl(Example)", PLAIN, KERNEL, HELD, "broken"]
    passed_over = ["@tools", "@nginx:1.24", "/usr/bin/example", "http://example.org/a.rpm", "a.rpm", "zz,yy"]
    wrong = ["new-package", "New_Package-2.2", "New_Package.i686", "bakery-plian", "zz*", "bakery-plian-2"]
    hint = "the archives have New_Package, but not this version or architecture"
    missing = find_missing(pack_folder(image, rpm.OMITTED), open_archives(tmp_path), [*right, *passed_over, *wrong])
    assert missing == {
        "new-package": "",
        "New_Package-2.2": hint,
        "New_Package.i686": "did you mean 'New_Package'?",
        "bakery-plian": f"did you mean '{PLAIN}'?",
        "zz*": "",
        "bakery-plian-2": f"did you mean '{PLAIN}'?",
    }
    assert not (tmp_path / "hook-ran").exists()


def test_packages_that_are_not_looked_up_need_no_archive(tmp_path: Path, image: Path, server: Server) -> None:
    server.paths.clear()
    assert find_missing(pack_folder(image, rpm.OMITTED), open_archives(tmp_path), ["@tools", "/usr/bin/example"]) == {}
    assert server.paths == []


def test_an_image_with_the_newest_packages_has_no_updates(tmp_path: Path, archive: RpmArchive, image: Path) -> None:
    (state,), upgrade = ask(image, open_archives(tmp_path))
    assert upgrade == Upgrade()
    assert (state.uri, state.suite, state.security) == (f"{archive.uri}/9/", "baseos", False)


def test_updates_are_those_that_dnf_would_make(tmp_path: Path, archive: RpmArchive, image: Path) -> None:
    assert observe(image, open_archives(tmp_path)) == Upgrade()
    for name in (FIXED, HELD, LOCKED):
        archive.add_package(name, "2")
        archive.add_notice(name, "2")
    archive.add_package(FIXED, "3", more=["Requires: bakery-new"])
    archive.add_package("bakery-new", "1")
    archive.add_package(PLAIN, "2")
    archive.add_notice(PLAIN, "2", kind="bugfix")
    archive.add_package(KERNEL, "11", ARCH)
    archive.add_notice(KERNEL, "9.5", arch=ARCH)  # the newest kernel of the image has this fix
    archive.publish()
    upgrade = observe(image, open_archives(tmp_path))
    # No notice names version 3, but it brings the fix of version 2.
    assert upgrade.updates == (
        Update(FIXED, "1-1", "3-1", "baseos", security=True),
        Update(PLAIN, "1-1", "2-1", "baseos", security=False),
        Update(KERNEL, "10-1", "11-1", "baseos", security=False),
    )
    assert upgrade.added == (Update("bakery-new", "", "1-1", "baseos", security=False),)
    assert upgrade.held == (
        Update(HELD, "1-1", "2-1", "baseos", security=True),
        Update(LOCKED, "1-1", "2-1", "baseos", security=True),
    )
    assert upgrade.removed == ()
    assert not (tmp_path / "hook-ran").exists(), "the image's own configuration of a plugin was read"
    agents = subprocess.run(["pgrep", "--full", f"gpg-agent.*{tmp_path}"], capture_output=True, text=True, check=False)
    assert agents.stdout == "", "an agent of gpg's still runs"


def upgrade_image(image: Path, folder: Path) -> None:
    """Upgrade the packages of an image with its own configuration of dnf, which looks for it in the root."""
    plugins, home = folder / "plugins", folder / "home"
    for path, text in {
        plugins / "versionlock.conf": f"[main]\nenabled=1\nlocklist={image}/etc/dnf/plugins/versionlock.list\n",
        home / ".rpmmacros": "%_dbpath /var/lib/rpm\n",
    }.items():
        path.parent.mkdir()
        path.write_text(text)
    options = ("--assumeyes", "--nogpgcheck", f"--installroot={image}", f"--setopt=pluginconfpath={plugins}")
    environment = {**os.environ, "HOME": str(home)}
    subprocess.run(["dnf", *options, "upgrade"], check=True, capture_output=True, env=environment)


@pytest.mark.root
def test_an_upgrade_makes_exactly_these_updates(tmp_path: Path, archive: RpmArchive, image: Path) -> None:
    for name in PACKAGES:
        archive.add_package(name, "2")
    archive.add_package(FIXED, "3", more=["Requires: bakery-new"])
    archive.add_package("bakery-new", "1")
    archive.publish()
    upgrade = observe(image, open_archives(tmp_path))
    before = tuple(rpm.read_packages(image))
    upgrade_image(image, tmp_path)
    changes = compare_packages(before, rpm.read_packages(image))
    announced = sorted((*upgrade.updates, *upgrade.added))
    assert [(one.name, one.installed, one.candidate) for one in announced] == [
        (change.name, change.before, change.after) for change in changes
    ]
    assert [change.name for change in changes] == [FIXED, "bakery-new", PLAIN]
    assert observe(image, open_archives(tmp_path)) == Upgrade(held=upgrade.held)


def test_a_disk_keeps_all_that_dnf_needs(tmp_path: Path, archive: RpmArchive, image: Path) -> None:
    """Keys, excludes and locks are in the package database that a bake reads from its disk."""
    for name in PACKAGES:
        archive.add_package(name, "2")
    archive.publish()
    disk = tmp_path / "disk.qcow2"
    write_disk(image, disk)
    read_disk(unbaked(disk), disk, SYFT)
    with tarfile.open(disk.with_name(DATABASE)) as database:
        assert {"etc/os-release", "usr/lib/os-release"} < set(database.getnames())
    _, upgrade = observe_updates(disk.with_name(DATABASE).read_bytes(), open_archives(tmp_path))
    assert (names(upgrade.updates), names(upgrade.held)) == ([FIXED, PLAIN], [HELD, LOCKED])


def test_a_database_at_its_newer_place(tmp_path: Path, archive: RpmArchive, image: Path) -> None:
    (image / "usr/lib/sysimage").mkdir(parents=True)
    (image / "var/lib/rpm").rename(image / "usr/lib/sysimage/rpm")
    archive.add_package(PLAIN, "2")
    archive.publish()
    assert names(observe(image, open_archives(tmp_path)).updates) == [PLAIN]


def test_without_notices_nobody_knows_what_is_for_security(tmp_path: Path, archive: RpmArchive, image: Path) -> None:
    archive.has_notices = False
    archive.add_package(FIXED, "2")
    archive.add_package(HELD, "2")
    archive.publish()
    upgrade = observe(image, open_archives(tmp_path))
    assert upgrade.updates == (Update(FIXED, "1-1", "2-1", "baseos", security=None),)
    assert upgrade.held == (Update(HELD, "1-1", "2-1", "baseos", security=None),)


def test_a_package_in_place_of_another(tmp_path: Path, archive: RpmArchive, image: Path) -> None:
    archive.add_package("bakery-successor", "1", more=[f"Obsoletes: {PLAIN} < 2"])
    archive.add_package(PLAIN, "1.5")
    archive.publish()
    upgrade = observe(image, open_archives(tmp_path))
    assert (names(upgrade.updates), names(upgrade.added), upgrade.removed) == ([], ["bakery-successor"], (PLAIN,))
    assert upgrade.held == ()


def test_a_package_follows_the_stream_of_its_module(tmp_path: Path, archive: RpmArchive, image: Path) -> None:
    for version in ("1.1", "2"):
        archive.add_package(PLAIN, version)
    archive.modules = "".join(
        MODULE.format(stream=stream, package=f"{PLAIN}-0:{version}-1.noarch")
        for stream, version in (("one", "1.1"), ("two", "2"))
    )
    archive.publish()
    enabled = image / "etc/dnf/modules.d/example.module"
    enabled.parent.mkdir()
    enabled.write_text("[example]\nname=example\nstream=one\nprofiles=\nstate=enabled\n")
    upgrade = observe(image, open_archives(tmp_path))
    assert [(update.name, update.candidate) for update in upgrade.updates] == [(PLAIN, "1.1-1")]
    assert upgrade.held == ()


def test_modules_of_no_platform_are_unknown(tmp_path: Path, image: Path) -> None:
    """dnf would leave out all packages of modules, without an error."""
    (image / "usr/lib/os-release").unlink()
    with pytest.raises(UnknownPackagesError, match="os-release"):
        observe(image, open_archives(tmp_path))


def test_long_names_are_read(tmp_path: Path, archive: RpmArchive, image: Path) -> None:
    """In a terminal, dnf would break their row of its table."""
    name, version = "bakery-" + "long" * 20, "2026.11.29.12.34.56~rc1"
    archive.add_package(name, version)
    archive.add_package(FIXED, "2", more=[f"Requires: {name}"])
    archive.publish()
    upgrade = observe(image, open_archives(tmp_path))
    assert upgrade.added == (Update(name, "", f"{version}-1", "baseos", security=False),)


def test_a_package_that_vanished_is_no_update(tmp_path: Path, archive: RpmArchive, image: Path) -> None:
    package = archive.add_package(PLAIN, "2")
    archive.publish()
    assert names(observe(image, open_archives(tmp_path)).updates) == [PLAIN]
    package.unlink()
    archive.publish()
    assert observe(image, open_archives(tmp_path)) == Upgrade()


def test_an_upgrade_that_dnf_cannot_make(tmp_path: Path, archive: RpmArchive, image: Path) -> None:
    archive.add_package(PLAIN, "2", more=["Requires: bakery-gone"])
    archive.publish()
    error = fail(tmp_path, image)
    assert error.message == "dnf finds no way to upgrade the packages of the image"
    assert "nothing provides bakery-gone needed by bakery-plain-2-1.noarch" in error.detail
    replace_text(image / "etc/dnf/dnf.conf", "best=True", "best=False")
    upgrade = observe(image, open_archives(tmp_path))
    assert (names(upgrade.updates), names(upgrade.held)) == ([], [PLAIN])


def test_a_refresh_with_nothing_new_asks_for_the_list_once(
    tmp_path: Path, server: Server, archive: RpmArchive, database: Path
) -> None:
    images = [write_image(tmp_path / f"image-{number}", archive, database) for number in range(3)]
    observe(images[0], open_archives(tmp_path))
    server.paths.clear()
    archives = open_archives(tmp_path)
    assert [observe(image, archives) for image in images] == [Upgrade()] * 3
    assert server.paths == ["/9/repodata/repomd.xml", "/9/repodata/repomd.xml.asc"]


def test_images_with_other_keys_do_not_share_an_answer(tmp_path: Path, archive: RpmArchive, database: Path) -> None:
    """One image trusts the archive, the other trusts another key: the second must not get the first one's lists."""
    one = write_image(tmp_path / "one", archive, database)
    archive.make_key()
    two = write_image(tmp_path / "two", archive, database)
    archives = open_archives(tmp_path)
    assert observe(one, archives) == Upgrade()
    with pytest.raises(BakeryError, match="no valid signature by a key that the image trusts"):
        observe(two, archives)


def test_a_rotated_key_is_no_reason_for_old_lists(tmp_path: Path, archive: RpmArchive, image: Path) -> None:
    observe(image, open_archives(tmp_path))
    archive.make_key()
    archive.add_package(FIXED, "2")
    archive.publish()
    error = fail(tmp_path, image)
    assert error.message == (
        f"the archive {archive.uri}/9/ baseos has no valid signature by a key that the image trusts"
    )
    assert "new key" in error.hint


def test_a_changed_list_has_a_bad_signature(tmp_path: Path, archive: RpmArchive, image: Path) -> None:
    observe(image, open_archives(tmp_path))
    replace_text(archive.repomd, "<revision>", "<revision>1")
    assert fail(tmp_path, image).message == (
        f"the archive {archive.uri}/9/ baseos has no valid signature by a key that the image trusts"
    )


def test_an_archive_without_a_signature(tmp_path: Path, archive: RpmArchive, image: Path) -> None:
    archive.repomd.with_name("repomd.xml.asc").unlink()
    assert fail(tmp_path, image).message == f"the archive {archive.uri}/9/ baseos is not signed"


def test_a_key_that_was_not_kept(tmp_path: Path, image: Path) -> None:
    (image / KEY.lstrip("/")).unlink()
    error = fail(tmp_path, image)
    assert error.message.endswith("baseos is not in the package database")
    assert error.where == KEY


def test_a_signature_counts_only_if_the_image_asks_for_it(tmp_path: Path, archive: RpmArchive, image: Path) -> None:
    replace_text(image / "etc/yum.repos.d/example.repo", "repo_gpgcheck=1", "repo_gpgcheck=0")
    archive.make_key()
    archive.add_package(PLAIN, "2")
    archive.publish()
    assert names(observe(image, open_archives(tmp_path)).updates) == [PLAIN]


def test_a_broken_list(tmp_path: Path, archive: RpmArchive, image: Path) -> None:
    observe(image, open_archives(tmp_path))
    archive.repomd.write_text("<html>Back soon!")
    archive.sign()
    assert fail(tmp_path, image).message == f"the archive {archive.uri}/9/ baseos has a broken list"


def test_a_mirror_in_the_middle_of_a_sync(tmp_path: Path, archive: RpmArchive, image: Path) -> None:
    observe(image, open_archives(tmp_path))
    archive.add_package(PLAIN, "2")
    archive.publish()
    (index,) = archive.repomd.parent.glob("*-primary.xml.gz")
    before = index.read_bytes()
    index.write_bytes(before[:-8])
    error = fail(tmp_path, image)
    assert error.message.startswith(f"the archive {archive.uri}/9/ baseos does not match its own list")
    assert isinstance(error, OutageError)
    index.unlink()
    assert fail(tmp_path, image).message == error.message
    index.write_bytes(before)
    assert names(observe(image, open_archives(tmp_path)).updates) == [PLAIN]


def test_an_archive_out_of_reach_is_no_answer(tmp_path: Path, archive: RpmArchive, server: Server, image: Path) -> None:
    observe(image, open_archives(tmp_path))
    server.http.shutdown()
    server.http.server_close()
    error = fail(tmp_path, image)
    assert isinstance(error, OutageError)
    assert error.message == f"the archive {archive.uri}/9/ baseos cannot be reached"


def test_an_archive_that_may_be_skipped_is_not(tmp_path: Path, archive: RpmArchive, image: Path) -> None:
    with (image / "etc/yum.repos.d/example.repo").open("a") as stream:
        stream.write(f"[extras]\nbaseurl={archive.uri}/extras\nskip_if_unavailable=True\n")
    assert fail(tmp_path, image).message == f"the archive {archive.uri}/extras extras has no list at its address"


@pytest.fixture
def session(project_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """The project of the tests with this image alone, and a catalog of its own."""
    monkeypatch.chdir(project_root)
    definition = tmp_path / "images/web.yaml"
    definition.parent.mkdir()
    definition.write_text(DEFINITION)
    return open_session(definition.parent, tmp_path / "workspace", "")


def record_version(session: Session, image: Path) -> None:
    """A complete version with these packages, as a run would record it."""
    (action,) = session.plan(None).actions
    record = session.catalog.reserve("web", ARCH, "1.0", action.input_key, action.inputs, "test", "bake-private")
    database = pack_folder(image, rpm.OMITTED)
    digest = hashlib.sha256(database).hexdigest()
    contents = Contents("web", ARCH, record.version, "d" * 64, 1, "Rocky Linux 9", (), (), (), digest)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    kept = session.catalog.keep_contents(contents, database, {})
    publication = Publication("web", ARCH, record.version, "d" * 64, "local", ())
    complete = replace(record, state="complete", sha256="d" * 64, contents=kept, baked=at, publications=(publication,))
    session.catalog.revise(complete)


def describe_state(session: Session) -> tuple[str, str]:
    """Refresh, and return the plan's reason and the updates as status counts them."""
    raise_failures(refresh_images(session, None, 1).outcomes)
    (action,) = session.plan(None).actions
    (status,) = describe_images(session, None, timedelta(hours=1)).images
    return (
        f"{action.kind}: {action.reason}",
        f"{render_security(status.security, status.unclassified)}/{status.updates}",
    )


def test_a_plan_names_what_a_refresh_saw(session: Session, archive: RpmArchive, server: Server, image: Path) -> None:
    record_version(session, image)
    assert describe_state(session) == ("keep: inputs unchanged; no updates", "0/0")

    archive.add_package(FIXED, "2")
    archive.add_package(PLAIN, "2")
    archive.add_notice(FIXED, "2")
    archive.publish()
    due = f"2 packages have updates, 1 for security: {FIXED} 1-1 -> 2-1 (baseos), {PLAIN} 1-1 -> 2-1 (baseos)"
    assert describe_state(session) == (f"bake: {due}", "1/2")

    archive.has_notices = False
    archive.publish()
    due = f"2 packages have updates, 2 perhaps for security: {FIXED} 1-1 -> 2-1 (baseos), {PLAIN} 1-1 -> 2-1 (baseos)"
    assert describe_state(session) == (f"bake: {due}", "?/2")

    server.http.shutdown()
    server.http.server_close()
    with pytest.raises(BakeryError, match="cannot be reached"):
        describe_state(session)
    (action,) = session.plan(None).actions
    assert action.reason == due, "an archive out of reach is no reason to forget its updates"
