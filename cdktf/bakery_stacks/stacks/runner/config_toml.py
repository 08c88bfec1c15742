"""Typed settings -> GitLab Runner's config.toml, with a placeholder for the token, which the machine fetches.

Keys: GitLab Runner, "Advanced configuration". The runner reads changes of the file at once, except for those in
[runners.autoscaler] that are not policies.
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
CHECK_SECONDS = 3  # between two requests for jobs: GitLab's default
# This fails while cloud-init runs, so no job starts before Docker and the user exist; 2 is "done, with warnings".
READY = "cloud-init status --wait || test $? -eq 2"


@dataclass(frozen=True)
class ResourceNames:
    """Names of the stack's resources, for configurations and rights."""

    name: str
    region: str
    manager_group: str
    worker_group: str
    cache_bucket: str
    registry: str


def render_manager(runner: Runner, names: ResourceNames) -> str:
    """The configuration of the manager: jobs run on the machines of one Auto Scaling group."""
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
    """The configuration of a single machine that runs its jobs itself."""
    return _render_toml(jobs, {**_runner_identity(runner, name, "docker"), "docker": _docker_settings(runner.docker)})


def render_aws_config(region: str) -> str:
    """The fleeting plugin reads the region from this file only."""
    return f"[default]\nregion = {region}\n"


def _render_toml(jobs: int, settings: dict[str, Any]) -> str:
    return tomlkit.dumps({"concurrent": jobs, "check_interval": CHECK_SECONDS, "runners": [settings]})


def _runner_identity(runner: Runner, name: str, executor: str) -> dict[str, Any]:
    return {
        "name": name,
        "url": runner.gitlab_url,
        "token": TOKEN,
        "executor": executor,
        "debug_trace_disabled": True,  # whoever starts a pipeline could set CI_DEBUG_TRACE, which logs every variable
    }


def _docker_settings(docker: Docker) -> dict[str, Any]:
    return {
        "image": docker.image,
        "privileged": docker.privileged,
        "devices": list(docker.devices),
        "volumes": ["/cache"],  # GitLab's own default, for caches of one machine
    }


def _cache_settings(names: ResourceNames) -> dict[str, Any]:
    """Workers get URLs that the manager signed, so they need no right on the bucket."""
    s3 = {"BucketName": names.cache_bucket, "BucketLocation": names.region, "AuthenticationType": "iam"}
    return {"Type": "s3", "Shared": True, "s3": s3}


def _autoscaler_settings(workers: Workers, names: ResourceNames) -> dict[str, Any]:
    """No state is kept: a new manager terminates the old one's workers, since it does not know which jobs used them."""
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
