"""User data: what cloud-init finds in it, and that it fits."""

import configparser
import json
from typing import Any

from ruamel.yaml import YAML

from bakery_stacks.stacks.runner import config_toml, user_data
from unit.bakery_stacks.stacks.runner.examples import LOGIN, PLACES, SPOT, section

LIMIT = 16384  # bytes before Base64 (EC2, "Run commands when you launch an EC2 instance with user data input")


def read(text: str) -> Any:
    """As cloud-init does."""
    assert text.startswith("#cloud-config\n")
    return YAML(typ="safe", pure=True).load(text)


def files(text: str) -> dict[str, str]:
    found = read(text)["write_files"]
    assert {file["permissions"] for file in found} == {"0600"}
    return {file["path"]: file["content"] for file in found}


def test_a_manager_gets_its_configuration_and_the_names_of_its_secrets() -> None:
    runner = section(workers={"login": LOGIN})
    found = files(user_data.render_manager(runner, PLACES))
    assert found["/etc/gitlab-runner/config.toml.template"] == config_toml.render_manager(runner, PLACES)
    assert found["/etc/gitlab-runner/secrets"] == "token /prod/runner/token\nworker.key /prod/runner/worker-key\n"
    assert "/etc/gitlab-runner/config.toml" not in found


def test_without_a_key_there_is_one_secret() -> None:
    assert (
        files(user_data.render_manager(section(), PLACES))["/etc/gitlab-runner/secrets"] == "token /prod/runner/token\n"
    )


def test_the_plugin_is_told_the_region_where_its_configuration_says() -> None:
    found = files(user_data.render_manager(section(), PLACES))
    assert f'config_file = "{config_toml.AWS_FILE}"' in found["/etc/gitlab-runner/config.toml.template"]
    aws = configparser.ConfigParser(default_section="none")
    aws.read_string(found[config_toml.AWS_FILE])
    assert dict(aws["default"]) == {"region": "eu-west-1"}


def test_a_worker_has_a_user_for_docker_without_other_rights() -> None:
    [user] = read(user_data.render_worker(section(workers={"login": LOGIN})))["users"]
    assert user["name"] == "fleet"
    assert user["groups"] == ["docker"]
    assert user["lock_passwd"] is True
    assert user["ssh_authorized_keys"] == [LOGIN["public_key"]]
    assert "sudo" not in user


def test_with_instance_connect_no_key_is_left_on_a_worker() -> None:
    [user] = read(user_data.render_worker(section()))["users"]
    assert "ssh_authorized_keys" not in user


def test_a_guest_gets_its_configuration_without_anything_of_aws() -> None:
    runner = section()
    assert files(user_data.render_guest(runner, "guest", 2)) == {
        "/etc/gitlab-runner/config.toml.template": config_toml.render_on_premise(runner, "guest", 2)
    }


def test_user_data_fits_even_when_much_is_asked_for() -> None:
    idle = [{"idle_count": 1, "idle_minutes": 1, "periods": ["* 8-17 * * mon-fri"] * 5}] * 20
    runner = section(workers={"instance_type": None, "spot": SPOT, "login": LOGIN, "idle": idle})
    assert len(user_data.render_manager(runner, PLACES).encode()) < LIMIT
    assert json.loads(user_data.render_worker(runner).partition("\n")[2])
