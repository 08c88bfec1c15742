"""What machines of the runner stack are told at their first boot, as cloud-config. Pure, and without a secret.

JSON is YAML, and needs no care about quoting.
"""

import json
from collections.abc import Mapping
from typing import Any

from bakery_stacks.stacks.runner.config_toml import (
    AWS_FILE,
    FOLDER,
    LOGIN_FILE,
    WORKER_USER,
    Places,
    aws_file,
    manager,
    on_premise,
)
from bakery_stacks.stacks.runner.settings import Runner

TEMPLATE = f"{FOLDER}/config.toml.template"
SECRETS = f"{FOLDER}/secrets"


def of_manager(runner: Runner, places: Places) -> str:
    """The runner's configuration but for its secrets, and the names of the parameters that hold them."""
    login = runner.workers.login
    secrets = {"token": runner.token_parameter, **({LOGIN_FILE: login.private_key_parameter} if login else {})}
    lines = "".join(f"{file} {parameter}\n" for file, parameter in secrets.items())
    return _cloud_config(
        write_files=[
            _file(AWS_FILE, aws_file(places.region)),
            _file(SECRETS, lines),
            _file(TEMPLATE, manager(runner, places)),  # last: its appearance starts the rest
        ]
    )


def of_worker(runner: Runner) -> str:
    """A user that may use Docker. That is as good as root, so this user has no other right."""
    login = runner.workers.login
    keys = {"ssh_authorized_keys": [login.public_key]} if login else {}
    user = {"name": WORKER_USER, "groups": ["docker"], "shell": "/bin/sh", "lock_passwd": True, **keys}
    return _cloud_config(users=[user])


def of_guest(runner: Runner, name: str, jobs: int) -> str:
    """A guest of vSphere has no role to fetch a token with: somebody brings it, as the file `token` beside this one."""
    return _cloud_config(write_files=[_file(TEMPLATE, on_premise(runner, name, jobs))])


def _file(path: str, content: str) -> Mapping[str, str]:
    return {"path": path, "permissions": "0600", "content": content}


def _cloud_config(**parts: Any) -> str:
    return f"#cloud-config\n{json.dumps(parts, indent=2)}\n"
