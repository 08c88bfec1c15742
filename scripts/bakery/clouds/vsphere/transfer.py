"""Read the answers of vCenter about a file that a session uploads or downloads (Content Library, TransferEndpoint)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Endpoint:
    """The address of the bytes."""

    uri: str


@dataclass(frozen=True)
class Message:
    """A message for people (LocalizableMessage)."""

    default_message: str
