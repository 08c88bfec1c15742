"""The shape of a builder."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bakery.clouds.job import Job
from bakery.clouds.manifest import Build
from bakery.host.errors import BakeryError
from bakery.machine import ssh
from bakery.machine.timeout import ssh_timeout
from bakery.model.definition import ImageDefinition

# Private jobs need the user's own machines (KVM, a way to the vCenter), public ones a cloud account.
Duty = Literal["bake-private", "bake-public"]


@dataclass(frozen=True)
class Builder:
    """The differences between Packer's builders. `name` is the key of the definition's base and the template's folder.

    `source` is the block of the template that builds a definition; `variables` are its own, beside the common ones, and
    a user's own template also has to use the `required` ones. `system_tools` and Packer's `plugin` change only the
    images of this builder. Jobs of `duty` run it.
    """

    name: str
    duty: Duty
    plugin: str
    source: Callable[[ImageDefinition], str]
    variables: Callable[[Job], dict[str, Any]]
    required: tuple[str, ...] = ("artifact_name", "manifest")
    system_tools: tuple[str, ...] = ()

    @property
    def tools(self) -> tuple[str, ...]:
        """The system's tools by their names in input keys."""
        return (*self.system_tools, self.plugin)


@dataclass(frozen=True, kw_only=True)
class RemoteBuilder(Builder):
    """A builder that makes the image at a target.

    `environment` turns the fields of the target's credentials in Vault into variables for Packer, and `ids` reads the
    images by location from Packer's manifest. If Vault has no credentials, the user's variables whose names begin with
    `own` log in, if the builder reads any; the values of `own_secrets` among them are never shown.
    """

    environment: Callable[[Mapping[str, str]], dict[str, str]]
    ids: Callable[[Build], dict[str, str]]
    own: str = ""
    own_secrets: tuple[str, ...] = ()

    def own_login(self, env: Mapping[str, str]) -> dict[str, str]:
        """The part of the user's environment that logs in."""
        return {name: value for name, value in env.items() if self.own and name.startswith(self.own)}


def ssh_variables(job: Job, patience: str) -> dict[str, str]:
    """The variables of a template that logs in by SSH: new keys of this bake, and how long to wait for an answer."""
    host_key = ssh.make_host_key(job.ansible_files)
    return {
        "ssh_private_key": str(ssh.make_key(job.ansible_files)),
        "ssh_host_key": str(host_key.path),
        "ssh_known_hosts": str(host_key.known_hosts),
        "ssh_timeout": ssh_timeout(patience),
    }


def require(fields: Mapping[str, str], names: Iterable[str], cloud: str) -> None:
    """Raise BakeryError unless a target's credentials have all of these fields; their values are never shown."""
    missing = [name for name in names if not fields.get(name)]
    if missing:
        raise BakeryError(f"the {cloud} credentials in Vault have no {' and no '.join(missing)}")
