"""`bakery catalog`: list versions and channels."""

from bakery.catalog import Catalog, ListedVersion
from bakery.cli import options
from bakery.cli.session import find_catalog
from bakery.engine.overview import hint_at_images
from bakery.host.errors import NotFoundError
from bakery.model import documents
from bakery.reports import render_table


def catalog(
    images: options.Images = None,
    catalog: options.CatalogAt = options.CATALOG,
    workspace: options.Workspace = options.WORKSPACE,
    json: options.Json = False,
) -> None:
    """List versions, their states and channels.

    Example: bakery catalog web
    """
    image_catalog = find_catalog(workspace, catalog, quiet=json)
    names = image_catalog.image_names()
    for name in images or []:
        if name not in names:
            message = f"no image named '{name}' in the catalog"
            raise NotFoundError(message, where=image_catalog.location, hint=hint_at_images(name, names))
    selection = [(image, arch) for image, arch in image_catalog.images() if not images or image in images]
    versions = [version for image, arch in selection for version in _list_versions(image_catalog, image, arch)]
    if json:
        print(documents.dump_all(versions).decode(), end="")
    elif versions:
        rows = [_version_row(version) for version in versions]
        print(render_table(("image", "version", "state", "channels", "mode", "baked", "locations"), rows))
    else:
        print("the catalog is empty: 'bakery run' makes a first version of every image")


def _list_versions(image_catalog: Catalog, image: str, arch: str) -> list[ListedVersion]:
    """The versions of an image with the channels that point at each, which are read once for all."""
    heads = image_catalog.heads(image, arch)
    return [
        ListedVersion.of(record, [head.channel for head in heads if head.version == record.version])
        for record in image_catalog.records(image, arch)
    ]


def _version_row(version: ListedVersion) -> tuple[str, ...]:
    locations = [f"{publication.target}:{len(publication.locations)}" for publication in version.publications]
    mode = version.mode if version.baked else ""
    cells = (",".join(version.channels), mode, version.baked, " ".join(locations))
    return (version.image, version.version, version.state, *(cell or "-" for cell in cells))
