"""The interface of a cloud to the rest of the bakery."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from bakery.clouds.builder import Builder
from bakery.clouds.target import Target
from bakery.model.bases import CloudBase
from bakery.model.definition import ImageDefinition
from bakery.model.distribution import CloudDistribution
from bakery.model.documents import VendorBase
from bakery.model.project import Project

Where = Callable[..., str]  # keys of a definition -> `file:line`


def check_nothing(_definition: ImageDefinition, _where: Where) -> None:
    """Accept a definition: for clouds whose settings models check everything."""


class Topic(Protocol):
    """A service of a cloud that passes messages on to subscribers."""

    def publish(self, subject: str, text: str, document: bytes, attributes: Mapping[str, str]) -> None:
        """Publish a JSON document, and a text for people; subscribers can filter by the attributes."""

    def require(self) -> None:
        """BakeryError unless the topic can be seen; sends nothing."""


@dataclass(frozen=True)
class Cloud:
    """All that the bakery knows of one cloud. The code is in the cloud's folder, and is imported when it is called.

    `name` is the target's in definitions; `base` and `distribution` are the models of its keys there. `credentials` are
    the fields that its secret in Vault must have; `login_variables` log in where the environment does, `id_tokens` are
    the tokens that a CI job needs to log in, by variable, with whom each is for. `check` raises UsageError for what the
    models cannot know. `open_topic` opens a topic by its ARN, in the cloud that has topics. `find_base` asks the cloud,
    with the fields of its secret, for the newest base of a vendor.
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
    open_topic: Callable[[str], Topic] | None = None
    find_base: Callable[[ImageDefinition, Mapping[str, str]], VendorBase] | None = None
