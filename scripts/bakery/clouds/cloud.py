"""The interface of a cloud to the rest of the bakery."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from bakery.clouds.builder import Builder
from bakery.clouds.read_back import OpenDisk
from bakery.clouds.target import Target
from bakery.model.bases import CloudBase
from bakery.model.bucket import Bucket
from bakery.model.definition import ImageDefinition
from bakery.model.distribution import CloudDistribution
from bakery.model.documents import VendorBase
from bakery.model.project import Project

Where = Callable[..., str]  # keys of a definition -> `file:line`


def check_nothing(_definition: ImageDefinition, _where: Where) -> None:
    """Accept a definition: for clouds whose settings models check everything."""


def try_nothing(_definition: ImageDefinition, _credentials: Mapping[str, str]) -> None:
    """Try no login: for clouds without one, and for those where only real work shows whether it is right."""


class Topic(Protocol):
    """A service of a cloud that passes messages on to subscribers."""

    def publish(self, subject: str, text: str, document: bytes, attributes: Mapping[str, str]) -> None:
        """Publish a JSON document, and a text for people; subscribers can filter by the attributes."""

    def require(self) -> None:
        """Raise BakeryError unless the topic can be used; sends nothing."""


@dataclass(frozen=True)
class Cloud:
    """One cloud, as the rest of the bakery sees it. Its functions import the code in its folder when they are called.

    `name` is the target's in definitions; `base` and `distribution` are the models of its keys there. `credentials` are
    the fields that its secret in Vault must have. `login_variables` are the environment variables of a login without
    Vault; `id_tokens` maps variables of the tokens that a CI job logs in with to their audiences. `check` raises
    UsageError for mistakes that the models cannot find. `try_login` logs in with the fields of the target's secret, or
    with what the environment has, and changes nothing; BakeryError if the cloud refuses it. `open_topic` opens a topic
    by its ARN, if the cloud has topics, and `open_bucket` a bucket by its location s3://BUCKET/PREFIX.
    `find_base` asks the cloud, with the fields of its secret, for the newest base of a vendor. `open_disk` reads the
    bytes of an image back; None where a cloud gives none. `unseen_users` are those that its target cannot find.
    Its target is an `IncrementalTarget` if it is `incremental`.
    """

    name: str
    builder: Builder
    open_target: Callable[[Project, ImageDefinition, Mapping[str, str]], Target]
    base: type[CloudBase] | None = None
    distribution: type[CloudDistribution] | None = None
    credentials: tuple[str, ...] = ()
    login_variables: tuple[str, ...] = ()
    id_tokens: Mapping[str, str] = field(default_factory=dict)
    check: Callable[[ImageDefinition, Where], None] = check_nothing
    try_login: Callable[[ImageDefinition, Mapping[str, str]], None] = try_nothing
    open_topic: Callable[[str], Topic] | None = None
    open_bucket: Callable[[str], Bucket] | None = None
    find_base: Callable[[ImageDefinition, Mapping[str, str]], VendorBase] | None = None
    open_disk: OpenDisk | None = None
    unseen_users: str = ""
    incremental: bool = False
