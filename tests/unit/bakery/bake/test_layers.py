"""A bake starts from the last layer that still holds, and keeps those that it made, even if it fails."""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bakery.bake import bake, layer_archives, layers
from bakery.bake.layer_keys import Cut
from bakery.bake.request import BakeContext, BakeRequest
from bakery.host.errors import BakeryError, DiskError, OutageError
from bakery.layers.store import ArchiveList, Layer, LayerStore
from bakery.machine import qemu, secret_search
from bakery.model import documents
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Check
from bakery.model.lock import Lock
from bakery.signing import open_keyring
from bakery.signing.documents import make_statement
from doubles.packer import PackerProject, define, make_world

INPUTS = {"engine": "1"}
ARCHIVE = "http://archive.example/dists/stable/InRelease"
# What chroot.sh and keep-layer.sh leave. The first argument of `layer` is the number of roles.
KEEP = f"""
folder = pathlib.Path(software["software_layers"]["folder"])

def layer(roles, content, upgraded=False):
    key = software["software_layers"]["cuts"][str(roles)]
    description = dict(archives=["{ARCHIVE} " + "a" * 64], upgraded=upgraded, seconds=9.5)
    (folder / f"{{key}}.json").write_text(json.dumps(description))
    (folder / f"{{key}}.qcow2").write_text(content)

"""
BAKE = "disk('disk.raw'); manifest(); done()"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackerProject:
    made = make_world(tmp_path, monkeypatch)
    for name in ("early", "late"):
        made.role(name, {"meta/bakery.yml": "modes: [vm, chroot]\n"})
    answer(monkeypatch, "a" * 64)
    return made


def refusing(error: Exception) -> Callable[..., Any]:
    """A function that raises an error."""

    def refuse(*_: object) -> None:
        raise error

    return refuse


def answer(patch: pytest.MonkeyPatch, digest: str | BakeryError) -> list[str]:
    """Let every archive have a list with this digest, or not answer; the addresses that are asked."""
    asked: list[str] = []

    def fetch(url: str) -> str:
        asked.append(url)
        if isinstance(digest, BakeryError):
            raise digest
        return digest

    patch.setattr(layer_archives, "fetch_digest", fetch)
    return asked


def image(**variables: Any) -> ImageDefinition:
    roles = [{"name": "early"}, {"name": "late", "vars": variables}]
    return define(mode="chroot", software={"packages": ["jq"], "roles": roles})


@pytest.fixture
def run(world: PackerProject) -> Callable[..., Mapping[str, Any]]:
    """Bake the next version with a body for Packer; what Ansible got."""
    versions = iter(range(100))

    def run_bake(body: str, *, fresh: bool = False, lock: Lock | None = None, **variables: Any) -> Mapping[str, Any]:
        world.packer(KEEP + body)
        world.events.clear()
        inputs = INPUTS | {f"var:late.{name}": str(value) for name, value in variables.items()}
        context = BakeContext(world.project, world.toolchain, None, world.events.append, fresh=fresh)
        request = BakeRequest(image(**variables), f"1.0.{next(versions)}", inputs, "k" * 64, lock)
        bake(request, world.base, context)
        return dict(world.record()["software"])

    return run_bake


Run = Callable[..., Mapping[str, Any]]


def texts(world: PackerProject) -> list[str]:
    return [event.text for event in world.events]


def stored(world: PackerProject) -> list[Layer]:
    return [layer for layer, _ in LayerStore(world.project.cache / "layers", world.events.append).list_layers()]


def change(world: PackerProject, layer: Layer, **fields: Any) -> None:
    """Give a layer's document other fields, and sign it."""
    changed = replace(layer, **fields)
    statement = make_statement(changed, f"layer {layer.key}", layer.sha256)
    entry = world.project.cache / "layers" / layer.key
    (entry / "layer.dsse.json").write_bytes(open_keyring(world.project).sign(statement, "bake-private"))
    documents.save(changed, entry / "layer.json")


