"""Typed settings -> GitLab Runner's config.toml. Pure; the token's place is held until the machine fetches it.

Keys: GitLab Runner, "Advanced configuration". A change of the file is read at once, but for what is in
[runners.autoscaler] itself; its policies are.
"""

import json
from dataclasses import dataclass
from typing import Any

import tomlkit

from bakery_stacks.stacks.runner.settings import Docker, Idle, Runner, Workers

FOLDER = "/etc/gitlab-runner"  # of the role gitlab_runner
TOKEN = "@TOKEN@"  # noqa: S105 - the role's program puts the token there
AWS_FILE = f"{FOLDER}/aws.config"
LOGIN_FILE = "worker.key"
WORKER_USER = "fleet"
CHECK_SECONDS = 3  # between questions for jobs: GitLab's own default
# Fails while cloud-init runs, so that no job comes before Docker and the user are there; 2 is "done, with warnings".
READY = "cloud-init status --wait || test $? -eq 2"


@dataclass(frozen=True)
class ResourceNames:
    """What the stack makes for the runner, by name."""

    name: str
    region: str
    manager_group: str
    worker_group: str
    cache_bucket: str
    registry: str


def render_manager(runner: Runner, names: ResourceNames) -> str:
    """Of the manager: jobs run on the machines of one Auto Scaling group."""
    workers = runner.workers
    settings = {
        **_runner_identity(runner, names.name, "docker-autoscaler"),
        # The manager logs in to the registry for its workers, which have no right to.
        "environment": [f"DOCKER_AUTH_CONFIG={json.dumps({'credHelpers': {names.registry: 'ecr-login'}})}"],
        "cache": _cache_settings(names),
        "docker": _docker_settings(runner.docker),
        "autoscaler": _autoscaler_settings(workers, names),
    }
    return _render_toml(workers.jobs, settings)


def render_on_premise(runner: Runner, name: str, jobs: int) -> str:
    """Of a single machine that runs its jobs itself."""
    return _render_toml(jobs, {**_runner_identity(runner, name, "docker"), "docker": _docker_settings(runner.docker)})


def render_aws_config(region: str) -> str:
    """The fleeting plugin asks nobody else for the region."""
    return f"[default]\nregion = {region}\n"


def _render_toml(jobs: int, settings: dict[str, Any]) -> str:
    return tomlkit.dumps({"concurrent": jobs, "check_interval": CHECK_SECONDS, "runners": [settings]})


def _runner_identity(runner: Runner, name: str, executor: str) -> dict[str, Any]:
    return {"name": name, "url": runner.gitlab_url, "token": TOKEN, "executor": executor}


def _docker_settings(docker: Docker) -> dict[str, Any]:
    return {
        "image": docker.image,
        "privileged": docker.privileged,
        "devices": list(docker.devices),
        "volumes": ["/cache"],  # GitLab's own default, for caches of one machine
    }


def _cache_settings(names: ResourceNames) -> dict[str, Any]:
    """Workers get addresses that the manager signed, so they need no right to the bucket."""
    s3 = {"BucketName": names.cache_bucket, "BucketLocation": names.region, "AuthenticationType": "iam"}
    return {"Type": "s3", "Shared": True, "s3": s3}


def _autoscaler_settings(workers: Workers, names: ResourceNames) -> dict[str, Any]:
    """State is not kept, so a new manager ends the workers of an old one as it starts: it cannot know who used them."""
    return {
        "plugin": "fleeting-plugin-aws",
        "capacity_per_instance": workers.capacity_per_instance,
        "max_use_count": workers.max_use_count,
        "max_instances": workers.max_instances,
        "delete_instances_on_shutdown": True,
        "instance_ready_command": READY,
        "plugin_config": {"name": names.worker_group, "config_file": AWS_FILE},
        "connector_config": _connector_settings(workers),
        "policy": [_idle_policy(idle) for idle in workers.idle],
    }


def _connector_settings(workers: Workers) -> dict[str, Any]:
    static = {"use_static_credentials": True, "key_path": f"{FOLDER}/{LOGIN_FILE}"} if workers.login else {}
    return {"username": WORKER_USER, "use_external_addr": False, **static}


def _idle_policy(idle: Idle) -> dict[str, Any]:
    return {
        "periods": list(idle.periods),
        "timezone": idle.timezone,
        "idle_count": idle.idle_count,
        "idle_time": f"{idle.idle_minutes}m0s",
    }
