"""Publishing to the strict vCenter stand-in: fresh, again, killed, throttled, refused, promoted."""

import multiprocessing
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import stamina

from bakery.clouds.definitions import Definition
from bakery.clouds.read_back import OtherDiskError, ReadRequest
from bakery.clouds.vsphere import channels, notes, read_back, upload
from bakery.clouds.vsphere.read_back import open_disk
from bakery.clouds.vsphere.session import VCenter
from bakery.clouds.vsphere.settings import VsphereDistribution
from bakery.clouds.vsphere.target import VsphereTarget
from bakery.host import files, process
from bakery.host.errors import BakeryError, ConflictError, NotFoundError, UsageError
from bakery.host.events import Event, silent
from bakery.machine import disk_image, qemu
from bakery.machine.block_stream import digest_disk
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Artifact, Base, Disk, ImageLocation, Pointer, Publication, RemoteBuild
from bakery.model.naming import full_name
from bakery.model.tags import identity, of_publication
from bakery.model.version import ImageVersion
from doubles.disks import describe_disk
from doubles.vcenter.client import ITEMS, LIBRARY, PASSWORD, USER, StandIn, running

pytestmark = pytest.mark.integration

MIB = 1 << 20
DISK_SIZE, DATA = 64 * MIB, 8 * MIB
VERSION = ImageVersion("web", "x86_64", "1.0.0")
NAME = full_name(VERSION)
FILES = [f"{NAME}.ovf", f"{NAME}.vmdk"]
CHANNEL = "web-stable-x86_64"
LOGIN = {"username": USER, "password": PASSWORD}
# The steps of a publication by what their calls contain.
STEPS = (
    "POST /rest/com/vmware/content/library/item$",
    "update-session",
    "~action=add",
    ".vmdk",
    "~action=complete",
    "PATCH",
)


@pytest.fixture
def vcenter(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """An empty library that the environment trusts, and waits fifty times as fast as in life."""
    nap = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: nap(seconds / 50))
    with running() as double, stamina.set_testing(True, attempts=10, cap=True):
        monkeypatch.setenv("VSPHERE_CACERT", str(double.authority))
        yield double


@pytest.fixture(scope="module")
def disks(tmp_path_factory: pytest.TempPathFactory) -> list[Disk]:
    """Two qcow2 disks with 8 MiB of noise in 64 MiB each."""
    return [_make_disk(tmp_path_factory.mktemp("disk"), seed) for seed in (1, 2)]


def _make_disk(folder: Path, seed: int) -> Disk:
    raw = folder / "disk.raw"
    with raw.open("wb") as file:
        file.truncate(DISK_SIZE)
        file.seek(5 * MIB)
        file.write(random.Random(seed).randbytes(DATA))  # noqa: S311 - noise, the same in each run
    process.run(["qemu-img", "convert", "-O", "qcow2", raw, folder / "disk.qcow2"])
    return describe_disk(folder / "disk.qcow2")[0]


@dataclass
class DiskPublisher:
    """One definition, and its disks."""

    server: str
    disks: list[Disk]
    login: dict[str, str]
    library: str = LIBRARY
    copies: Sequence[dict[str, str]] = ()

    def artifact(self, version: str = "1.0.0") -> Artifact:
        """Version 1.0.N has the disk N."""
        # fmt: off
        return Artifact(
            image="web", arch="x86_64", version=version, os="debian-12", mode="vm", input_key="0123abcd", inputs={},
            base=Base("debian-12", "12.0.0", "f" * 64), disk=self.disks[int(version[-1])], commit="c0ffee", tools={},
            seconds={}, created="2026-01-01T00:00:00+00:00", log="",
        )
        # fmt: on

    def publish(self, version: str = "1.0.0", report: Callable[[Event], None] = silent) -> Publication:
        artifact = self.artifact(version)
        return self.target().publish(artifact, Path(artifact.disk.path), report)

    def target(self) -> VsphereTarget:
        return VsphereTarget(self.definition(), self.login)

    def definition(self) -> ImageDefinition:
        given = {
            "server": self.server,
            "library": self.library,
            "copies": self.copies,
            "credentials": "secret/data/vcenter",
        }
        definition = {
            "name": "web",
            "description": "A web server",
            "os": "debian-12",
            "arch": "x86_64",
            "version": "1.0",
            "base": {"qemu": {"image": "debian-12"}},
            "targets": ("vsphere",),
            "distribution": {"vsphere": given},
            "tags": {"team": "platform"},
        }
        return Definition.model_validate(definition)


