"""What a run says is missing, before it bakes anything."""

from pathlib import Path

import pytest

from bakery.engine import packages
from bakery.host import files
from bakery.host.errors import BakeryError, OutageError, UsageError, show_error
from bakery.host.vault import Vault
from unit.bakery.cli.cli_runner import BASE, CliRunner

SECRET = "secrets:\n  nginx_password: {{path: {path}, key: password}}\ntests: [base]"
AWS = "targets: [local, aws]\ndistribution: {{aws: {{regions: [eu-west-1]{more}}}}}"
APP = BASE.replace("name: base", "name: app")
WRONG = "software: {roles: [{name: nginx, vars: {nginx_prt: 80}}]}\n"
CLOUD = """\
name: cloud
description: A page in the cloud
os: debian-12
arch: x86_64
version: "1.0"
base:
  qemu: {debootstrap: {suite: bookworm}}
  aws: {ami: {name: "debian-12-*", owner: self}}
software: {packages: [jq]}
targets: [local, aws]
distribution:
  aws: {regions: [eu-central-1], credentials: secret/data/publish, build_credentials: secret/data/build}
"""


def refused(bakery: CliRunner, *images: str) -> list[BakeryError]:
    """The errors of a run that bakes nothing."""
    with pytest.raises(BakeryError) as caught:
        bakery.line(*images)
    assert bakery.states("base") == {} == bakery.states("web")
    assert [step for step in bakery.did if step != "login"] == []
    return [caught.value, *caught.value.others]


def add_secret(bakery: CliRunner, image: str, path: str) -> None:
    bakery.edit(image, "tests: [base]", SECRET.format(path=path))


def test_everything_is_named_at_once(bakery: CliRunner) -> None:
    """A wrong definition, a tool, a secret and a login; also of an image that waits for its parent."""
    add_secret(bakery, "web", "secret/data/web")
    bakery.edit("base", "targets: [local]", AWS.format(more=""))
    bakery.edit("web", "tests: [base]", "tests: [base, none]")
    bakery.broken = {"secret/data/web", "mmdebstrap", "login with the environment"}
    answer = bakery("run")
    assert answer.code == 64
    assert answer.err.count("error: ") == 4
    assert "packer/images/web.yaml:16: no test named 'none'\n" in answer.err
    assert "error: mmdebstrap is not on PATH\n  needed by base\nhint: run 'make setup'\n" in answer.err
    assert (
        "error: packer/images/web.yaml:15: there is no secret at secret/data/web\n  needed by web\n"
        "hint: check the path\n"
    ) in answer.err
    assert "error: cloud: login with the environment is refused\n  needed by base\nhint: log in again\n" in answer.err
    assert bakery.states("base") == {}


def test_one_mistake_is_one_message(bakery: CliRunner) -> None:
    bakery.write("packer/images/app.yaml", APP)
    for image in ("app", "web"):
        add_secret(bakery, image, "secret/data/shared")
    bakery.broken = {"secret/data/shared", "syft"}
    syft, secret = refused(bakery)
    assert syft.detail == "needed by app, base, web"
    assert secret.detail == "needed by app, web"
    assert secret.where == "packer/images/app.yaml:11"


def test_one_mistake_in_two_definitions_is_two(bakery: CliRunner) -> None:
    bakery.write("packer/images/app.yaml", APP)
    for image in ("app", "base"):
        bakery.edit(image, "tests: [base]", "tests: [none]")
    assert [error.where for error in refused(bakery)] == [
        "packer/images/app.yaml:10",
        "packer/images/base.yaml:10",
    ]


def test_a_value_that_no_role_gets_is_refused(bakery: CliRunner) -> None:
    add_secret(bakery, "base", "secret/data/base")
    bakery.secrets = {"secret/data/base": "canary{{"}
    (error,) = refused(bakery, "base")
    assert error.message.startswith("the value of 'password' in secret/data/base has two opening braces in a row")


