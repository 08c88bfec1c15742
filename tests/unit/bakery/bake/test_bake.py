"""The bake around Packer: all of a version or nothing of it."""

import base64
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from bakery.bake import bake, commit
from bakery.bake.bake import check_folders, check_rights
from bakery.bake.request import BakeContext, BakeRequest
from bakery.host import files
from bakery.host.errors import BakeryError, ConflictError, NotFoundError, show_error
from bakery.host.vault import Secret, Vault
from bakery.host.vault.secrets import hash_value, is_hash_of
from bakery.machine import free_space
from bakery.model import documents
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Artifact, SecretUse
from bakery.model.lock import Lock
from bakery.model.project import Project
from bakery.model.version import ImageVersion
from bakery.signing import open_keyring, verify_document
from doubles.packer import PackerProject, define
from doubles.programs import Programs

SECRET = "canary-4711"
SECRETS = {"nginx_status_password": {"path": "secret/data/web", "key": "password"}}


class FakeVault:
    """What a bake needs of a Vault."""

    token = "token-0815"

    def __init__(self, values: Mapping[str, str], versions: Iterable[int] = ()) -> None:
        self._values = values
        self._versions = iter(versions)

    def engines(self) -> dict[str, str]:
        return {"secret/": "kv-v2"}

    def read_version(self, path: str, key: str, version: int = 0) -> Secret:
        if path not in self._values:
            raise NotFoundError(f"there is no secret at {path}")
        return Secret(self._values[path], next(self._versions, 3))

    def environment(self) -> dict[str, str]:
        return {"VAULT_ADDR": "http://127.0.0.1:1", "VAULT_TOKEN": self.token}


def run(
    world: PackerProject,
    definition: ImageDefinition | None = None,
    vault: FakeVault | None = None,
    lock: Lock | None = None,
) -> Artifact:
    request = BakeRequest(definition or define(), "1.0.0", {"os": "debian-12"}, "k" * 64, lock)
    context = BakeContext(world.project, world.toolchain, cast(Vault | None, vault), world.events.append)
    return bake(request, world.base, context)


def folder(world: PackerProject) -> Path:
    return world.project.artifact_folder(ImageVersion("web", "x86_64", "1.0.0"))


def assert_nothing_is_left(world: PackerProject) -> None:
    """No image, no half of one, no temporary folder, no lock that is held."""
    artifacts = world.project.workspace / "artifacts"
    assert [path for path in artifacts.rglob("*") if path.name != ".web"] == []
    assert not list(world.folder.glob("bakery-*"))
    with files.exclusive(world.project.workspace / "locks" / "bake-web.lock", "held"):
        pass


def test_an_artifact_is_a_disk_and_what_is_known_of_it(world: PackerProject) -> None:
    artifact = run(world)
    assert {path.name for path in folder(world).iterdir()} == {
        "archives.txt",
        "artifact.dsse.json",
        "artifact.json",
        "blocks.txt",
        "disk.qcow2",
    }
    assert documents.load(Artifact, folder(world) / "artifact.json") == artifact
    verify_document(artifact, artifact, folder(world) / "artifact.json", open_keyring(world.project), "bake-private")
    assert (folder(world) / "disk.qcow2").read_bytes() == b"baked"
    assert artifact.disk.path == str(folder(world) / "disk.qcow2")
    assert artifact.disk.sha256 == files.sha256(folder(world) / "disk.qcow2")
    assert artifact.disk.blocks == files.sha256(folder(world) / "blocks.txt")
    assert (artifact.base, artifact.tools) == (world.base.base, {"packer": "1.11.2"})
    assert (artifact.inputs, artifact.input_key, artifact.mode) == ({"os": "debian-12"}, "k" * 64, "vm")
    assert {"prepare", "flatten"} <= set(artifact.seconds)
    assert Path(artifact.log).exists()
    assert artifact.commit == "", "the project is not in git"
    assert [event.kind for event in world.events if event.kind != "progress"] == ["start", "done"]


def test_without_git_an_image_names_no_commit(world: PackerProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit, "GIT", "no-such-git")
    artifact = run(world)
    assert artifact.commit == ""
    assert notes(world) == ["the image names no commit: git is not installed"]


@pytest.mark.parametrize(
    ("answer", "expected", "reason"),
    [
        ("echo 0123456789-dirty", "0123456789-dirty", ""),
        ("echo 'fatal: not a git repository (or any parent)' >&2; exit 128", "", ""),
        (
            "echo \"fatal: detected dubious ownership in repository at '/p'\" >&2; echo more >&2; exit 128",
            "",
            "detected dubious ownership in repository at '/p'",
        ),
        ("exit 1", "", "git failed with exit code 1"),
    ],
)
def test_the_reason_why_git_does_not_say_the_commit(
    world: PackerProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, expected: str, reason: str
) -> None:
    Programs(tmp_path / "git", monkeypatch).shell("git", answer)
    artifact = run(world)
    assert artifact.commit == expected
    assert notes(world) == ([f"the image names no commit: {reason}"] if reason else [])


