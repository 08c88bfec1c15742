"""Settings of the targets of images. `credentials` is a path in Vault, never a value."""

from typing import TYPE_CHECKING, TypeVar

from bakery.model.documents import ImageLocation
from bakery.model.validation import Model

if TYPE_CHECKING:
    from bakery.model.definition import ImageDefinition


class CloudDistribution(Model):
    """Settings of one target: the properties that the settings of all targets have."""

    @property
    def vault_path(self) -> str | None:
        """The path in Vault of the target's credentials; None if they are in the environment."""
        return None

    @property
    def build_path(self) -> str | None:
        """The path in Vault of the credentials that Packer builds with there; None if they are in the environment."""
        return self.vault_path

    @property
    def locations(self) -> tuple[str, ...]:
        """The regions and accounts that a publication must name, by the cloud's own names."""
        raise NotImplementedError

    @property
    def encryption(self) -> str:
        """The key that encrypts images there; empty for none."""
        return ""

    def wants(self, location: ImageLocation) -> bool:
        """Whether an image is to be in a location."""
        return location.region in self.locations

    @property
    def build_location(self) -> str:
        """The region in which Packer builds, or the cloud's equivalent."""
        raise NotImplementedError

    def check(self, definition: "ImageDefinition") -> None:
        """Raise ValueError if the rest of the definition does not fit these settings."""


Kind = TypeVar("Kind", bound=CloudDistribution)


class Distribution(Model):
    """Settings per target."""

    @property
    def by_target(self) -> dict[str, CloudDistribution]:
        """The settings of targets that are set."""
        settings = ((name, getattr(self, name)) for name in type(self).model_fields)
        return {name: value for name, value in settings if value is not None}

    def of(self, kind: type[Kind]) -> Kind | None:
        """The settings of a target by their class."""
        return next((settings for settings in self.by_target.values() if isinstance(settings, kind)), None)

    def wanted(self, target: str) -> tuple[str, ...]:
        """The regions and accounts in which a target publishes an image."""
        settings = self.by_target.get(target)
        return settings.locations if settings else ()

    def credentials(self, target: str) -> str | None:
        """The Vault path of a target's credentials; None if it has none, such as the local target."""
        settings = self.by_target.get(target)
        return settings.vault_path if settings else None

    def build_credentials(self, target: str) -> str | None:
        """The Vault path of the credentials of builds at a target; None if it has none."""
        settings = self.by_target.get(target)
        return settings.build_path if settings else None