def test_secrets_that_are_too_long_together_are_refused(bakery: CliRunner) -> None:
    for image, path in (("base", "secret/data/short"), ("web", "secret/data/long")):
        add_secret(bakery, image, path)
    bakery.secrets = {"secret/data/long": "canary" * (32 << 10)}
    (error,) = refused(bakery)
    assert error.message == "the secrets of web are longer than 128 KiB, more than a program's environment holds"
    assert error.where == "packer/images/web.yaml:14"
    assert "canary" not in show_error(error)


def test_vault_is_asked_once_for_its_engines(bakery: CliRunner) -> None:
    bakery.edit("base", "targets: [local]", AWS.format(more=", credentials: secret/data/publish"))
    add_secret(bakery, "web", "secret/data/web")
    bakery.broken = {"syft"}
    refused(bakery)
    assert "login with secret/data/publish" in bakery.examined
    assert bakery.examined.count("engines of Vault") == 1


def test_nothing_is_looked_at_if_nothing_is_due(bakery: CliRunner) -> None:
    bakery.line("base")
    add_secret(bakery, "web", "secret/data/web")
    bakery.examined.clear()
    bakery.broken = {"login", "syft"}
    assert bakery.line("base") == []
    assert (bakery.did, bakery.examined) == ([], [])


def test_an_image_that_is_only_published_needs_its_login_alone(bakery: CliRunner) -> None:
    add_secret(bakery, "web", "secret/data/web")
    bakery.line()
    bakery.edit("web", "targets: [local]", AWS.format(more=""))
    bakery.examined.clear()
    bakery.broken = {"publish web", "login"}
    with pytest.raises(BakeryError, match="publish web failed"):
        bakery.line()
    assert bakery.examined == ["login with the environment"]


def test_a_vault_that_refuses_is_one_message_of_all_images(bakery: CliRunner) -> None:
    bakery.write("packer/images/app.yaml", APP)
    for image in ("app", "web"):
        add_secret(bakery, image, f"secret/data/{image}")
    bakery.broken = {"login"}
    (error,) = refused(bakery)
    assert (error.message, error.detail) == ("login failed", "needed by app, web")


@pytest.mark.parametrize(("broken", "code"), [(set(), 75), ({"syft"}, 1)])
def test_another_try_helps_only_if_nothing_else_is_missing(bakery: CliRunner, broken: set[str], code: int) -> None:
    def fail(_: object) -> None:
        raise OutageError("Vault is sealed")

    add_secret(bakery, "web", "secret/data/web")
    bakery.monkeypatch.setattr(Vault, "login", fail)
    bakery.broken = broken
    answer = bakery("run")
    assert (answer.code, "Vault is sealed" in answer.err) == (code, True)


class TestLogins:
    @pytest.fixture
    def cloud(self, bakery: CliRunner) -> CliRunner:
        bakery.write("packer/images/cloud.yaml", CLOUD)
        bakery.write("packer/templates/aws/image.pkr.hcl", 'source = "github.com/hashicorp/amazon"\n')
        return bakery

    def test_of_builds_and_publications_are_tried(self, cloud: CliRunner) -> None:
        cloud.broken = {"login with secret/data/build", "login with secret/data/publish"}
        messages = [error.message for error in refused(cloud, "cloud")]
        assert messages == ["login with secret/data/build is refused", "login with secret/data/publish is refused"]

    def test_that_vault_creates_are_not_made(self, cloud: CliRunner) -> None:
        cloud.edit("cloud", "secret/data/", "aws/sts/")
        cloud.broken = {"aws/sts/build"}
        (build,) = refused(cloud, "cloud")
        assert build.message == "Vault denies access to aws/sts/build"
        assert not [name for name in cloud.examined if name.startswith("login")]

    def test_are_asked_for_once(self, bakery: CliRunner) -> None:
        for image in ("base", "web"):
            bakery.edit(image, "targets: [local]", AWS.format(more=""))
        bakery.broken = {"login with the environment"}
        (error,) = refused(bakery)
        assert error.detail == "needed by base, web"
        assert bakery.examined.count("login with the environment") == 1

    def test_of_another_builder_are_not_needed(self, cloud: CliRunner) -> None:
        cloud.broken = {"login with secret/data/build", "login with secret/data/publish"}
        assert cloud("bake", "cloud", "--builder", "qemu").code == 0
        assert "packer-plugin-amazon" not in cloud.examined

    def test_of_publications_are_not_needed_for_a_bake(self, cloud: CliRunner) -> None:
        cloud.broken = {"login with secret/data/build", "login with secret/data/publish"}
        answer = cloud("bake", "cloud")
        assert (answer.code, "secret/data/publish" in answer.err) == (1, False)
        assert "login with secret/data/build is refused" in answer.err
        assert "packer-plugin-amazon" in cloud.examined


