"""The runner stack, which runs GitLab's jobs: a manager, its workers, their cache and registry."""

from collections.abc import Sequence
from dataclasses import dataclass

from constructs import Construct

from bakery_stacks.base import AwsStack
from bakery_stacks.blocks import sessions
from bakery_stacks.blocks.alarms import Alarms, alarm_encryption
from bakery_stacks.blocks.log_key import log_encryption
from bakery_stacks.blocks.machine import Machine
from bakery_stacks.blocks.policy import Statement
from bakery_stacks.blocks.sessions import Sessions
from bakery_stacks.blocks.stack_key import StackKey
from bakery_stacks.channel_images import ChannelImages
from bakery_stacks.config import Environment, Settings
from bakery_stacks.outputs import DistributionOutputs, NetworkOutputs
from bakery_stacks.stacks.runner import machines, registry, user_data
from bakery_stacks.stacks.runner.cache_bucket import CacheBucket
from bakery_stacks.stacks.runner.config_toml import ResourceNames
from bakery_stacks.stacks.runner.fleet import manager_group, worker_group
from bakery_stacks.stacks.runner.job_roles import LAYERS, JobRoles, share_layers
from bakery_stacks.stacks.runner.registry import Registry
from bakery_stacks.stacks.runner.rights import manager_rights
from bakery_stacks.stacks.runner.settings import Oidc, Runner


@dataclass(frozen=True)
class StackInputs:
    """Outputs of other stacks, and the images of the channel."""

    network: NetworkOutputs
    distribution: DistributionOutputs
    channel_images: ChannelImages | None


class RunnerStack(AwsStack):
    """Workers only have the rights of Session Manager: jobs that bake get rights by their own tokens."""

    def __init__(self, scope: Construct, settings: Settings, section: Runner, inputs: StackInputs) -> None:
        super().__init__(scope, "runner", settings)
        environment, names = self.environment, resource_names(self.environment)
        title, days = names.name, section.log_days
        key = make_key(self, title)
        cache = make_cache(self, section, names, key.arn)
        images = Registry(self, "registry", environment=environment, repository=title, key_arn=key.arn)
        shells = Sessions(self, "sessions", environment=environment, title=title, days=days, key_arn=key.arn)
        alarms = Alarms(
            self, "alarms", title=title, account=environment.account, group=names.manager_group, key_arn=key.arn
        )
        shell_rights = sessions.session_rights(environment, title)
        rights = [*manager_rights(environment, section, names, key.arn, images.arn), *shell_rights]
        spec, vpc_id = machines.manager_spec(self, section, names, inputs.channel_images), inputs.network.vpc_id
        manager = Machine(self, "manager", spec=spec, vpc_id=vpc_id, rights=rights)
        spec = machines.worker_spec(self, section, names, inputs.channel_images)
        workers = Machine(self, "workers", spec=spec, vpc_id=vpc_id, rights=shell_rights)
        gitlab, vault = machines.gitlab_port(section), machines.vault_port(environment)
        machines.connect_machines(manager, workers, gitlab_port=gitlab, vault_port=vault)
        make_groups(self, section, names, manager, workers, inputs.network.subnet_ids)
        if section.bakes.oidc:
            layer_rights = share_layers(self.environment, names.cache_bucket, key.arn)
            make_job_roles(self, section.gitlab_url, section.bakes.oidc, inputs.distribution, images.arn, layer_rights)
            self.output("layers", f"s3://{names.cache_bucket}/{LAYERS}", "BAKERY_LAYERS in .gitlab/bakery.env")

        self.output("alarm_topic_arn", alarms.topic_arn, "topic that reports a manager that does not start")
        self.output("cache_bucket", cache.name, "bucket of jobs' caches")
        self.output("key_alias", key.alias, "encrypts cache, registry, logs and alarms, and may encrypt the token")
        self.output("log_group", shells.log_group, "log group of shells on the machines")
        description = "BAKERY_RUNNER_REPOSITORY in .gitlab/bakery.env: the container image of jobs"
        self.output("registry_url", images.url, description)
        self.output("session_document", shells.document, "for aws ssm start-session --document-name")
        self.output("token_parameter", section.token_parameter, "put the runner's token here, as a SecureString")
        self.output("worker_group", names.worker_group, "Auto Scaling group that the manager scales")
        if guest := section.on_premise:
            text = user_data.render_guest(section, f"{title}-guest", guest.concurrent)
            self.output("guest_user_data", text, "guestinfo.userdata of a vSphere guest, before Base64")


def resource_names(environment: Environment) -> ResourceNames:
    """Names of resources, known before they exist: user data and rights contain them."""
    title = f"bakery-{environment.name}-runner"
    return ResourceNames(
        name=title,
        region=environment.home_region,
        manager_group=f"{title}-manager",
        worker_group=f"{title}-workers",
        cache_bucket=f"{title}-cache-{environment.account}",
        registry=registry.registry_host(environment),
    )


def make_key(stack: AwsStack, title: str) -> StackKey:
    """The key of all data of the stack."""
    return StackKey(
        stack,
        "key",
        environment=stack.environment,
        title=title,
        description=f"Cache, registry, logs and alarms of {title}",
        service_statements=[log_encryption(stack.environment, sessions.log_name(title)), alarm_encryption()],
    )


def make_cache(stack: AwsStack, section: Runner, names: ResourceNames, key_arn: str) -> CacheBucket:
    """The bucket of the job cache."""
    bucket, days = names.cache_bucket, section.cache_days
    return CacheBucket(stack, "cache", settings=stack.settings, bucket=bucket, key_arn=key_arn, days=days)


def make_groups(
    stack: AwsStack,
    section: Runner,
    names: ResourceNames,
    manager: Machine,
    workers: Machine,
    subnet_ids: Sequence[str],
) -> None:
    """The Auto Scaling groups that start the machines."""
    manager_group(stack, "manager-group", title=names.manager_group, machine=manager, subnet_ids=subnet_ids)
    worker_group(
        stack,
        "worker-group",
        title=names.worker_group,
        machine=workers,
        subnet_ids=subnet_ids,
        most=section.workers.max_instances,
        spot=section.workers.spot,
    )


def make_job_roles(
    stack: AwsStack,
    gitlab_url: str,
    oidc: Oidc,
    distribution: DistributionOutputs,
    repository_arn: str,
    layer_rights: Sequence[Statement],
) -> None:
    """The roles that jobs get for their ID tokens."""
    roles = JobRoles(
        stack,
        "jobs",
        environment=stack.environment,
        gitlab_url=gitlab_url,
        oidc=oidc,
        distribution=distribution,
        repository_arn=repository_arn,
        layer_rights=layer_rights,
    )
    for name, arn in roles.arns.items():
        stack.output(f"{name}_role_arn", arn, f"BAKERY_{name.upper()}_ROLE_ARN in .gitlab/bakery.env")