@pytest.fixture
def bench(vcenter: StandIn, disks: list[Disk]) -> DiskPublisher:
    return DiskPublisher(vcenter.server, disks, dict(LOGIN))


def _assert_whole(vcenter: StandIn, publication: Publication) -> None:
    """Exactly one item, with exactly its two files, and no session that is still open."""
    items = vcenter.items()
    assert list(items) == [NAME]
    assert vcenter.files(items[NAME]["id"]) == FILES
    assert [(location.account, location.region, location.id) for location in publication.locations] == [
        (vcenter.server, LIBRARY, items[NAME]["id"])
    ]
    assert vcenter.sessions() == []


def _changes(vcenter: StandIn) -> list[str]:
    """The calls that made or changed something."""
    reading = re.compile(r"^GET |~action=find|/cis/session|download")
    return [call for call in vcenter.calls() if not reading.search(call)]


def test_fresh(vcenter: StandIn, bench: DiskPublisher) -> None:
    events: list[Event] = []
    publication = bench.publish(report=events.append)
    _assert_whole(vcenter, publication)
    item, disk = vcenter.items()[NAME], bench.artifact().disk
    assert item["description"].splitlines()[0] == "A web server"
    assert notes.read(item["description"]) == {
        "team": "platform",
        "Name": NAME,
        "bakery:image": "web",
        "bakery:version": "1.0.0",
        "bakery:arch": "x86_64",
        "bakery:os": "debian-12",
        "bakery:base": "debian-12 12.0.0",
        "bakery:input-key": "0123abcd",
        "bakery:commit": "c0ffee",
        "bakery:sha256": disk.sha256,
        "bakery:raw-sha256": disk.raw_sha256,
    }
    assert item["type"] == "ovf"
    assert set(publication.seconds) == {"pack", "upload"}
    assert [event.fraction for event in events if event.fraction][-1] > 0.9
    assert not list(Path(disk.path).parent.glob(".ovf-*"))


def test_the_item_holds_the_disk(vcenter: StandIn, bench: DiskPublisher, tmp_path: Path) -> None:
    item = bench.publish().locations[0].id
    (tmp_path / "disk.vmdk").write_bytes(vcenter.download(item, f"{NAME}.vmdk"))
    assert b'createType="streamOptimized"' in (tmp_path / "disk.vmdk").read_bytes()[:4096]
    with disk_image.as_raw(tmp_path / "disk.vmdk") as raw:
        assert files.sha256(raw) == bench.artifact().disk.raw_sha256
    envelope = ElementTree.fromstring(vcenter.download(item, f"{NAME}.ovf"))
    attributes = {key.rpartition("}")[2]: value for node in envelope.iter() for key, value in node.attrib.items()}
    assert attributes["href"] == f"{NAME}.vmdk"
    assert attributes["size"] == str((tmp_path / "disk.vmdk").stat().st_size)
    assert attributes["capacity"] == str(DISK_SIZE)
    configured = {node.get(f"{{{VMW}}}key"): node.get(f"{{{VMW}}}value") for node in envelope.iter(f"{{{VMW}}}Config")}
    assert configured == {"firmware": "efi", "bootOptions.efiSecureBootEnabled": "false"}


VMW = "http://www.vmware.com/schema/ovf"