def notes(world: PackerProject) -> list[str]:
    return [event.text for event in world.events if event.kind == "note"]


def test_a_base_that_changes_while_an_image_is_built_on_it(world: PackerProject) -> None:
    """Whoever writes to the workspace changes it after it was compared, in the middle of the bake."""
    world.packer(f"disk(); manifest(); pathlib.Path({str(world.base.path)!r}).write_bytes(b'evil'); done()")
    with pytest.raises(BakeryError, match="the base changed while an image was built on it") as caught:
        run(world)
    assert world.base.sha256 in caught.value.detail
    assert_nothing_is_left(world)


def test_free_blocks_are_cleared_before_the_disk_is_kept(world: PackerProject, monkeypatch: pytest.MonkeyPatch) -> None:
    def clear(raw: Path) -> int:
        assert raw.read_bytes() == b"baked"
        raw.write_bytes(b"clear")
        return 5

    monkeypatch.setattr(free_space, "clear_free_space", clear)
    run(world)
    assert (folder(world) / "disk.qcow2").read_bytes() == b"clear"


def test_a_definition_without_software_and_updates_is_its_base(world: PackerProject) -> None:
    artifact = run(world, define(software={}, updates="none"))
    assert (folder(world) / "disk.qcow2").read_bytes() == b"base"
    assert world.record() == {}, "Packer has nothing to do"
    assert artifact.log == ""


def test_a_definition_without_software_gets_the_updates_of_its_base(world: PackerProject) -> None:
    run(world, define(software={}))
    assert world.record()["software"]["software_updates"] == "all"


def test_a_base_from_packages_is_up_to_date_without_packer(world: PackerProject) -> None:
    run(world, define(software={}, base={"qemu": {"debootstrap": {"suite": "bookworm"}}}))
    assert world.record() == {}


DATED = {"http://a/debian": "http://a/1/debian"}
LOCK = Lock({**DATED, "http://own": "http://own"}, {"openssl": "3.0.17"})


def test_a_base_from_packages_needs_no_package_cache(world: PackerProject) -> None:
    base = {"qemu": {"debootstrap": {"suite": "bookworm"}}}
    run(world, define(software={}, base=base, package_versions="offline"), lock=LOCK)
    assert world.record() == {}


def test_ansible_gets_the_lock_and_the_cache(world: PackerProject) -> None:
    run(world, define(package_versions="pinned"), lock=LOCK)
    lock = world.record()["software"]["software_lock"]
    assert lock["archives"] == DATED
    assert lock["preferences"] == LOCK.preferences
    assert lock["offline"] is False
    assert lock["cache_port"] > 0
    assert lock["archive_tasks"].endswith("lock/archives.yml")


def test_an_offline_bake_without_a_cache_starts_nothing(world: PackerProject) -> None:
    with pytest.raises(BakeryError, match="web cannot be baked offline"):
        run(world, define(package_versions="offline"), lock=LOCK)
    assert world.record() == {}
    assert_nothing_is_left(world)


def test_a_template_of_ones_own_always_runs(world: PackerProject) -> None:
    run(world, define(software={}, updates="none", template="own"))
    assert world.record()


def test_the_base_is_not_touched(world: PackerProject) -> None:
    run(world)
    assert world.base.path.read_bytes() == b"base"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("sys.exit(1)", "Packer failed"),
        ("disk(); sys.exit(1)", "Packer failed"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "Packer was killed"),
        ("disk(); done()", "wrote no manifest"),
        ("disk(); manifest(files=[]); done()", "not one disk"),
        ("disk(); manifest(custom_data=dict(version='9.9.9')); done()", "built version 9.9.9"),
        ("disk(); manifest(); open(variables['manifest'], 'w').write('{'); done()", "cannot be read"),
    ],
)
def test_whatever_packer_does_wrong_leaves_nothing(world: PackerProject, body: str, message: str) -> None:
    world.packer(body)
    with pytest.raises(BakeryError, match=message):
        run(world)
    assert_nothing_is_left(world)
    assert world.events[-1].kind == "failed"


