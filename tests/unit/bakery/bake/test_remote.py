"""A build at a target, around Packer: all of it or nothing."""

import json
from pathlib import Path
from typing import Any

import pytest

from bakery.bake import remote
from bakery.bake.request import BakeContext, BakeRequest, ParentImage
from bakery.host.errors import BakeryError, ConflictError
from bakery.host.vault import Secret
from bakery.model import documents
from bakery.model.documents import Base, Check, RemoteBuild, SecretUse
from bakery.model.version import ImageVersion
from doubles.packer import PackerProject, define

LEASE = {"access_key": "AKIA", "secret_key": "canary-4711"}
CHANGES = {
    "targets": ["aws"],
    "tests": ["web"],
    "base": {"aws": {"ami": {"name": "debian-12-*", "owner": "self"}}},
    "distribution": {"aws": {"regions": ["eu-central-1", "us-east-1"]}},
}
REPORT = "<testsuite><testcase classname='test_web' name='test_nginx[ssh://image]'>{inner}</testcase></testsuite>"
BUILT = """\
pathlib.Path(software["image_test_report"]).write_text({report!r})
manifest_of("eu-central-1:ami-1,us-east-1:ami-2")
done()
"""


def build(
    world: PackerProject,
    body: str | None = None,
    inner: str = "",
    lease: dict[str, str] = LEASE,
    parent: ParentImage | None = None,
    **changes: Any,
) -> RemoteBuild:
    world.packer(body or BUILT.format(report=REPORT.format(inner=inner)))
    request = BakeRequest(define(**CHANGES | changes), "1.0.0", {"base:aws": "debian"}, "k" * 64)
    return remote.build(
        request, "aws", parent, lease, BakeContext(world.project, world.toolchain, None, world.events.append)
    )


def folder(world: PackerProject) -> Path:
    return world.project.build_folder(ImageVersion("web", "x86_64", "1.0.0"), "aws")


def nothing_is_left(world: PackerProject) -> bool:
    return [path.name for path in (world.project.workspace / "artifacts").rglob("*")] in ([], [".web-aws"])


def test_a_build_is_what_packer_says_it_made(world: PackerProject) -> None:
    built = build(world)
    assert documents.load(RemoteBuild, folder(world) / "build.json") == built
    assert (built.builder, built.target, built.base) == ("amazon-ebs", "aws", "debian")
    assert built.ids == {"eu-central-1": "ami-1", "us-east-1": "ami-2"}
    assert built.checks == (Check("test_web: test_nginx", True),)
    assert len(built.identity) == 64


def test_a_build_names_the_version_that_it_starts_from(world: PackerProject) -> None:
    parent = ParentImage("ami-7", Base("base", "1.0.3", "a" * 64))
    assert build(world, parent=parent).parent == Base("base", "1.0.3", "a" * 64)
    assert documents.load(RemoteBuild, folder(world) / "build.json").parent == parent.base


def test_what_its_machine_packed_comes_with_it(world: PackerProject) -> None:
    files = ("root_archive", "archives_report")
    wrote = "".join(f'pathlib.Path(software["{name}"]).write_text("{name}")\n' for name in files)
    build(world, wrote + BUILT.format(report=REPORT.format(inner="")))
    assert (folder(world) / "root.tar.gz").read_text() == "root_archive"
    assert (folder(world) / "archives.txt").read_text() == "archives_report"


