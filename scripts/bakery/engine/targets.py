"""Opens the targets of an image, logged in to."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from bakery.clouds import CLOUDS
from bakery.clouds.target import Target
from bakery.engine.logins import open_vault, read_credentials
from bakery.engine.session import Session
from bakery.model.definition import ImageDefinition


@contextmanager
def open_targets(session: Session, definition: ImageDefinition) -> Iterator[dict[str, Target]]:
    """Every target of an image by name, logged in to; credentials from Vault end with the block."""
    with open_vault(*map(definition.distribution.credentials, definition.targets)) as vault:
        yield {
            name: open_target(session, definition, name, read_credentials(vault, definition, name))
            for name in definition.targets
        }


def open_target(session: Session, definition: ImageDefinition, name: str, credentials: Mapping[str, str]) -> Target:
    """One target of an image, with its credentials."""
    return CLOUDS[name].open_target(session.project, definition, credentials)
