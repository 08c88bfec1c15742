"""User data of the runner stack's machines: cloud-config without secrets.

cloud-config is YAML; it is written as JSON, which is YAML too and easy to quote.
"""

import json
from collections.abc import Mapping
from typing import Any

from bakery_stacks.stacks.runner import config_toml
from bakery_stacks.stacks.runner.config_toml import AWS_FILE, FOLDER, LOGIN_FILE, WORKER_USER, ResourceNames
from bakery_stacks.stacks.runner.settings import Runner

TEMPLATE = f"{FOLDER}/config.toml.template"
SECRETS = f"{FOLDER}/secrets"


def render_manager(runner: Runner, names: ResourceNames) -> str:
    """The manager's configuration without secrets, and the names of the parameters that hold them."""
    login = runner.workers.login
    secrets = {"token": runner.token_parameter, **({LOGIN_FILE: login.private_key_parameter} if login else {})}
    lines = "".join(f"{file} {parameter}\n" for file, parameter in secrets.items())
    return _cloud_config(
        write_files=[
            _file_entry(AWS_FILE, config_toml.render_aws_config(names.region)),
            _file_entry(SECRETS, lines),
            _file_entry(TEMPLATE, config_toml.render_manager(runner, names)),  # last: the machine waits for this file
        ]
    )


def render_worker(runner: Runner) -> str:
    """A user that may use Docker. That equals root, so the user needs no other right."""
    login = runner.workers.login
    keys = {"ssh_authorized_keys": [login.public_key]} if login else {}
    user = {"name": WORKER_USER, "groups": ["docker"], "shell": "/bin/sh", "lock_passwd": True, **keys}
    return _cloud_config(users=[user])


def render_guest(runner: Runner, name: str, jobs: int) -> str:
    """The configuration of a vSphere guest, to which a person adds the file `token`: it has no role to fetch one."""
    return _cloud_config(write_files=[_file_entry(TEMPLATE, config_toml.render_on_premise(runner, name, jobs))])


def _file_entry(path: str, content: str) -> Mapping[str, str]:
    return {"path": path, "permissions": "0600", "content": content}


def _cloud_config(**parts: Any) -> str:
    return f"#cloud-config\n{json.dumps(parts, indent=2)}\n"