def test_a_failure_after_packer_leaves_nothing(world: PackerProject, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(documents, "save", full)
    with pytest.raises(BakeryError, match="No space left"):
        run(world)
    assert_nothing_is_left(world)


def test_a_bake_works_again_after_one_that_failed(world: PackerProject) -> None:
    world.packer("sys.exit(1)")
    with pytest.raises(BakeryError):
        run(world)
    world.packer("disk(); manifest(); done()")
    assert run(world).version == "1.0.0"


def test_what_a_killed_run_left_goes_at_the_next(world: PackerProject) -> None:
    stale = folder(world).parent / ".web" / ".1.0.0-abcdefgh"
    stale.mkdir(parents=True)
    (stale / "disk.raw").write_bytes(b"half")
    run(world)
    assert not stale.exists()


def test_another_image_is_left_alone(world: PackerProject) -> None:
    other = folder(world).parent / ".web-api" / ".1.0.0-abcdefgh"
    other.mkdir(parents=True)
    run(world)
    assert other.exists()


def test_a_version_is_never_baked_over(world: PackerProject) -> None:
    run(world)
    before = files.sha256(folder(world) / "artifact.json")
    with pytest.raises(ConflictError, match="never overwritten"):
        run(world)
    assert files.sha256(folder(world) / "artifact.json") == before


def test_two_bakes_of_an_image_exclude_each_other(world: PackerProject) -> None:
    lock = world.project.workspace / "locks" / "bake-web.lock"
    with files.exclusive(lock, "held"), pytest.raises(ConflictError, match="baked by another process"):
        run(world)
    assert world.record() == {}


def test_too_little_space_is_known_before_packer(world: PackerProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1 << 40, 1 << 40, 1 << 20))
    with pytest.raises(BakeryError, match="not enough disk space for the bake of web"):
        run(world)
    assert world.record() == {}
    assert_nothing_is_left(world)


def test_packer_gets_values_and_no_token(world: PackerProject) -> None:
    run(world, define(secrets=SECRETS), FakeVault({"secret/data/web": SECRET}))
    given = world.record()
    assert json.loads(given["env"].pop("PKR_VAR_secret_values")) == {"NGINX_STATUS_PASSWORD": SECRET}
    assert "VAULT_TOKEN" not in given["env"]
    assert SECRET not in json.dumps(given)


def test_only_a_template_of_ones_own_may_ask_vault(world: PackerProject) -> None:
    run(world, define(secrets=SECRETS, template="own"), FakeVault({"secret/data/web": SECRET}))
    assert world.record()["env"]["VAULT_TOKEN"] == "token-0815"


