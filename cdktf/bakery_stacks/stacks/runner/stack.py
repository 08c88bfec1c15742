"""The stack that runs GitLab's jobs: a manager, workers that come and go, their cache, their registry."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from constructs import Construct

from bakery_stacks.base import AwsStack
from bakery_stacks.blocks import sessions
from bakery_stacks.blocks.alarms import Alarms, alarm_encryption
from bakery_stacks.blocks.image import ChannelImage
from bakery_stacks.blocks.log_key import log_encryption
from bakery_stacks.blocks.machine import Build, Machine
from bakery_stacks.blocks.policy import Statement
from bakery_stacks.blocks.sessions import Sessions
from bakery_stacks.blocks.stack_key import StackKey
from bakery_stacks.config import Settings
from bakery_stacks.handover import DistributionOutputs, NetworkOutputs
from bakery_stacks.published import Published
from bakery_stacks.stacks.runner import registry, user_data
from bakery_stacks.stacks.runner import rights as runner_rights
from bakery_stacks.stacks.runner.cache_bucket import CacheBucket
from bakery_stacks.stacks.runner.config_toml import Places
from bakery_stacks.stacks.runner.fleet import manager_group, worker_group
from bakery_stacks.stacks.runner.job_roles import JobRoles
from bakery_stacks.stacks.runner.settings import Runner
from bakery_stacks.stacks.vault.settings import API_PORT

MANAGER_DISK = 16  # GiB: the system and the runner's programs; jobs are elsewhere
HTTP, HTTPS, SSH = 80, 443, 22


@dataclass(frozen=True)
class Around:
    """What the stack takes from others."""

    network: NetworkOutputs
    distribution: DistributionOutputs
    published: Published | None


class RunnerStack(AwsStack):
    """Workers have no right but to be looked at by Session Manager; what bakes may do, jobs prove for themselves."""

    def __init__(self, scope: Construct, settings: Settings, section: Runner, around: Around) -> None:
        super().__init__(scope, "runner", settings)
        self._runner, self._around = section, around
        self._title = f"bakery-{self.environment.name}-runner"
        self._manager_group = f"{self._title}-manager"
        self._places = Places(
            name=self._title,
            region=self.environment.home_region,
            worker_group=f"{self._title}-workers",
            cache_bucket=f"{self._title}-cache-{self.environment.account}",
            registry=registry.host(self.environment),
        )
        self._keep()
        self._run()
        self._let_bake()
        self._describe()

    def _keep(self) -> None:
        """The key, and what it encrypts."""
        environment, title = self.environment, self._title
        self._key = StackKey(
            self,
            "key",
            environment=environment,
            title=title,
            description=f"Cache, registry, logs and alarms of {title}",
            others=[log_encryption(environment, sessions.log_name(title)), alarm_encryption()],
        )
        arn = self._key.arn
        bucket, days = self._places.cache_bucket, self._runner.cache_days
        self._cache = CacheBucket(self, "cache", settings=self.settings, bucket=bucket, key_arn=arn, days=days)
        self._registry = registry.Registry(self, "registry", environment=environment, repository=title, key_arn=arn)
        self._sessions = Sessions(
            self, "sessions", environment=environment, title=title, days=self._runner.log_days, key_arn=arn
        )
        group = self._manager_group
        self._alarms = Alarms(self, "alarms", title=title, account=environment.account, group=group, key_arn=arn)

    def _run(self) -> None:
        manager, workers = self._manager(), self._workers()
        ports = {HTTPS, urlsplit(self._runner.gitlab_url).port or HTTPS}
        for port in sorted(ports):
            manager.let_out(port, "GitLab and AWS")
            workers.let_out(port, "GitLab, AWS and what jobs fetch")
        if (vault := self._vault_port()) not in ports:
            workers.let_out(vault, "Vault, which jobs have all secrets from")
        workers.let_out(HTTP, "Package sources that jobs fetch from")
        manager.let_out(SSH, "Docker on the workers", to=workers.firewall_id)
        workers.let_in(SSH, "Docker, for the manager", source=manager.firewall_id)
        subnets = self._around.network.subnet_ids
        manager_group(self, "manager-group", title=self._manager_group, machine=manager, subnet_ids=subnets)
        worker_group(
            self,
            "worker-group",
            title=self._places.worker_group,
            machine=workers,
            subnet_ids=subnets,
            most=self._runner.workers.max_instances,
            spot=self._runner.workers.spot,
        )

    def _vault_port(self) -> int:
        section = self.environment.vault_config
        return (urlsplit(section.address).port or HTTPS) if section else API_PORT

    def _manager(self) -> Machine:
        told = user_data.of_manager(self._runner, self._places)
        kind = self._runner.instance_type
        build = self._build("manager", self._runner.image, kind, MANAGER_DISK, told)
        rights = [*self._manager_rights(), *sessions.of_machine(self.environment, self._title)]
        return Machine(self, "manager", build=build, vpc_id=self._around.network.vpc_id, rights=rights)

    def _workers(self) -> Machine:
        workers = self._runner.workers
        kind = workers.spot.instance_types[0] if workers.spot else str(workers.instance_type)
        told = user_data.of_worker(self._runner)
        build = self._build("workers", self._runner.worker_image, kind, workers.disk_gib, told)
        rights = sessions.of_machine(self.environment, self._title)
        return Machine(self, "workers", build=build, vpc_id=self._around.network.vpc_id, rights=rights)

    def _build(self, role: str, image: str, kind: str, disk_gib: int, told: str) -> Build:
        own = role == "workers" and self._runner.workers.image
        at = ("runner", "workers", "image") if own else ("runner", "image")
        found = ChannelImage(self, f"{role}-image", image, self._around.published, at=at)
        said = f"{image} {found.version}"
        return Build(f"{self._title}-{role}", said, found.image_id, kind, disk_gib, told, self.tags)

    def _manager_rights(self) -> list[Statement]:
        environment, group, key = self.environment, self._places.worker_group, self._key.arn
        login = self._runner.workers.login
        parameters = [self._runner.token_parameter, *([login.private_key_parameter] if login else [])]
        return [
            *runner_rights.scaling(environment, group),
            *([] if login else [runner_rights.login(environment, group)]),
            *runner_rights.secrets(environment, parameters, key),
            *runner_rights.cache(environment, self._places.cache_bucket, key),
            *registry.pull(self._registry.arn),
        ]

    def _let_bake(self) -> None:
        if oidc := self._runner.bakes.oidc:
            roles = JobRoles(
                self,
                "jobs",
                environment=self.environment,
                gitlab_url=self._runner.gitlab_url,
                oidc=oidc,
                distribution=self._around.distribution,
                repository_arn=self._registry.arn,
            )
            self.output("bake_role_arn", roles.bake_arn, "the project's BAKERY_BAKE_ROLE_ARN: bakes and publishes")
            self.output("check_role_arn", roles.check_arn, "the project's BAKERY_CHECK_ROLE_ARN: looks, on any branch")

    def _describe(self) -> None:
        outputs: dict[str, tuple[Any, str]] = {
            "alarm_topic_arn": (self._alarms.topic_arn, "tells of a manager that does not start"),
            "cache_bucket": (self._cache.name, "holds what jobs cache"),
            "key_alias": (self._key.alias, "encrypts cache, registry, logs and alarms, and may encrypt the token"),
            "log_group": (self._sessions.log_group, "what was done in shells on the machines"),
            "registry_url": (
                self._registry.url,
                "the project's BAKERY_RUNNER_REPOSITORY: the container image of jobs",
            ),
            "session_document": (self._sessions.document, "for aws ssm start-session --document-name"),
            "token_parameter": (self._runner.token_parameter, "put the runner's token here, as a SecureString"),
            "worker_group": (self._places.worker_group, "Auto Scaling group that the manager scales"),
        }
        for name, (value, about) in outputs.items():
            self.output(name, value, about)
        if guest := self._runner.on_premise:
            told = user_data.of_guest(self._runner, f"{self._title}-guest", guest.concurrent)
            self.output("guest_user_data", told, "guestinfo.userdata of a vSphere guest, before Base64")
