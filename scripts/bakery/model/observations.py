"""The result of a refresh: the package archives of each version, and the updates that they have for it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from bakery.model.documents import Strict, Time, VendorBase
from bakery.model.version import ImageVersion
from bakery.model.vulnerabilities import VulnerabilityObservation

BaseKey = tuple[str, str, str]  # image, architecture, builder


@dataclass(frozen=True, order=True)
class Archive(Strict):
    """The state of a suite of a package archive.

    `date` is of its list of packages, in ISO 8601, and `sha256` the digest of that list. `security` says that all of
    the archive is for security. `identity` is a digest over all that decides what a machine takes from it: address,
    suite, components, architectures, options and keys.
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

    `installed` is empty for a package that is new. `suite` offers the candidate. It is for security if a security
    archive has any version above the installed one, up to the candidate, or if a security advisory names one. None
    means that it is unknown, because the archive has no advisories.
    """

    name: str
    installed: str
    candidate: str
    suite: str
    security: bool | None


@dataclass(frozen=True)
class Upgrade(Strict):
    """The changes that an upgrade of all packages would make: sorted by name; `held` are updates that stay away."""

    updates: tuple[Update, ...] = ()
    added: tuple[Update, ...] = ()
    removed: tuple[str, ...] = ()
    held: tuple[Update, ...] = ()


@dataclass(frozen=True)
class Observation(Strict):
    """The archives of one version and the upgrade that they had for it at the time `at`, in ISO 8601.

    `since` is the time of the first observation in a row with this upgrade.
    """

    image: str
    arch: str
    version: str
    at: Time
    archives: tuple[Archive, ...]
    upgrade: Upgrade
    since: Time = ""  # before it was kept, `at` stands for it

    @property
    def security(self) -> tuple[Update, ...]:
        """The updates that are known to be for security."""
        return tuple(update for update in self.upgrade.updates if update.security)


@dataclass(frozen=True)
class BaseObservation(Strict):
    """The newest base that a vendor had for one builder of an image, under the name `source` of its definition.

    `since` is the time of the first observation in a row with this base, in ISO 8601.
    """

    image: str
    arch: str
    builder: str
    source: str
    base: VendorBase
    since: Time

    @property
    def key(self) -> BaseKey:
        """The builder of an image that it is about."""
        return self.image, self.arch, self.builder


@dataclass(frozen=True)
class Observations(Strict):
    """The newest observation of each image and architecture, sorted by both; `number` counts the refreshes.

    `vulnerabilities` are those of its newest version and of the versions that its channels pointed at. `bases` are
    those of vendors.
    """

    number: int = 0
    at: Time = ""
    by: str = ""
    observations: tuple[Observation, ...] = ()
    vulnerabilities: tuple[VulnerabilityObservation, ...] = ()
    bases: tuple[BaseObservation, ...] = ()
    schema: Literal["bakery/observations/1"] = "bakery/observations/1"

    @property
    def by_version(self) -> dict[ImageVersion, Observation]:
        """Observations by the version that they are of, and of no other."""
        return {ImageVersion.of(observation): observation for observation in self.observations}

    def merge(self, newer: Iterable[Observation]) -> tuple[Observation, ...]:
        """All observations after newer ones of some images."""
        by_image = {(observation.image, observation.arch): observation for observation in (*self.observations, *newer)}
        return tuple(by_image[key] for key in sorted(by_image))

    @property
    def vulnerabilities_by_version(self) -> dict[ImageVersion, VulnerabilityObservation]:
        """Vulnerabilities by the version that they are of."""
        return {ImageVersion.of(match): match for match in self.vulnerabilities}

    def merge_vulnerabilities(self, newer: Iterable[VulnerabilityObservation]) -> tuple[VulnerabilityObservation, ...]:
        """All vulnerabilities after newer ones, which replace those of all versions of their images."""
        fresh = tuple(newer)
        images = {(match.image, match.arch) for match in fresh}
        rest = (match for match in self.vulnerabilities if (match.image, match.arch) not in images)
        return tuple(sorted((*rest, *fresh), key=lambda match: (match.image, match.arch, match.version)))

    @property
    def bases_by_key(self) -> dict[BaseKey, BaseObservation]:
        """Bases by the builder of an image."""
        return {base.key: base for base in self.bases}

    def merge_bases(self, newer: Iterable[BaseObservation]) -> tuple[BaseObservation, ...]:
        """All bases after newer ones of some builders."""
        by_key = self.bases_by_key | {base.key: base for base in newer}
        return tuple(by_key[key] for key in sorted(by_key))
