"""Settings of the runner stack."""

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from bakery.host.errors import suggest
from bakery.model.fields import Name, TextFormat
from bakery.model.validation import Model, field_error
from bakery_stacks.fields import cron
from bakery_stacks.fields.log_days import LogDays
from bakery_stacks.fields.machine import InstanceType
from bakery_stacks.fields.secret import ParameterName

# Keys that the fleeting plugin can use (Go's x/crypto/ssh).
SshKey = Annotated[
    str,
    TextFormat(
        r"^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp256) [A-Za-z0-9+/]+=*( \S+)?$",
        "one line of an OpenSSH public key: ssh-ed25519, ssh-rsa or ecdsa-sha2-nistp256",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample runner",
    ),
]
# GitLab's paths; a wildcard in a trust policy would also match later projects.
Project = Annotated[
    str, TextFormat(r"^[\w.-]+(/[\w.-]+)+$", "GROUP/PROJECT in full, without a wildcard", "platform/images")
]
Ref = Annotated[str, TextFormat(r"^[\w./-]+$", "the full name of a branch or tag, without a wildcard", "main")]

GITLAB_HINT = "write https://HOST or https://HOST:PORT, such as https://gitlab.example.com"


def _check_gitlab_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise field_error("must begin with https://: the runner's token goes there", GITLAB_HINT)
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise field_error("must be the address of GitLab itself, without a path", GITLAB_HINT)
    return url.rstrip("/")


def _check_limit(count: object) -> object:
    if count == 0:
        reason = "0 means 'no limit' to GitLab, but 'no machine' to Auto Scaling"
        raise field_error(reason, "write 1 or more, the number of machines that may run at once")
    return count


def _check_time_zone(name: str) -> str:
    time_zones = available_timezones()  # empty on a system without time zones
    if time_zones and name not in time_zones:
        raise field_error(
            f"there is no time zone '{name}'", suggest(name, time_zones) or "write a name such as Europe/Berlin"
        )
    return name


GitLab = Annotated[str, AfterValidator(_check_gitlab_url)]
TimeZone = Annotated[
    str,
    TextFormat(r"^[A-Za-z_]+(/[A-Za-z0-9_+-]+)*$", "the name of a time zone in the tz database", "Europe/Berlin"),
    AfterValidator(_check_time_zone),
]
Period = Annotated[str, AfterValidator(cron.check_period)]
Limit = Annotated[int, BeforeValidator(_check_limit), Field(ge=1)]


class Spot(Model):
    """Workers at spot prices. AWS can stop them at two minutes' notice, and their jobs fail."""

    instance_types: Annotated[tuple[InstanceType, ...], Field(min_length=2)] = Field(
        description="at least two types of similar size; AWS stops fewer machines if it can choose from more types"
    )
    on_demand_base: Annotated[int, Field(ge=0)] = Field(
        default=0, description="number of machines that are on demand, before any at spot prices"
    )


class Idle(Model):
    """The number of jobs that can start at once in some periods. GitLab uses the last entry that matches."""

    periods: Annotated[tuple[Period, ...], Field(min_length=1)] = Field(
        default=("* * * * *",), description="spans as in cron: '* 8-17 * * mon-fri' is ten hours of each working day"
    )
    timezone: TimeZone = Field(default="UTC", description="time zone of the periods, such as Europe/Berlin")
    idle_count: Annotated[int, Field(ge=0)] = Field(
        description="number of jobs for which machines are kept ready, at full price"
    )
    idle_minutes: Annotated[int, Field(ge=1)] = Field(description="time after which an idle machine is terminated")


class Login(Model):
    """The key pair with which the manager logs in to workers."""

    public_key: SshKey = Field(description="one line of an OpenSSH public key")
    private_key_parameter: ParameterName = Field(description="SSM SecureString with the private key")