def test_a_chroot_gets_values_by_environment_alone(world: PackerProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    run(world, define(secrets=SECRETS, mode="chroot"), FakeVault({"secret/data/web": SECRET}))
    given = world.record()
    assert given["env"].pop("NGINX_STATUS_PASSWORD") == SECRET
    assert "VAULT_TOKEN" not in given["env"]
    assert SECRET not in json.dumps(given)


def test_no_secret_in_what_stays(world: PackerProject) -> None:
    world.packer(f"disk(); manifest(); done(); print({SECRET!r}, 'token-0815')")
    run(world, define(secrets=SECRETS), FakeVault({"secret/data/web": SECRET}))
    kept = [path for path in world.project.workspace.rglob("*") if path.is_file()]
    assert len(kept) > 2
    for path in kept:
        assert SECRET.encode() not in path.read_bytes()
        assert b"token-0815" not in path.read_bytes()


def test_the_artifact_names_the_versions_and_no_value(world: PackerProject) -> None:
    artifact = run(world, define(secrets=SECRETS), FakeVault({"secret/data/web": SECRET}, [7, 7]))
    assert artifact.secrets == {"nginx_status_password": SecretUse("secret/data/web", "password", 7)}


def test_of_an_engine_without_versions_the_artifact_has_a_salted_hash(world: PackerProject) -> None:
    artifact = run(world, define(secrets=SECRETS), FakeVault({"secret/data/web": SECRET}, [0, 0]))
    use = artifact.secrets["nginx_status_password"]
    assert is_hash_of(use.digest, SECRET)
    assert not is_hash_of(use.digest, SECRET + "x")
    assert use.digest != hash_value(SECRET)


def test_a_secret_that_changes_during_the_bake_ends_it(world: PackerProject) -> None:
    with pytest.raises(ConflictError, match="secret/data/web changed while web was baked"):
        run(world, define(secrets=SECRETS), FakeVault({"secret/data/web": SECRET}, [7, 8]))
    assert_nothing_is_left(world)


@pytest.mark.parametrize("value", ["a}}b", "${x}", "%{if", "one\ntwo\n", " ends with a space ", "é 😀", "{ {", "\"\\'"])
@pytest.mark.parametrize("mode", ["vm", "chroot"])
def test_a_secret_reaches_packer_as_it_is(
    world: PackerProject, monkeypatch: pytest.MonkeyPatch, value: str, mode: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    run(world, define(secrets=SECRETS, mode=mode), FakeVault({"secret/data/web": value}))
    env = world.record()["env"]
    values = env if mode == "chroot" else json.loads(env["PKR_VAR_secret_values"])
    assert values["NGINX_STATUS_PASSWORD"] == value


UNFIT_SECRETS = {
    "{{ .Host }}-canary": "has two opening braces in a row, which Packer would evaluate",
    "canary{{": "has two opening braces in a row, which Packer would evaluate",
    "canary\0": "has a NUL character, which no environment variable can have",
    "canary\ud83d": "has half of a surrogate pair, which is not text",
}


@pytest.mark.parametrize(("value", "reason"), UNFIT_SECRETS.items())
def test_a_secret_that_would_not_arrive_is_refused(world: PackerProject, value: str, reason: str) -> None:
    with pytest.raises(BakeryError) as caught:
        run(world, define(secrets=SECRETS), FakeVault({"secret/data/web": value}))
    assert caught.value.message == f"the value of the secret nginx_status_password {reason}"
    assert "canary" not in show_error(caught.value)
    assert "base64" in caught.value.hint
    assert world.record() == {}
    assert_nothing_is_left(world)


@pytest.mark.parametrize("mode", ["vm", "chroot"])
def test_secrets_that_no_environment_holds_are_refused(
    world: PackerProject, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(BakeryError, match="the secrets of web are longer than 128 KiB"):
        run(world, define(secrets=SECRETS, mode=mode), FakeVault({"secret/data/web": "x" * (128 << 10)}))
    assert world.record() == {}


def test_braces_are_text_where_packer_does_not_see_them(world: PackerProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    run(world, define(secrets=SECRETS, mode="chroot"), FakeVault({"secret/data/web": "{{ x }}"}))
    assert world.record()["env"]["NGINX_STATUS_PASSWORD"] == "{{ x }}"


def test_without_secrets_packer_knows_nothing_of_vault(world: PackerProject) -> None:
    run(world, define(), FakeVault({}))
    assert not [name for name in world.record()["env"] if name.startswith("VAULT_")]


@pytest.mark.parametrize(
    ("changes", "vault", "error", "message"),
    [
        ({"secrets": SECRETS}, FakeVault({}), NotFoundError, "no secret at secret/data/web"),
        ({"secrets": SECRETS}, None, BakeryError, "there is no Vault"),
    ],
)
def test_what_can_be_known_is_known_before_packer(
    world: PackerProject, changes: dict[str, Any], vault: FakeVault | None, error: type[BakeryError], message: str
) -> None:
    with pytest.raises(error, match=message):
        run(world, define(**changes), vault)
    assert world.record() == {}


def test_a_key_that_cannot_sign_is_known_before_packer(world: PackerProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a bake of an hour would be lost at its end."""
    monkeypatch.setenv("BAKERY_SIGNING_KEY", str(world.folder / "none.pem"))
    with pytest.raises(BakeryError, match="the signing key cannot be read"):
        run(world)
    assert world.record() == {}


def test_chroot_mode_needs_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    check_rights(define(), "web.yaml:5")
    with pytest.raises(BakeryError, match="needs root") as caught:
        check_rights(define(mode="chroot"), "web.yaml:5")
    assert ("mode: vm" in caught.value.hint, caught.value.where) == (True, "web.yaml:5")


@pytest.mark.parametrize("name", ["my work", "a,b", "it's"])
def test_a_path_that_plugins_cannot_take(world: PackerProject, name: str) -> None:
    world.project = Project(world.project.root, world.project.definitions, world.folder / name)
    with pytest.raises(BakeryError, match="spaces, commas or quotes") as caught:
        check_folders(world.project)
    assert caught.value.where.endswith(name)


@pytest.mark.parametrize("login", ["token-0815", "the key"])
def test_a_disk_with_a_login_of_the_bake_is_refused(world: PackerProject, login: str) -> None:
    content = "b'token-0815'" if login == "token-0815" else "(pathlib.Path(variables['ssh_private_key'])).read_bytes()"
    world.packer(f"disk(content={content}); manifest(); done()")
    with pytest.raises(BakeryError, match=r"the disk of web 1\.0\.0 has the bake's own token or key"):
        run(world, define(), FakeVault({}))
    assert_nothing_is_left(world)


def test_what_the_guest_writes_on_its_console_is_redacted(world: PackerProject) -> None:
    encoded = base64.b64encode(f"user:{SECRET}".encode()).decode()
    console = f"pathlib.Path(variables['serial_log']).write_text('Basic {encoded}\\n{SECRET}\\n')"
    world.packer(f"{console}; disk(); manifest(); done()")
    run(world, define(secrets=SECRETS), FakeVault({"secret/data/web": SECRET}))
    (file,) = world.project.logs.rglob("*.console")
    text = file.read_text()
    assert text.count("<redacted>") == 2
    assert SECRET not in text
    assert encoded not in text