def test_each_vcenter_gets_one_upload_and_its_libraries_copies(
    vcenter: StandIn, bench: DiskPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    vcenter.create_library("images-2")
    with running() as second:
        # Both certificates have the same name, so no file can hold both.
        trusted = {double.server: str(double.authority) for double in (vcenter, second)}
        verify = property(lambda login: trusted[login.server], lambda login, path: None)
        monkeypatch.setattr(VCenter, "_verify", verify, raising=False)
        bench.copies = ({"library": "images-2"}, {"library": LIBRARY, "server": second.server})
        publication = bench.publish()
        places = [(vcenter.server, LIBRARY), (vcenter.server, "images-2"), (second.server, LIBRARY)]
        assert [(location.account, location.region) for location in publication.locations] == places
        for double in (vcenter, second):
            assert len([call for call in double.calls() if "~action=complete" in call]) == 1
        assert [NAME] == list(vcenter.items()) == list(vcenter.items("images-2")) == list(second.items())
        assert {finding.status for finding in bench.target().inspect(publication)} == {"correct"}
        bench.target().point(publication, "stable", bench.target().wanted_locations(), silent)
        for items in (vcenter.items(), vcenter.items("images-2"), second.items()):
            assert sorted(items) == [NAME, CHANNEL]
        second.call("DELETE", f"{ITEMS}/id:{publication.locations[2].id}")
        with pytest.raises(NotFoundError, match=f"the library has no item {NAME}"):
            bench.target().distribute(publication, of_publication(publication), silent)


@pytest.fixture
def second(vcenter: StandIn, bench: DiskPublisher, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """Another vCenter, whose library gets the versions of the bench, too."""
    with running() as double:
        trusted = {one.server: str(one.authority) for one in (vcenter, double)}
        verify = property(lambda login: trusted[login.server], lambda login, path: None)
        monkeypatch.setattr(VCenter, "_verify", verify, raising=False)
        bench.copies = ({"library": LIBRARY, "server": double.server},)
        yield double


def test_vcenters_work_side_by_side(second: StandIn, bench: DiskPublisher, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each waits in its upload until the other one is there; the same for the moves of a channel."""
    meeting = threading.Barrier(2, timeout=30)
    send, move = upload.send, channels.move

    def meet_and_send(*arguments: Any) -> None:
        meeting.wait()
        send(*arguments)

    def meet_and_move(*arguments: Any) -> None:
        meeting.wait()
        move(*arguments)

    monkeypatch.setattr(upload, "send", meet_and_send)
    monkeypatch.setattr(channels, "move", meet_and_move)
    publication = bench.publish()
    assert [location.account for location in publication.locations] == [bench.server, second.server]
    target = bench.target()
    assert len(target.point(publication, "stable", target.wanted_locations(), silent)) == 2


def test_a_vcenter_that_fails_keeps_no_other_one_from_the_version(
    vcenter: StandIn, second: StandIn, bench: DiskPublisher
) -> None:
    """The first one has no such library; what the second one has is adopted by the next run."""
    bench.library = "missing"
    with pytest.raises(BakeryError, match="missing"):
        bench.publish()
    assert (list(vcenter.items()), list(second.items())) == ([], [NAME])
    listing = bench.target().list_resources("web", "x86_64")
    assert list(listing.resources) == [f"{second.server}/{LIBRARY}"]
    assert list(listing.failures) == [f"{vcenter.server}/missing"]
    bench.library = LIBRARY
    publication = bench.publish()
    assert (list(vcenter.items()), list(second.items())) == ([NAME], [NAME])
    assert len([call for call in second.calls() if "~action=complete" in call]) == 1
    target = bench.target()
    second.call("DELETE", f"{ITEMS}/id:{publication.locations[1].id}")
    with pytest.raises(NotFoundError, match="is gone"):
        target.point(publication, "stable", target.wanted_locations(), silent)
    assert sorted(vcenter.items()) == [NAME, CHANNEL]  # the caller takes it back


def test_a_withdrawn_item_stays_and_is_named(vcenter: StandIn, bench: DiskPublisher) -> None:
    publication = bench.publish()
    events: list[Event] = []
    bench.target().withdraw(publication, publication.locations, events.append)
    text = f"its item stays in {vcenter.server}/{LIBRARY}; remove it there if nobody needs it"
    assert [(event.subject, event.text) for event in events] == [(NAME, text)]
    assert list(vcenter.items()) == [NAME]


def test_a_library_is_named_once(bench: DiskPublisher) -> None:
    bench.copies = ({"library": LIBRARY},)
    with pytest.raises(ValueError, match="is named twice"):
        bench.definition()


def test_again_changes_nothing(vcenter: StandIn, bench: DiskPublisher) -> None:
    first = bench.publish()
    before = _changes(vcenter)
    assert replace(bench.publish(), seconds=first.seconds) == first
    assert _changes(vcenter) == before


def test_again_repairs_notes(vcenter: StandIn, bench: DiskPublisher) -> None:
    first = bench.publish()
    item = vcenter.items()[NAME]
    text = item["description"].replace("bakery:version: 1.0.0", "bakery:version: 2.0.0")
    vcenter.call("PATCH", f"/content/library/item/id:{item['id']}", {"update_spec": {"description": text}})
    (finding,) = bench.target().inspect(first)
    assert (finding.status, finding.detail) == ("incorrect", "bakery:version is 2.0.0, expected 1.0.0")
    bench.publish()
    assert [finding.status for finding in bench.target().inspect(first)] == ["correct"]


@pytest.mark.parametrize("step", STEPS)
def test_killed(vcenter: StandIn, bench: DiskPublisher, step: str) -> None:
    seen = len(vcenter.calls())
    vcenter.fault(step, "reset", times=1000)
    _kill_when(bench.publish, lambda: any(step in call for call in vcenter.calls()[seen:]))
    vcenter.control("DELETE", "faults")
    assert NAME not in vcenter.items(), "half an item has the version's name"
    _assert_whole(vcenter, bench.publish())


def _kill_when(work: Callable[[], object], reached: Callable[[], bool]) -> None:
    """Run `work` in a process of its own and kill it, without any clean-up, once it got far enough."""
    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    while not reached():
        assert child.is_alive(), "it ended before it could be killed"
        time.sleep(1)
    child.kill()
    child.join()


@pytest.mark.parametrize("status", [429, 503])
def test_throttling_is_survived(vcenter: StandIn, bench: DiskPublisher, status: int) -> None:
    for step in ("/cis/session", "~action=find", *STEPS):
        vcenter.fault(step, status=status, times=2)
    _assert_whole(vcenter, bench.publish())


def test_lost_answers_make_nothing_twice(vcenter: StandIn, bench: DiskPublisher) -> None:
    for step in STEPS:
        vcenter.fault(step, "after")
    _assert_whole(vcenter, bench.publish())


def test_a_login_that_was_idle_is_renewed(vcenter: StandIn, bench: DiskPublisher) -> None:
    vcenter.fault("~action=complete", status=401)
    _assert_whole(vcenter, bench.publish())
    assert sum("POST /rest/com/vmware/cis/session" in call for call in vcenter.calls()) == 3  # with that of the test


def test_a_long_upload_keeps_its_session_alive(
    vcenter: StandIn, bench: DiskPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "ALIVE_SECONDS", 0.0)
    _assert_whole(vcenter, bench.publish())
    assert any("~action=keep-alive" in call for call in vcenter.calls())


def test_a_disk_that_arrives_damaged_leaves_nothing(
    vcenter: StandIn, bench: DiskPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "sha256", lambda _: "0" * 64)
    with pytest.raises(BakeryError) as caught:
        bench.publish()
    assert "SHA256" in caught.value.detail
    assert (vcenter.items(), vcenter.sessions()) == ({}, [])


def test_a_disk_that_was_replaced_after_its_test_is_not_sent(vcenter: StandIn, bench: DiskPublisher) -> None:
    """Other bytes at the path of the artifact's disk, by the time that they are packed."""
    other = Path(bench.disks[1].path)
    with pytest.raises(BakeryError, match="is not that of the disk that was tested") as caught:
        bench.target().publish(bench.artifact(), other, silent)
    tested, packed = (f"{disk.blocks}, {disk.virtual_size} bytes" for disk in bench.disks[:2])
    assert caught.value.detail == f"tested {tested}\npacked {packed}"
    assert (vcenter.items(), vcenter.sessions()) == ({}, [])


def test_a_failure_leaves_nothing(vcenter: StandIn, bench: DiskPublisher) -> None:
    vcenter.fault("~action=complete", status=400)
    with pytest.raises(BakeryError, match="cannot complete"):
        bench.publish()
    assert (vcenter.items(), vcenter.sessions()) == ({}, [])


@pytest.mark.parametrize("name", [NAME, f"{NAME}-unfinished"])
def test_an_item_of_somebody_else_is_never_touched(vcenter: StandIn, bench: DiskPublisher, name: str) -> None:
    _make_item(vcenter, name)
    before = _changes(vcenter)
    with pytest.raises(ConflictError, match=r"was not made from this disk|was not made by the bakery"):
        bench.publish()
    assert _changes(vcenter) == before


def _make_item(vcenter: StandIn, name: str) -> None:
    spec = {"library_id": vcenter.library(), "name": name, "description": "mine", "type": "ovf"}
    vcenter.call("POST", "/content/library/item", {"create_spec": spec})


def test_two_runs_at_once(vcenter: StandIn, bench: DiskPublisher, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one gets the name first: its item is taken, ours goes."""
    real, others = VCenter.patch, []

    def patch(self: VCenter, *arguments: Any) -> None:
        monkeypatch.setattr(VCenter, "patch", real)
        if left := vcenter.items().get(f"{NAME}-unfinished"):
            spec = {"library_id": vcenter.library(), "name": NAME, "description": left["description"]}
            copy = {"destination_create_spec": spec}
            others.append(vcenter.call("POST", f"/content/library/item/id:{left['id']}?~action=copy", copy))
        real(self, *arguments)

    monkeypatch.setattr(VCenter, "patch", patch)
    publication = bench.publish()
    assert [location.id for location in publication.locations] == others
    assert list(vcenter.items()) == [NAME]


def test_refused_logins(vcenter: StandIn, bench: DiskPublisher) -> None:
    for login in ({"username": USER, "password": "canary-4711"}, {"username": USER}):
        bench.login = login
        with pytest.raises(BakeryError, match="login") as caught:
            bench.publish()
        assert "distribution.vsphere.credentials" in caught.value.hint
        assert "canary-4711" not in repr(vars(caught.value))
    assert not _changes(vcenter)


def test_a_library_that_does_not_exist(vcenter: StandIn, bench: DiskPublisher) -> None:
    bench.library = "imags"
    with pytest.raises(NotFoundError, match="no content library imags"):
        bench.publish()
    assert not _changes(vcenter)


def test_a_certificate_that_is_not_trusted(bench: DiskPublisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VSPHERE_CACERT")
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    with pytest.raises(BakeryError, match="certificate is not trusted") as caught:
        bench.publish()
    assert "VSPHERE_CACERT" in caught.value.hint


def test_nobody_answers(bench: DiskPublisher) -> None:
    bench.server = f"127.0.0.1:{qemu.free_port()}"
    with pytest.raises(BakeryError, match="cannot be reached"):
        bench.publish()


def test_another_vcenter_is_not_taken_for_this_one(bench: DiskPublisher) -> None:
    publication = bench.publish()
    bench.server = "vcenter.example.net"
    with pytest.raises(BakeryError, match="is in the vCenter 127"):
        _point(bench, publication)


def _point(bench: DiskPublisher, publication: Publication) -> Pointer:
    location = publication.locations[0].location
    return bench.target().point(publication, "stable", [location], silent)[location]


def _unpoint(bench: DiskPublisher, publication: Publication) -> None:
    location = publication.locations[0]
    bench.target().unpoint(publication, "stable", {location.location: [location.id]})


class TestChannels:
    @pytest.fixture
    def published(self, bench: DiskPublisher) -> tuple[Publication, Publication]:
        return bench.publish("1.0.0"), bench.publish("1.0.1")

    def version(self, vcenter: StandIn) -> str:
        """What the channel holds, after a look at its files."""
        items = vcenter.items()
        assert sorted(items) == sorted(["web-1.0.0-x86_64", "web-1.0.1-x86_64", CHANNEL]), "something was left"
        told = notes.read(items[CHANNEL]["description"])
        assert told["bakery:channel"] == "stable"
        version = told["bakery:version"]
        disk = f"web-{version}-x86_64.vmdk"
        original = items[f"web-{version}-x86_64"]["id"]
        assert vcenter.download(items[CHANNEL]["id"], disk) == vcenter.download(original, disk)
        return version

    def test_move(self, vcenter: StandIn, bench: DiskPublisher, published: tuple[Publication, Publication]) -> None:
        old, new = published
        pointer = _point(bench, old)
        assert (pointer.name, pointer.value) == (CHANNEL, old.locations[0].id)
        assert self.version(vcenter) == "1.0.0"
        before = _changes(vcenter)
        assert _point(bench, old) == pointer
        assert _changes(vcenter) == before
        _point(bench, new)
        assert self.version(vcenter) == "1.0.1"
        _point(bench, old)
        assert self.version(vcenter) == "1.0.0"

    def test_a_copy_that_fails(
        self, vcenter: StandIn, bench: DiskPublisher, published: tuple[Publication, Publication]
    ) -> None:
        old, new = published
        vcenter.fault("~action=copy", "rollback")
        with pytest.raises(BakeryError, match="removed the copy"):
            _point(bench, old)
        assert CHANNEL not in vcenter.items()
        _point(bench, old)
        vcenter.fault("~action=copy", "rollback")
        with pytest.raises(BakeryError, match="removed the copy"):
            _point(bench, new)
        assert self.version(vcenter) == "1.0.0"

    @pytest.mark.parametrize("kind", ["error", "lost"])
    def test_the_second_rename_fails(
        self,
        vcenter: StandIn,
        bench: DiskPublisher,
        published: tuple[Publication, Publication],
        monkeypatch: pytest.MonkeyPatch,
        kind: str,
    ) -> None:
        """Whether it never arrived or only its answer was lost."""
        old, new = published
        _point(bench, old)
        real, renames = VCenter.patch, []

        def patch(self: VCenter, doing: str, *arguments: Any) -> None:
            renames.append(doing)
            if len(renames) == 2 and kind == "error":
                raise BakeryError("refused")
            real(self, doing, *arguments)
            if len(renames) == 2:
                raise BakeryError("lost")

        monkeypatch.setattr(VCenter, "patch", patch)
        with pytest.raises(BakeryError) as caught:
            _point(bench, new)
        assert f"{CHANNEL} was restored" in caught.value.detail
        assert self.version(vcenter) == "1.0.0"
        _point(bench, new)
        assert self.version(vcenter) == "1.0.1"

    @pytest.mark.parametrize("after", [1, 2, 3])
    def test_killed(
        self,
        vcenter: StandIn,
        bench: DiskPublisher,
        published: tuple[Publication, Publication],
        monkeypatch: pytest.MonkeyPatch,
        after: int,
    ) -> None:
        """After the copy, after the first rename, after the second: the next move cleans up."""
        old, new = published
        _point(bench, old)
        real, calls = VCenter._call_with_login, []

        class Killed(BaseException):
            """Nobody catches it, and no call goes through any more."""

        def call(self: VCenter, doing: str, method: str, *arguments: Any, **options: Any) -> Any:
            calls.append(doing)
            changing = [made for made in calls if made.startswith(("copy", "rename", "remove"))]
            if len(changing) > after:
                raise Killed
            return real(self, doing, method, *arguments, **options)

        with monkeypatch.context() as patch:
            patch.setattr(VCenter, "_call_with_login", call)
            with pytest.raises(Killed):
                _point(bench, new)
        assert len(vcenter.items()) == 4, "it was not killed on the way"
        _point(bench, old)
        assert self.version(vcenter) == "1.0.0"

    @pytest.mark.parametrize("name", [CHANNEL, f"{CHANNEL}-next", f"{CHANNEL}-previous"])
    def test_an_item_of_somebody_else_is_never_touched(
        self, vcenter: StandIn, bench: DiskPublisher, published: tuple[Publication, Publication], name: str
    ) -> None:
        _make_item(vcenter, name)
        before = _changes(vcenter)
        for act in (
            lambda: _point(bench, published[0]),
            lambda: _unpoint(bench, published[0]),
        ):
            with pytest.raises(ConflictError, match="was not made by the bakery"):
                act()
        assert _changes(vcenter) == before

    def test_unpoint(self, vcenter: StandIn, bench: DiskPublisher, published: tuple[Publication, Publication]) -> None:
        old, new = published
        _point(bench, new)
        _unpoint(bench, old)
        assert self.version(vcenter) == "1.0.1"
        _unpoint(bench, new)
        assert sorted(vcenter.items()) == ["web-1.0.0-x86_64", "web-1.0.1-x86_64"]


def test_what_packer_built_is_adopted(vcenter: StandIn, bench: DiskPublisher) -> None:
    build = _packer_built(vcenter)
    publication = bench.target().adopt(build, silent)
    item = vcenter.items()[NAME]
    assert (publication.sha256, publication.locations[0].id) == (build.identity, item["id"])
    assert notes.read(item["description"])["bakery:sha256"] == build.identity
    assert [finding.status for finding in bench.target().inspect(publication)] == ["correct"]
    before = _changes(vcenter)
    assert replace(bench.target().adopt(build, silent), seconds=publication.seconds) == publication
    assert _changes(vcenter) == before
    with pytest.raises(ConflictError, match="was not made from this disk"):
        bench.target().adopt(replace(build, identity="0" * 64), silent)
    vcenter.call("DELETE", f"/content/library/item/id:{item['id']}")
    with pytest.raises(NotFoundError, match="not in the library any more"):
        bench.target().adopt(build, silent)


def test_what_a_killed_build_left_is_cleared(vcenter: StandIn, bench: DiskPublisher) -> None:
    build = _packer_built(vcenter)
    bench.target().prepare(ImageVersion("web", "x86_64", "1.0.1"))
    bench.target().prepare(build)
    assert vcenter.items() == {}
    bench.target().adopt(_packer_built(vcenter), silent)
    with pytest.raises(ConflictError, match="no unfinished build made it"):
        bench.target().prepare(build)
    assert list(vcenter.items()) == [NAME]


def _packer_built(vcenter: StandIn) -> RemoteBuild:
    """An item as vCenter makes it of a machine for Packer, and what the bake stage says of it."""
    spec = {
        "create_spec": {"name": NAME, "description": notes.write("A web server", identity(VERSION))},
        "source": {"type": "VirtualMachine", "id": "vm-1"},
        "target": {"library_id": vcenter.library()},
    }
    vcenter.call("POST", "/vcenter/ovf/library-item", spec)
    # fmt: off
    return RemoteBuild(
        image="web", arch="x86_64", version="1.0.0", os="debian-12", target="vsphere", builder="vsphere-clone",
        input_key="0123abcd", inputs={}, base="", identity="1" * 64, ids={LIBRARY: NAME}, checks=(), commit="c0ffee",
        tools={}, seconds={}, created="2026-01-01T00:00:00+00:00", log="",
    )
    # fmt: on


class TestReadBack:
    def request(self, bench: DiskPublisher, location: ImageLocation, folder: Path) -> ReadRequest:
        settings = bench.definition().distribution.of(VsphereDistribution)
        return ReadRequest(location, settings, LOGIN, folder, folder, lambda _: None)

    def test_a_published_disk_has_the_bytes_that_were_baked(
        self, bench: DiskPublisher, vcenter: StandIn, tmp_path: Path
    ) -> None:
        disk = bench.artifact().disk
        location = bench.publish().locations[0]
        vcenter.fault("downloadsession/file", status=503)
        vcenter.fault("/cis/data/", "reset")
        with open_disk(self.request(bench, location, tmp_path)) as held:
            digest = digest_disk(held)
        assert (digest.sha256, digest.size) == (disk.raw_sha256, disk.virtual_size)
        by_name = replace(location, account="", id=NAME)
        with open_disk(self.request(bench, by_name, tmp_path)) as held:
            assert digest_disk(held) == digest
        assert not vcenter.call("GET", f"{ITEMS}/download-session"), "sessions are ended"

    def test_the_login_goes_to_no_other_vcenter(self, bench: DiskPublisher, tmp_path: Path) -> None:
        request = self.request(bench, replace(bench.publish().locations[0], account="elsewhere"), tmp_path)
        with pytest.raises(UsageError, match="in the vCenter elsewhere"), open_disk(request):
            pytest.fail("it was read")

    @pytest.mark.parametrize("kind", ["parent", "descriptor", "qcow2"])
    def test_a_file_that_names_other_files_is_not_opened(self, kind: str, tmp_path: Path) -> None:
        other, vmdk = tmp_path / "other.vmdk", tmp_path / "disk.vmdk"
        process.run(["qemu-img", "create", "-q", "-f", "vmdk", other, "1M"])
        match kind:
            case "parent":
                process.run(["qemu-img", "create", "-q", "-f", "vmdk", "-b", other, "-F", "vmdk", vmdk])
            case "descriptor":
                process.run(["qemu-img", "create", "-q", "-f", "vmdk", "-o", "subformat=monolithicFlat", vmdk, "1M"])
            case "qcow2":
                process.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", other, "-F", "vmdk", vmdk])
        with pytest.raises(OtherDiskError, match="not a disk in one file"):
            read_back.refuse_outside_files(vmdk)