class TestTools:
    def test_of_a_disk_that_is_made_from_packages(self, bakery: CliRunner) -> None:
        bakery.line("base")
        assert set(bakery.examined) == {
            *("packer", "ansible-core", "syft", "mmdebstrap", "qemu-img", "sfdisk", "mtools", "dumpe2fs", "debugfs"),
            *("qemu", "UEFI firmware", "ssh"),
        }

    def test_of_a_guest_that_packer_starts(self, bakery: CliRunner) -> None:
        bakery.write(
            "packer/templates/qemu/plugins.pkr.hcl",
            'source = "github.com/hashicorp/ansible"\nsource = "github.com/hashicorp/qemu"\n',
        )
        bakery.line("base")
        bakery.examined.clear()
        bakery.line("web")
        assert {"packer-plugin-ansible", "packer-plugin-qemu", "xorriso", "network"} <= set(bakery.examined)
        assert "mmdebstrap" not in bakery.examined
        assert len(bakery.examined) == len(set(bakery.examined)), "each is started once"

    def test_of_a_gate(self, bakery: CliRunner) -> None:
        bakery.edit("base", "tests: [base]", "tests: [base]\nvulnerabilities: {fail_on: high}")
        bakery.broken = {"grype"}
        (error,) = refused(bakery, "base")
        assert error.message == "grype is not on PATH"