class Workers(Model):
    """Machines that run jobs, from none to `max_instances`, which the manager starts and terminates."""

    image: Name | None = Field(
        default=None, description="image of this project, with Docker; without it that of the manager"
    )
    instance_type: InstanceType | None = Field(default=None, description="type of workers on demand; or set `spot`")
    spot: Spot | None = Field(default=None, description="workers at spot prices, instead of `instance_type`")
    max_instances: Limit = Field(description="maximum number of machines, which also limits their costs")
    capacity_per_instance: Annotated[int, Field(ge=1)] = Field(
        default=1, description="number of concurrent jobs on one machine"
    )
    max_use_count: Annotated[int, Field(ge=1)] = Field(
        default=1, description="jobs after which a machine is terminated; with 1, no job sees data of another"
    )
    idle: Annotated[tuple[Idle, ...], Field(min_length=1)] = Field(
        default=(Idle(idle_count=0, idle_minutes=10),), description="numbers of machines that wait for jobs, by periods"
    )
    disk_gib: Annotated[int, Field(ge=8)] = Field(
        default=40, description="size of the disk for container images and jobs"
    )
    login: Login | None = Field(
        default=None, description="SSH key of the manager; without it EC2 Instance Connect, which the image must have"
    )

    @model_validator(mode="after")
    def _check_market(self) -> Self:
        if self.spot and self.instance_type:
            reason = "it is for workers on demand, but spot is set, too"
            raise field_error(
                reason, "keep one of the two; with spot, write the type into spot.instance_types", "instance_type"
            )
        if not (self.spot or self.instance_type):
            reason = "neither instance_type nor spot sets the type of the workers"
            raise field_error(reason, "add instance_type: m6i.large, or spot with two or more instance_types")
        for index, idle in enumerate(self.idle):
            if idle.idle_count > self.jobs:
                reason = (
                    f"{idle.idle_count} jobs cannot run at once: max_instances x capacity_per_instance is {self.jobs}"
                )
                raise field_error(
                    reason, f"choose {self.jobs} or less, or raise max_instances", "idle", index, "idle_count"
                )
        return self

    @property
    def jobs(self) -> int:
        """The number of jobs that can run at once."""
        return self.max_instances * self.capacity_per_instance


class Docker(Model):
    """Settings of the jobs' containers."""

    image: str = Field(description="image of jobs that name none")
    privileged: bool = Field(
        default=False, description="privileged containers: a job can then control its machine and use its rights"
    )
    devices: tuple[str, ...] = Field(default=(), description="devices of the machine, such as /dev/kvm for bakes")


class Subject(Model):
    """Jobs of one project on one branch or tag, which has to be protected in GitLab: AWS cannot see whether it is."""

    project: Project = Field(description="GROUP/PROJECT")
    ref: Ref = Field(description="name of the protected branch or tag")
    ref_type: Literal["branch", "tag"] = Field(default="branch", description="type of `ref`")


class Oidc(Model):
    """Roles at AWS for tokens by GitLab, by duty. Named refs may bake; all branches of their projects may read."""

    subjects: Annotated[tuple[Subject, ...], Field(min_length=1)] = Field(description="refs that may bake")
    builds_in_aws: bool = Field(
        default=False,
        description="for `base.aws` of definitions: starts machines, can share any image of the account",
    )


class Bakes(Model):
    """The source of the rights of jobs, which is never their machine."""

    by: Literal["oidc", "vault"] = Field(
        description="`oidc`: roles at AWS for GitLab's ID tokens. `vault`: credentials from Vault, and no role here"
    )
    oidc: Oidc | None = Field(default=None, description="subjects of the roles, if `by` is oidc")

    @model_validator(mode="after")
    def _check_oidc(self) -> Self:
        if (self.by == "oidc") != (self.oidc is not None):
            reason = "'by: oidc' needs subjects, and 'by: vault' must not have them"
            raise field_error(reason, "add oidc with subjects, or write 'by: vault' without it", "oidc")
        return self


class OnPremise(Model):
    """A runner on a vSphere guest, with the same GitLab and containers, but without workers."""

    concurrent: Annotated[int, Field(ge=1)] = Field(description="number of concurrent jobs on the guest")


class Runner(Model):
    """A manager that takes jobs from GitLab, and workers that it starts to run them."""

    gitlab_url: GitLab = Field(description="address of GitLab, https://HOST")
    token_parameter: ParameterName = Field(description="SSM SecureString with the runner's authentication token")
    image: Name = Field(default="gitlab-runner", description="image of this project, for the manager")
    instance_type: InstanceType = Field(
        default="t3.small", description="type of the manager, which only distributes jobs"
    )
    workers: Workers
    docker: Docker
    cache_days: Annotated[int, Field(ge=1)] = Field(default=14, description="days after which jobs' caches are deleted")
    log_days: LogDays = Field(default=90, description="days in which logs of sessions are kept")
    bakes: Bakes
    on_premise: OnPremise | None = Field(default=None, description="outputs user data for a vSphere guest")

    @property
    def worker_image(self) -> str:
        """The image of the workers."""
        return self.workers.image or self.image