def test_the_first_bake_starts_from_the_base_and_keeps_layers(world: PackerProject, run: Run) -> None:
    software = run(f"layer(0, 'packages', upgraded=True); layer(2, 'all'); {BAKE}")
    assert software["software_start"] == {}
    assert list(software["software_layers"]["cuts"]) == ["0", "1", "2"]
    assert world.record()["variables"]["base_disk"] == str(world.base.path)
    assert {(layer.last, layer.upgraded, layer.image) for layer in stored(world)} == {
        ("", True, "web"),
        ("late", False, "web"),
    }


def test_the_next_bake_starts_from_the_last_layer_that_its_inputs_have(world: PackerProject, run: Run) -> None:
    run(f"layer(0, 'packages', upgraded=True); layer(1, 'early'); layer(2, 'late'); {BAKE}", port=1)
    software = run(
        f"assert pathlib.Path(variables['base_disk']).read_text() == 'early'; layer(2, 'new'); {BAKE}", port=2
    )
    assert software["software_start"] == {"roles": 1, "upgraded": False}
    assert list(software["software_layers"]["cuts"]) == ["2"]
    assert any(text.startswith("start from the layer after the role early, which saves ") for text in texts(world))


def test_a_failed_bake_keeps_the_layers_that_it_made(world: PackerProject, run: Run) -> None:
    with pytest.raises(BakeryError) as caught:
        run("layer(0, 'packages'); layer(1, 'early'); sys.exit(1)")
    text = "the layer after the role early is kept, and the next bake starts there"
    assert caught.value.hint == f"the log has all of its output; {text}"
    assert run(BAKE)["software_start"] == {"roles": 1, "upgraded": False}


def test_a_failed_bake_without_a_new_layer_promises_none(world: PackerProject, run: Run) -> None:
    with pytest.raises(BakeryError) as caught:
        run("sys.exit(1)")
    assert caught.value.hint == "the log has all of its output"


def test_a_failed_rebuild_does_not_say_where_the_next_one_starts(world: PackerProject, run: Run) -> None:
    with pytest.raises(BakeryError) as caught:
        run("layer(1, 'early'); sys.exit(1)", fresh=True)
    assert caught.value.hint.endswith("; the layer after the role early is kept")


def test_an_interrupted_bake_notes_the_layer_that_it_kept(world: PackerProject) -> None:
    """Nobody sees an error of it."""
    with (
        pytest.raises(KeyboardInterrupt),
        layers.plan_layers(world.job(image()), INPUTS, ()).started(fresh=False) as job,
    ):
        draft = job.drafts / f"{job.cuts[0]}.qcow2"
        draft.write_text("packages")
        describe(draft)
        raise KeyboardInterrupt
    assert texts(world) == ["the layer with updates and packages is kept, and the next bake starts there"]


def describe(draft: Path, *archives: str) -> None:
    """Write what Ansible says of a draft."""
    lines = archives or (f"{ARCHIVE} {'a' * 64}",)
    draft.with_suffix(".json").write_text(
        json.dumps({"archives": list(filter(None, lines)), "upgraded": False, "seconds": 9.5})
    )


def leave_drafts(world: PackerProject, definition: ImageDefinition, secrets: Iterable[str] = ()) -> None:
    """Leave what a bake had when it was killed: a layer, and a part of the next one."""
    first = layers.plan_layers(world.job(definition), INPUTS, secrets)
    with pytest.raises(ZeroDivisionError), first.started(fresh=False) as job:
        draft = job.drafts / f"{job.cuts[1]}.qcow2"
        shutil.copytree(job.drafts, world.folder / "drafts")
        raise ZeroDivisionError
    shutil.copytree(world.folder / "drafts", job.drafts)
    draft.write_text("early")
    describe(draft)
    draft.with_name(f"{job.cuts[2]}.part").write_text("half")


def test_the_next_bake_goes_on_behind_the_layers_of_a_killed_one(world: PackerProject) -> None:
    leave_drafts(world, image())
    with layers.plan_layers(world.job(image()), INPUTS, ()).started(fresh=False) as job:
        assert job.start
        assert job.start.roles == 1
        assert [path.name for path in job.drafts.iterdir()] == ["began"]