class TestSpace:
    def test_of_the_largest_bake(self, bakery: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(files, "find_free_space", lambda _: 2 << 30)
        (error,) = refused(bakery)
        assert error.message == "not enough disk space for a Debian bookworm base: 3072 MiB needed, 2048 MiB free"

    def test_for_a_parent_that_is_here(self, bakery: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
        bakery.line("base")
        monkeypatch.setattr(files, "find_free_space", lambda _: 2 << 30)
        monkeypatch.setattr(files, "find_used_space", lambda path: (1 << 30) if path.suffix == ".qcow2" else 0)
        with pytest.raises(BakeryError, match="not enough disk space for the bake of web: 4096 MiB needed, 2048 MiB"):
            bakery.line("web")
        assert bakery.states("web") == {}

    def test_is_not_needed_for_a_disk_that_was_baked(self, bakery: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
        bakery("bake", "base")
        monkeypatch.setattr(files, "find_free_space", lambda _: 2 << 30)
        assert [record.version for record in bakery.line("base")] == ["1.0.0"]


class TestFailures:
    """What a definition causes counts as a failure of its image, so that `max_failures` ends a series of them."""

    def limit(self, bakery: CliRunner) -> None:
        """A definition of `base` that stops every run, and an image beside it."""
        bakery.edit("base", "tests: [base]", f"{WRONG}tests: [none]\nmax_failures: 2")
        bakery.write("packer/images/app.yaml", APP)

    def test_of_a_definition_pause_its_image_alone(self, bakery: CliRunner) -> None:
        self.limit(bakery)
        for _ in range(2):
            assert bakery("run").code == 64
        assert (bakery.states("app"), bakery.did) == ({}, [])
        first, second = bakery.catalog.failures_since("base", "x86_64", None)
        assert first.step == "check"
        assert first.message.startswith("the role nginx has no variable 'nginx_prt'")
        assert first.message.endswith(", and 1 more")
        assert first.input_key == second.input_key != ""
        answer = bakery("run")
        assert (answer.code, "paused after 2 failures" in answer.err) == (4, True)
        assert bakery.states("app") == {"1.0.0": "complete"}

    def test_of_a_definition_end_with_a_change(self, bakery: CliRunner) -> None:
        self.limit(bakery)
        for _ in range(2):
            assert bakery("run").code == 64
        bakery.edit("base", f"{WRONG}tests: [none]", "software: {packages: [jq]}\ntests: [base]")
        assert bakery("run").code == 0

    def test_of_a_package(self, bakery: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
        bakery.packages = {"base": {"openssl": "3.0.17-1"}}
        bakery.line("base")
        monkeypatch.setattr(packages, "find_missing", lambda *_: {"ngnix": ""})
        bakery.edit("web", "software:\n", "software:\n  packages: [ngnix]\n")
        assert bakery("bake", "web").code == 64
        (failure,) = bakery.catalog.failures_since("web", "x86_64", None)
        assert (failure.step, failure.message) == ("check", "no archive of web has the package ngnix")

    def test_of_the_machine_logins_and_other_images_do_not_count(self, bakery: CliRunner) -> None:
        add_secret(bakery, "base", "secret/data/base")
        bakery.edit("web", "tests: [base]", "tests: [none]")
        bakery.broken = {"syft", "secret/data/base"}
        assert len(refused(bakery)) == 3
        for image in ("base", "web"):  # web waits, so its inputs are unknown
            assert bakery.catalog.failures_since(image, "x86_64", None) == ()


def test_a_folder_in_which_packer_cannot_work(bakery: CliRunner, tmp_path: Path) -> None:
    answer = bakery("run", "base", "--workspace", str(tmp_path / "my workspace"))
    assert answer.code == 1
    assert "Packer's plugins cannot work in a folder with spaces" in answer.err
    assert bakery.did == []


def test_a_wrong_time_limit(bakery: CliRunner) -> None:
    bakery.monkeypatch.setenv("BAKERY_SSH_TIMEOUT", "soon")
    (error,) = refused(bakery, "base")
    assert isinstance(error, UsageError)
    assert error.message == "BAKERY_SSH_TIMEOUT is 'soon', not a duration"


def test_a_location_of_layers_that_is_none(bakery: CliRunner) -> None:
    bakery.monkeypatch.setenv("BAKERY_LAYERS", "gs://cache")
    answer = bakery("bake", "base")
    assert answer.code == 64
    assert (
        "error: BAKERY_LAYERS: 'gs://cache' is not a location of layers\nhint: it is a folder, or s3://" in answer.err
    )
    assert bakery.did == []


def test_a_key_that_may_not_sign(bakery: CliRunner, tmp_path: Path) -> None:
    bakery.monkeypatch.setenv("BAKERY_SIGNING_KEY", str(tmp_path / "none.pem"))
    (error,) = refused(bakery, "base")
    assert error.where == str(tmp_path / "none.pem")


def test_a_bake_that_was_done_before_looks_at_nothing(bakery: CliRunner) -> None:
    bakery("bake", "base")
    again = bakery("bake", "base")
    assert "look at what the work needs" not in again.err
    assert "base 1.0.0: baked before from the same inputs" in again.err
    bakery.edit("base", 'version: "1.0"', 'version: "1.1"')
    assert "look at what the work needs" in bakery("bake", "base").err


def test_a_damaged_document_of_a_bake_stops_no_other_image(bakery: CliRunner) -> None:
    bakery("bake", "base")
    [artifact] = bakery.project.workspace.rglob("artifact.json")
    artifact.write_text("{")
    bakery.write("packer/images/app.yaml", APP)
    answer = bakery("bake", "base", "app")
    assert "error: 1 of 2 images failed\n  base: " in answer.err
    assert "'bakery run base' again" in answer.err
