"""Mistakes in the part `runner` of an environment: found before any call, with their line."""

from pathlib import Path

import pytest

from bakery.host.errors import UsageError
from bakery_stacks import config

GOOD = """\
name: test
account: "123456789012"
home_region: eu-west-1
regions: [eu-west-1]
catalog: s3://a-bucket/catalog
channel: stable
state: {bucket: state-bucket, prefix: test}
topic: news
network:
  cidr: 10.0.0.0/16
  subnets: {eu-west-1a: 10.0.0.0/20, eu-west-1b: 10.0.16.0/20, eu-west-1c: 10.0.32.0/20}
runner:
  gitlab_url: https://gitlab.example.com
  token_parameter: /test/runner/token
  workers:
    instance_type: m6i.large
    max_instances: 4
    capacity_per_instance: 2
    idle:
      - periods: ["* 8-17 * * mon-fri"]
        idle_count: 2
        idle_minutes: 20
  docker:
    image: alpine
  bakes:
    by: oidc
    oidc:
      subjects:
        - project: platform/images
          ref: main
"""
SUBNETS = "  subnets: {eu-west-1a: 10.0.0.0/20, eu-west-1b: 10.0.16.0/20, eu-west-1c: 10.0.32.0/20}\n"
TOKEN = "glrt-" + "x" * 20


def load(folder: Path, text: str = GOOD) -> config.Environment:
    (folder / "test.yaml").write_text(text)
    return config.load_settings(folder, {"BAKERY_ENVIRONMENT": "test"}).environment


def refused(folder: Path, text: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        load(folder, text)
    return caught.value


def test_what_is_not_given_is_safe(tmp_path: Path) -> None:
    runner = load(tmp_path).runner
    assert runner
    assert runner.worker_image == runner.image == "gitlab-runner"
    assert runner.workers.max_use_count == 1
    assert runner.workers.jobs == 8
    assert not runner.docker.privileged
    assert runner.workers.login is None


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("network:\n  cidr: 10.0.0.0/16\n" + SUBNETS, "", 9, "runner: its machines need subnets"),
        ("max_instances: 4", "max_instances: 0", 17, "0 means 'no limit' to GitLab, but 'no machine'"),
        ("max_instances: 4", "max_instances: -1", 17, "'runner.workers.max_instances' is -1"),
        (
            "idle_count: 2",
            "idle_count: 9",
            21,
            "9 jobs cannot run at once: max_instances x capacity_per_instance is 8",
        ),
        ("m6i.large", "m7g.large", 16, "runner.workers.instance_type: m7g.large has an ARM processor"),
        ("docker:", "instance_type: t4g.small\n  docker:", 23, "runner.instance_type: t4g.small has an ARM processor"),
        ("idle_count: 2", "timezone: Europe/Berln\n        idle_count: 2", 21, "no time zone 'Europe/Berln'"),
        ("idle_minutes: 20", "idle_minutes: 0", 22, "'runner.workers.idle.0.idle_minutes' is 0"),
        ("* 8-17 * * mon-fri", "8-17 * * mon-fri", 20, "has 4 fields, not 5"),
        ("* 8-17 * * mon-fri", "* 8-25 * * mon-fri", 20, "hour is '8-25'"),
        ("instance_type: m6i.large", "spot: {instance_types: [m6i.large]}", 16, "it needs 2 or more"),
        ("instance_type: m6i.large\n", "image: big\n", 15, "runner.workers: neither instance_type nor spot sets"),
        ("https://gitlab", "http://gitlab", 13, "must begin with https://"),
        ("gitlab.example.com", "gitlab.example.com/group", 13, "must be the address of GitLab itself"),
        ("/test/runner/token", "/bakery/runner/token", 14, "must not be below /bakery/"),
        ("by: oidc", "by: oicd", 26, "'runner.bakes.by' is 'oicd'"),
        ("by: oidc", "by: vault", 27, "'by: oidc' needs subjects, and 'by: vault'"),
        ("platform/images", '"platform/*"', 29, "'runner.bakes.oidc.subjects.0.project' is 'platform/*'"),
        ("ref: main", 'ref: "*"', 30, "'runner.bakes.oidc.subjects.0.ref' is '*'"),
        ("name: test", f"name: {'t' * 31}", 1, "is too long with runner"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, old: str, new: str, line: int, message: str) -> None:
    assert old in GOOD
    error = refused(tmp_path, GOOD.replace(old, new, 1))
    assert message in error.message
    assert error.where == f"{tmp_path}/test.yaml:{line}"
    assert error.hint


def test_spot_has_its_own_types(tmp_path: Path) -> None:
    spot = "instance_type: m6i.large\n    spot: {instance_types: [m6i.large, m6a.large]}"
    error = refused(tmp_path, GOOD.replace("instance_type: m6i.large", spot))
    assert error.message.startswith("runner.workers.instance_type: it is for workers on demand")
    assert "with spot, write the type into spot.instance_types" in error.hint


@pytest.mark.parametrize("name", ["token_parameter", "private_key_parameter"])
def test_a_secret_in_place_of_its_name_is_refused_and_not_repeated(tmp_path: Path, name: str) -> None:
    login = f"login: {{public_key: ssh-ed25519 AAAA, private_key_parameter: {TOKEN}}}\n    max_instances"
    wrong = {
        "token_parameter": GOOD.replace("/test/runner/token", TOKEN),
        "private_key_parameter": GOOD.replace("max_instances", login, 1),
    }
    error = refused(tmp_path, wrong[name])
    assert f"{name}: must be the name of an SSM parameter" in error.message
    assert "create a new one" in error.hint
    assert TOKEN not in f"{error}{error.message}{error.detail}{error.hint}{error.where}"


def test_a_token_under_a_name_of_its_own_is_not_repeated(tmp_path: Path) -> None:
    error = refused(tmp_path, GOOD.replace("token_parameter: /test/runner/token", f"token: {TOKEN}"))
    assert "unknown key 'runner.token'" in error.message
    assert TOKEN not in f"{error}{error.message}{error.detail}{error.hint}"
