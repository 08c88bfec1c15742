"""The machines of the runner stack, and the connections that they may open."""

from urllib.parse import urlsplit

from bakery_stacks.base import AwsStack
from bakery_stacks.blocks.image import ChannelImage
from bakery_stacks.blocks.machine import Machine, MachineSpec
from bakery_stacks.channel_images import ChannelImages
from bakery_stacks.config import Environment
from bakery_stacks.stacks.runner import user_data
from bakery_stacks.stacks.runner.config_toml import ResourceNames
from bakery_stacks.stacks.runner.settings import Runner
from bakery_stacks.stacks.vault.settings import API_PORT

MANAGER_DISK = 16  # GiB: the system and the runner's programs; jobs run on workers
HTTP, HTTPS, SSH = 80, 443, 22


def manager_spec(
    stack: AwsStack, runner: Runner, names: ResourceNames, channel_images: ChannelImages | None
) -> MachineSpec:
    """The machine that takes jobs from GitLab."""
    image = ChannelImage(stack, "manager-image", runner.image, channel_images, at=("runner", "image"))
    return MachineSpec(
        title=f"{names.name}-manager",
        image=f"{runner.image} {image.version}",
        image_id=image.image_id,
        instance_type=runner.instance_type,
        disk_gib=MANAGER_DISK,
        user_data=user_data.render_manager(runner, names),
        tags=stack.tags,
    )


def worker_spec(
    stack: AwsStack, runner: Runner, names: ResourceNames, channel_images: ChannelImages | None
) -> MachineSpec:
    """The machines that run jobs."""
    workers = runner.workers
    keys = ("runner", "workers", "image") if workers.image else ("runner", "image")
    image = ChannelImage(stack, "workers-image", runner.worker_image, channel_images, at=keys)
    return MachineSpec(
        title=f"{names.name}-workers",
        image=f"{runner.worker_image} {image.version}",
        image_id=image.image_id,
        instance_type=workers.spot.instance_types[0] if workers.spot else str(workers.instance_type),
        disk_gib=workers.disk_gib,
        user_data=user_data.render_worker(runner),
        tags=stack.tags,
    )


def connect_machines(manager: Machine, workers: Machine, *, gitlab_port: int, vault_port: int) -> None:
    """Only the manager reaches the workers; nothing reaches the manager."""
    ports = {HTTPS, gitlab_port}
    for port in sorted(ports):
        manager.allow_egress(port, "GitLab and AWS")
        workers.allow_egress(port, "GitLab, AWS and downloads of jobs")
    if vault_port not in ports:
        workers.allow_egress(vault_port, "Vault, from which jobs read secrets")
    workers.allow_egress(HTTP, "Package sources of jobs")
    manager.allow_egress(SSH, "Docker on the workers", target=workers.security_group_id)
    workers.allow_ingress(SSH, "Docker, for the manager", source=manager.security_group_id)


def gitlab_port(runner: Runner) -> int:
    """The port of GitLab."""
    return urlsplit(runner.gitlab_url).port or HTTPS


def vault_port(environment: Environment) -> int:
    """The port of the Vault from which jobs read secrets."""
    section = environment.vault_config
    return (urlsplit(section.address).port or HTTPS) if section else API_PORT
