"""The result of a refresh: the package archives of each version, and the updates that they have for it."""

from dataclasses import dataclass

from bakery.model.documents import Strict


@dataclass(frozen=True, order=True)
class Archive(Strict):
    """The state of a suite of a package archive.

    `date` is of its signed list, in ISO 8601, and `sha256` the digest of that list. `identity` is a digest over all
    that decides what a machine takes from it: address, suite, components, architectures, options and keys.
    """

    uri: str
    suite: str
    date: str
    sha256: str
    security: bool
    identity: str


@dataclass(frozen=True, order=True)
class Update(Strict):
    """A package whose version would change, by the name that its package manager prints.

    `installed` is empty for a package that comes anew. `suite` offers the candidate. It is for security if a security
    archive has any version above the installed one, up to the candidate.
    """

    name: str
    installed: str
    candidate: str
    suite: str
    security: bool


@dataclass(frozen=True)
class Upgrade(Strict):
    """The changes that an upgrade of all packages would make: sorted by name; `held` are updates that stay away."""

    updates: tuple[Update, ...] = ()
    added: tuple[Update, ...] = ()
    removed: tuple[str, ...] = ()
    held: tuple[Update, ...] = ()