def test_a_key_that_cannot_sign_is_known_before_packer(world: PackerProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise an image would stay at the target that nothing knows of."""
    monkeypatch.setenv("BAKERY_SIGNING_KEY", str(world.folder / "none.pem"))
    with pytest.raises(BakeryError, match="the signing key cannot be read"):
        build(world)
    assert world.record() == {}


def test_its_machine_fills_free_space_itself(world: PackerProject) -> None:
    build(world)
    assert world.record()["software"]["seal_at_target"] is True


def test_packer_gets_the_target_and_the_login_through_its_environment(world: PackerProject) -> None:
    build(world)
    given = world.record()
    assert given["argv"][-1] == str(world.project.resources.template("aws"))
    assert "-only=amazon-ebs.linux" in given["argv"]
    assert given["variables"]["artifact_name"] == "web-1.0.0-x86_64"
    assert given["variables"]["tags"]["bakery:version"] == "1.0.0"
    assert given["env"]["AWS_SECRET_ACCESS_KEY"] == LEASE["secret_key"]
    assert given["software"]["image_tests"] == [str(world.project.resources.image_test("web"))]
    del given["env"]
    assert LEASE["secret_key"] not in json.dumps(given)


def test_credentials_never_reach_the_log(world: PackerProject) -> None:
    with pytest.raises(BakeryError) as caught:
        build(world, 'say(os.environ["AWS_SECRET_ACCESS_KEY"]); sys.exit(1)')
    assert caught.value.log
    assert LEASE["secret_key"] not in caught.value.log.read_text() + str(vars(caught.value))


OWN = {
    "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/bake",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/run/token",
    "AWS_REGION": "eu-central-1",
    "VAULT_ID_TOKEN": "another service's",
}


def test_where_vault_lends_nothing_the_users_own_login_reaches_packer(
    world: PackerProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in OWN.items():
        monkeypatch.setenv(name, value)
    build(world, lease={})
    given = world.record()["env"]
    assert {name: given.get(name) for name in OWN} == {**OWN, "VAULT_ID_TOKEN": None}


def test_what_vault_lends_is_not_mixed_with_the_users_own_login(
    world: PackerProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**OWN, "AWS_SESSION_TOKEN": "of another key"}.items():
        monkeypatch.setenv(name, value)
    build(world)
    given = {name for name in world.record()["env"] if name.startswith("AWS_")}
    assert given == {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}


def test_own_credentials_never_reach_the_log(world: PackerProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-0815")
    with pytest.raises(BakeryError) as caught:
        build(world, 'say(os.environ["AWS_SECRET_ACCESS_KEY"]); sys.exit(1)', lease={})
    assert caught.value.log
    assert "canary-0815" not in caught.value.log.read_text() + str(vars(caught.value))


def test_a_failed_build_leaves_nothing(world: PackerProject) -> None:
    with pytest.raises(BakeryError):
        build(world, "sys.exit(1)")
    assert nothing_is_left(world)


def test_a_test_that_fails_while_packer_goes_on_is_no_build(world: PackerProject) -> None:
    """As with a template of one's own that ignores what Ansible says."""
    with pytest.raises(BakeryError, match="1 of 1 tests did not pass") as caught:
        build(world, inner="<failure message='port 80 is closed'/>")
    assert caught.value.detail == "test_web: test_nginx: failure: port 80 is closed"
    assert nothing_is_left(world)


def test_a_build_without_its_test_report_is_refused(world: PackerProject) -> None:
    with pytest.raises(BakeryError, match="1 of 1 tests did not pass"):
        build(world, 'manifest_of("eu-central-1:ami-1"); done()')


def test_windows_is_built_without_tests(world: PackerProject) -> None:
    built = build(world, 'manifest_of("eu-central-1:ami-1"); done()', os="windows-2022", software={}, tests=[])
    assert built.checks == ()


@pytest.mark.parametrize(
    ("changes", "uses"),
    [
        ({}, {"password": SecretUse("secret/data/web", "password", 7)}),
        ({"template": "packer/web"}, {}),  # such a template asks Vault itself
    ],
)
def test_the_search_of_its_disk_knows_the_versions_of_its_secrets(
    world: PackerProject, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], uses: dict[str, SecretUse]
) -> None:
    """Whoever writes a new version meanwhile does not hide the value that was used."""
    monkeypatch.setattr(remote, "read_bake_secrets", lambda *_: {"password": Secret("canary-4711-canary", 7)})
    secrets = {"password": {"path": "secret/data/web", "key": "password"}}
    assert build(world, secrets=secrets, **changes).secrets == uses


def test_a_version_is_built_once(world: PackerProject) -> None:
    build(world)
    with pytest.raises(ConflictError, match="was baked before"):
        build(world)


def test_the_wrong_version_is_refused(world: PackerProject) -> None:
    with pytest.raises(BakeryError, match=r"Packer built version 9\.9\.9, not 1\.0\.0"):
        build(
            world,
            'manifest_of("eu-central-1:ami-1", version="9.9.9"); done()',
            os="windows-2022",
            software={},
            tests=[],
        )