def test_the_layers_of_a_bake_before_a_power_cut_are_removed(
    world: PackerProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their bytes may be lost, and no digest was made of them."""
    leave_drafts(world, image())
    boot = world.folder / "boot_id"
    boot.write_text("another\n")
    monkeypatch.setattr(qemu, "BOOT_ID", boot)
    with layers.plan_layers(world.job(image()), INPUTS, ()).started(fresh=False) as job:
        assert job.start is None
    assert stored(world) == []


def test_the_layers_of_a_killed_bake_with_secrets_are_removed(world: PackerProject) -> None:
    leave_drafts(world, image())
    with layers.plan_layers(world.job(image()), INPUTS, ["hunter2"]).started(fresh=False) as job:
        assert job.start is None


def test_the_layers_of_a_killed_bake_with_secrets_are_removed_by_one_without(world: PackerProject) -> None:
    leave_drafts(world, image(), ["hunter2-and-more"])
    with layers.plan_layers(world.job(image()), INPUTS, ()).started(fresh=False) as job:
        assert job.start is None


def test_a_layer_without_archives_is_not_kept(world: PackerProject) -> None:
    """A role removed the lists of apt, or apt does not read its sources."""
    with layers.plan_layers(world.job(image()), INPUTS, ()).started(fresh=False) as job:
        draft = job.drafts / f"{job.cuts[1]}.qcow2"
        draft.write_text("early")
        describe(draft, "")
    assert stored(world) == []


def test_a_layer_with_an_archive_that_nobody_can_ask_is_not_kept(world: PackerProject) -> None:
    with layers.plan_layers(world.job(image()), INPUTS, ()).started(fresh=False) as job:
        draft = job.drafts / f"{job.cuts[1]}.qcow2"
        draft.write_text("early")
        describe(draft, f"{ARCHIVE} {'a' * 64}", "http://plain.example/Release none")
    assert stored(world) == []
    reason = "nobody can ask whether http://plain.example/Release changed"
    assert f"no layer is kept after the role early, since {reason}" in texts(world)


def test_a_layer_has_the_archives_of_the_one_that_its_bake_started_from(world: PackerProject, run: Run) -> None:
    """A role may have removed one of them, and its packages are still there."""
    run(f"layer(1, 'early'); {BAKE}", port=1)
    [first] = stored(world)
    removed = ArchiveList("http://removed.example/dists/stable/InRelease", "a" * 64)
    change(world, first, archives=(removed,))
    run(f"layer(2, 'late'); {BAKE}", port=2)
    assert {layer.archives for layer in stored(world) if layer.last == "late"} == {
        (ArchiveList(ARCHIVE, "a" * 64), removed)
    }


def test_a_layer_is_as_old_as_the_one_that_its_bake_started_from(world: PackerProject, run: Run) -> None:
    """Otherwise the work of a role would never be done again while later ones change."""
    run(f"layer(1, 'early'); {BAKE}", port=1)
    [first] = stored(world)
    earlier = (datetime.now(UTC) - timedelta(days=6)).isoformat(timespec="seconds")
    change(world, first, created=earlier)
    run(f"layer(2, 'late'); {BAKE}", port=2)
    assert {layer.created for layer in stored(world)} == {earlier}


def test_a_layer_of_the_future_does_not_hold(world: PackerProject, run: Run) -> None:
    run(f"layer(1, 'early'); {BAKE}")
    [layer] = stored(world)
    change(world, layer, created="2999-01-01T00:00:00+00:00")
    assert run(BAKE)["software_start"] == {}


def test_a_document_in_the_place_of_another_layer_is_not_used(world: PackerProject, run: Run) -> None:
    """Both are signed, so whoever writes to the cache could exchange the disks of two images."""
    run(f"layer(1, 'early'); layer(2, 'all'); {BAKE}")
    folders = {layer.last: world.project.cache / "layers" / layer.key for layer in stored(world)}
    shutil.rmtree(folders["late"])
    shutil.copytree(folders["early"], folders["late"])
    assert run(BAKE)["software_start"]["roles"] == 1


def test_a_full_disk_does_not_fail_the_bake(world: PackerProject, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("bakery.host.files.find_used_space", refuse)
    with layers.plan_layers(world.job(image()), INPUTS, ()).started(fresh=False) as job:
        for roles in (1, 2):
            draft = job.drafts / f"{job.cuts[roles]}.qcow2"
            draft.write_text("role")
            describe(draft)
    reason = "cannot be written: No space left on device"
    assert texts(world) == [f"no more layers are kept in {world.project.layers}: {reason}"]
    assert not job.drafts.exists()


def test_a_full_disk_is_told_once_beside_the_layers_of_a_killed_bake(
    world: PackerProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_drafts(world, image())
    monkeypatch.setattr(LayerStore, "keep", refusing(DiskError("cannot be written: No space left on device")))
    with layers.plan_layers(world.job(image()), INPUTS, ()).started(fresh=False) as job:
        draft = job.drafts / f"{job.cuts[2]}.qcow2"
        draft.write_text("late")
        describe(draft)
    assert len(texts(world)) == 1


def test_an_error_of_one_layer_costs_that_one_alone(world: PackerProject) -> None:
    """A role damaged the description of its layer."""
    with layers.plan_layers(world.job(image()), INPUTS, ()).started(fresh=False) as job:
        for roles in (1, 2):
            draft = job.drafts / f"{job.cuts[roles]}.qcow2"
            draft.write_text("role")
            describe(draft)
        (job.drafts / f"{job.cuts[1]}.json").write_text("{")
    assert [layer.last for layer in stored(world)] == ["late"]
    [note] = texts(world)
    assert note.startswith("no layer is kept after the role early: ")


def test_a_fresh_bake_starts_from_the_base(world: PackerProject, run: Run) -> None:
    run(f"layer(1, 'early'); {BAKE}")
    software = run(f"layer(1, 'again'); {BAKE}", fresh=True)
    assert software["software_start"] == {}
    assert list(software["software_layers"]["cuts"]) == ["0", "1", "2"]


def test_the_time_that_a_layer_saves_counts_that_of_the_layer_below(world: PackerProject, run: Run) -> None:
    run(f"layer(0, 'packages'); {BAKE}")
    [first] = stored(world)
    change(world, first, seconds=1000.0)
    run(f"layer(1, 'early'); {BAKE}")
    assert [layer.seconds for layer in stored(world) if layer.last == "early"] == [1009.5]


@pytest.mark.parametrize(
    ("digest", "reason"),
    [
        ("c" * 64, "it has changed"),
        (OutageError("it does not answer", hint="ask another"), "does not answer (ask another)"),
    ],
)
def test_a_layer_does_not_hold_if_an_archive_changed_or_is_silent(
    world: PackerProject, run: Run, monkeypatch: pytest.MonkeyPatch, digest: str | BakeryError, reason: str
) -> None:
    run(f"layer(1, 'early'); {BAKE}")
    asked = answer(monkeypatch, digest)
    assert run(BAKE)["software_start"] == {}
    assert asked == [ARCHIVE]
    [note] = [text for text in texts(world) if text.startswith("a layer is not used, because of the archive")]
    assert reason in note


@pytest.mark.parametrize("versions", ["pinned", "offline"])
def test_the_archives_of_a_lock_are_not_asked(
    world: PackerProject, monkeypatch: pytest.MonkeyPatch, versions: str
) -> None:
    """Dated archives never change, and a bake that is offline asks nobody."""
    asked = answer(monkeypatch, "c" * 64)
    dated = (
        {"http://archive.example": "http://archive.example"}
        if versions == "offline"
        else {"a": "http://archive.example"}
    )
    definition = image().model_copy(update={"package_versions": versions})
    job = replace(world.job(definition), lock=Lock(dated, {}))
    plan = layers.plan_layers(job, INPUTS, ())
    with plan.started(fresh=False) as first:
        draft = first.drafts / f"{first.cuts[1]}.qcow2"
        draft.write_text("early")
        describe(draft)
    with plan.started(fresh=False) as second:
        assert second.start
        assert second.start.roles == 1
    assert asked == []


def test_an_old_layer_does_not_hold(world: PackerProject, run: Run) -> None:
    run(f"layer(1, 'early'); {BAKE}")
    [layer] = stored(world)
    change(world, layer, created="2020-01-01T00:00:00+00:00")
    assert run(BAKE)["software_start"] == {}


def test_a_layer_that_holds_no_more_is_replaced(
    world: PackerProject, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(f"layer(1, 'early'); {BAKE}")
    answer(monkeypatch, "c" * 64)
    run(f"layer(1, 'newer'); {BAKE}")
    [layer] = stored(world)
    assert (world.project.cache / "layers" / layer.key / "disk.qcow2").read_text() == "newer"


def test_a_layer_of_a_stranger_is_not_used(world: PackerProject, run: Run) -> None:
    run(f"layer(1, 'early'); {BAKE}")
    [layer] = stored(world)
    envelope = world.project.cache / "layers" / layer.key / "layer.dsse.json"
    signed = envelope.read_bytes()
    envelope.write_bytes(b"{}")
    assert run(BAKE)["software_start"] == {}
    assert any(text.startswith(f"the layer {layer.key} is not used: ") for text in texts(world))
    envelope.write_bytes(signed)
    assert run(BAKE)["software_start"]


def test_a_layer_whose_document_was_changed_is_not_used(world: PackerProject, run: Run) -> None:
    run(f"layer(1, 'early'); {BAKE}")
    [layer] = stored(world)
    document = world.project.cache / "layers" / layer.key / "layer.json"
    document.write_text(document.read_text().replace('"upgraded": false', '"upgraded": true'))
    assert run(BAKE)["software_start"] == {}


def test_each_archive_is_asked_once(world: PackerProject, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run(f"layer(0, 'packages'); layer(1, 'early'); layer(2, 'late'); {BAKE}")
    asked = answer(monkeypatch, "c" * 64)
    run(BAKE)
    assert asked == [ARCHIVE]


def test_a_damaged_layer_is_made_again(world: PackerProject, run: Run) -> None:
    run(f"layer(1, 'early'); {BAKE}")
    [layer] = stored(world)
    disk = world.project.cache / "layers" / layer.key / "disk.qcow2"
    disk.chmod(0o644)
    disk.write_text("something else")
    assert run(f"layer(1, 'early'); {BAKE}")["software_start"] == {}
    assert any("is damaged, and was removed" in text for text in texts(world))
    assert stored(world)[0].sha256 == layer.sha256


@pytest.mark.parametrize(
    ("contents", "kept", "end"),
    [
        (["packages", "hunter2"], "", "after the role early"),
        (["hunter2", "role"], "early", "with updates and packages"),
    ],
)
def test_a_layer_with_a_secret_is_not_kept(
    world: PackerProject, monkeypatch: pytest.MonkeyPatch, contents: list[str], kept: str, end: str
) -> None:
    """No role in it mentions one, but an unsealed disk is searched nevertheless."""
    searched: list[str] = []

    def search(raw: Path, values: Iterable[str]) -> list[Check]:
        searched.append(raw.read_text())
        return [Check("no secret on the disk", "hunter2" not in raw.read_text())]

    monkeypatch.setattr(secret_search, "search", search)
    plan = layers.plan_layers(world.job(image()), INPUTS, ["hunter2-and-more"])
    with plan.started(fresh=True) as job:
        for roles, content in enumerate(contents):
            draft = job.drafts / f"{job.cuts[roles]}.qcow2"
            draft.write_text(content)
            describe(draft)
    assert searched == contents
    assert [layer.last for layer in stored(world)] == [kept]
    assert f"no layer is kept {end}: a secret is on the disk" in texts(world)


def test_machines_share_layers_by_a_folder(
    world: PackerProject, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The folder may be on another file system."""
    monkeypatch.setenv("BAKERY_LAYERS", str(tmp_path / "shared"))
    (tmp_path / "shared").mkdir()

    link = os.link

    def refuse_disks(source: Path, target: Path) -> None:
        if target.suffix == ".qcow2":
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        link(source, target)

    monkeypatch.setattr(os, "link", refuse_disks)
    run(f"layer(1, 'early'); {BAKE}")
    assert not (world.project.cache / "layers").exists()
    assert len(LayerStore(tmp_path / "shared", world.events.append).list_layers()) == 1
    assert run(BAKE)["software_start"] == {"roles": 1, "upgraded": False}


def test_a_folder_that_is_not_mounted_costs_the_layers_alone(
    world: PackerProject, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "shared"
    monkeypatch.setenv("BAKERY_LAYERS", str(folder))
    software = run(BAKE)
    assert (software["software_start"], software["software_layers"]["cuts"]) == ({}, {})
    assert f"the bake uses and keeps no layers: BAKERY_LAYERS names no folder: {folder}" in texts(world)
    assert not folder.exists()


@pytest.mark.parametrize("shared", [True, False])
def test_a_folder_that_cannot_be_written_costs_the_new_layers_alone(
    world: PackerProject, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shared: bool
) -> None:
    if shared:
        monkeypatch.setenv("BAKERY_LAYERS", str(tmp_path / "shared"))
        (tmp_path / "shared").mkdir()
    run(f"layer(1, 'early'); {BAKE}", port=1)
    folder = world.project.layers
    mkdtemp = tempfile.mkdtemp

    def refuse(prefix: str, dir: Path | None = None) -> str:
        if dir == folder:
            raise OSError(errno.EROFS, "Read-only file system")
        return mkdtemp(prefix=prefix, dir=dir)

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    software = run(BAKE, port=2)
    assert software["software_start"] == {"roles": 1, "upgraded": False}
    assert software["software_layers"]["cuts"] == {}, "no copy of the disk is made in vain"
    notes = [text for text in texts(world) if "layers" in text]
    assert notes == [f"the bake keeps no layers: {folder}: cannot be written: Read-only file system"]


def test_a_folder_that_nobody_may_enter_costs_the_layers_alone(
    world: PackerProject, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "closed" / "layers"
    monkeypatch.setenv("BAKERY_LAYERS", str(folder))
    is_dir = Path.is_dir

    def refuse(path: Path) -> bool:
        if path == folder:
            raise PermissionError(errno.EACCES, "Permission denied")
        return is_dir(path)

    monkeypatch.setattr(Path, "is_dir", refuse)
    assert run(BAKE)["software_start"] == {}
    assert f"the bake uses and keeps no layers: BAKERY_LAYERS names no folder: {folder}" in texts(world)


def test_a_file_system_without_locks_keeps_layers(
    world: PackerProject, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LayerStore, "exclusive", refusing(DiskError("cannot be written: No locks available")))
    run(f"layer(1, 'early'); {BAKE}")
    assert [layer.last for layer in stored(world)] == ["early"]
    reason = "cannot be written: No locks available"
    assert f"a layer may be made twice: {world.project.layers}: {reason}" in texts(world)


@pytest.mark.parametrize("made", [False, True])
def test_a_bake_that_waited_lets_others_go_on_unless_the_layer_was_made(
    world: PackerProject, monkeypatch: pytest.MonkeyPatch, made: bool
) -> None:
    """The work up to a layer takes too little time to be kept in the next bake as well."""
    released = []

    @contextmanager
    def wait(*_: object) -> Iterator[bool]:
        yield True
        released.append("released")

    monkeypatch.setattr(LayerStore, "exclusive", wait)
    monkeypatch.setattr(LayerStore, "find", lambda _, key: key if made else None)
    store = LayerStore(world.folder, world.events.append)
    with layers.Layers(store, world.job(image()), (Cut(0, "", "a" * 32),), ()).started(fresh=True):
        assert released == ([] if made else ["released"])
    assert released == ["released"]
