"""Versions of marketplace images, which a test puts there."""

from doubles.azure.refusal import missing
from doubles.azure.world import REGIONS, Json, World


def list_versions(world: World, parts: dict[str, str]) -> list[Json]:
    """The versions in no order. An unknown image is an error, as at Azure, and names are matched in any case."""
    location, urn = parts["location"], ":".join(parts[name] for name in ("publisher", "offer", "sku"))
    versions = world.market.get(urn.lower())
    if location not in REGIONS or versions is None:
        raise missing(f"{location}/{urn}")
    scope = f"/Subscriptions/{parts['subscription']}/Providers/Microsoft.Compute/Locations/{location}"
    path = f"Publishers/{parts['publisher']}/ArtifactTypes/VMImage/Offers/{parts['offer']}/Skus/{parts['sku']}"
    return [{"id": f"{scope}/{path}/Versions/{name}", "name": name, "location": location} for name in versions]
