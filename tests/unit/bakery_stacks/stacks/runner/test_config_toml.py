"""The runner's configuration: each variant as a file that a reviewer can read, and what must hold in all of them."""

import json
import tomllib
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from bakery_stacks.stacks.runner import config_toml
from bakery_stacks.stacks.runner.settings import Runner
from unit.bakery_stacks.stacks.runner.examples import LOGIN, PLACES, SPOT, section

SHIFTS = [
    {"idle_count": 0, "idle_minutes": 10},
    {"idle_count": 6, "idle_minutes": 30, "periods": ["* 8-17 * * mon-fri"], "timezone": "Europe/Berlin"},
]
BAKING = {"image": 'registry.example.com/a "quoted" \\ image', "privileged": True, "devices": ["/dev/kvm"]}
VARIANTS: dict[str, Runner] = {
    "on_demand": section(),
    "shared": section(workers={"capacity_per_instance": 3, "max_use_count": 50, "idle": SHIFTS}),
    "spot_with_login": section(workers={"instance_type": None, "spot": SPOT, "login": LOGIN}, docker=BAKING),
}


class Toml(SingleFileSnapshotExtension):
    file_extension = "toml"
    _write_mode = WriteMode.TEXT


def parsed(runner: Runner) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads(config_toml.render_manager(runner, PLACES))
    return found


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_manager_is_as_it_was(variant: str, snapshot: SnapshotAssertion) -> None:
    assert config_toml.render_manager(VARIANTS[variant], PLACES) == snapshot(extension_class=Toml)


def test_a_guest_is_as_it_was(snapshot: SnapshotAssertion) -> None:
    assert config_toml.render_on_premise(section(docker=BAKING), "guest", 2) == snapshot(extension_class=Toml)


@pytest.mark.parametrize("variant", VARIANTS)
def test_as_many_jobs_as_the_machines_carry(variant: str) -> None:
    made = parsed(VARIANTS[variant])
    [runner] = made["runners"]
    autoscaler = runner["autoscaler"]
    assert made["concurrent"] == autoscaler["max_instances"] * autoscaler["capacity_per_instance"]
    assert autoscaler["max_instances"] > 0


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_token_is_a_place_only(variant: str) -> None:
    [runner] = parsed(VARIANTS[variant])["runners"]
    assert runner["token"] == "@TOKEN@"
    assert config_toml.render_manager(VARIANTS[variant], PLACES).count("@TOKEN@") == 1


def test_policies_stay_in_order_since_the_last_that_fits_counts() -> None:
    [runner] = parsed(VARIANTS["shared"])["runners"]
    found = [
        (policy["periods"], policy["idle_count"], policy["idle_time"]) for policy in runner["autoscaler"]["policy"]
    ]
    assert found == [(["* * * * *"], 0, "10m0s"), (["* 8-17 * * mon-fri"], 6, "30m0s")]
    assert runner["autoscaler"]["policy"][1]["timezone"] == "Europe/Berlin"


def test_text_comes_back_as_it_was_given() -> None:
    [runner] = parsed(VARIANTS["spot_with_login"])["runners"]
    assert runner["docker"]["image"] == BAKING["image"]


def test_the_registry_is_logged_in_to_by_the_manager() -> None:
    [runner] = parsed(section())["runners"]
    [variable] = runner["environment"]
    name, _, value = variable.partition("=")
    assert name == "DOCKER_AUTH_CONFIG"
    assert json.loads(value) == {"credHelpers": {PLACES.registry: "ecr-login"}}


def test_workers_are_logged_in_to_by_the_key_or_by_instance_connect() -> None:
    with_key = parsed(section(workers={"login": LOGIN}))["runners"][0]["autoscaler"]["connector_config"]
    without = parsed(section())["runners"][0]["autoscaler"]["connector_config"]
    assert with_key["key_path"] == "/etc/gitlab-runner/worker.key"
    assert with_key["use_static_credentials"] is True
    assert without == {"username": "fleet", "use_external_addr": False}


def test_a_guest_runs_its_jobs_itself() -> None:
    made = tomllib.loads(config_toml.render_on_premise(section(), "guest", 2))
    [runner] = made["runners"]
    assert (made["concurrent"], runner["executor"], runner["token"]) == (2, "docker", "@TOKEN@")
    assert not {"autoscaler", "cache", "environment"} & set(runner)
