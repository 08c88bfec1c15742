"""`bakery catalog`: list versions and channels."""

from bakery.catalog import ListedVersion
from bakery.catalog.search import list_versions
from bakery.cli import options
from bakery.cli.session import find_catalog
from bakery.engine.overview import hint_at_images
from bakery.host.errors import UnknownNameError
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
            raise UnknownNameError(message, where=image_catalog.location, hint=hint_at_images(name, names))
    selected = [name for name in names if not images or name in images]
    versions = list_versions(image_catalog, image_catalog.images(selected))
    if json:
        print(documents.dump_all(versions).decode(), end="")
    elif versions:
        rows = [_version_row(version) for version in versions]
        print(render_table(("image", "version", "state", "channels", "mode", "baked", "locations"), rows))
    else:
        print("the catalog is empty: 'bakery run' makes a first version of every image")


def _version_row(version: ListedVersion) -> tuple[str, ...]:
    locations = [f"{publication.target}:{len(publication.locations)}" for publication in version.publications]
    mode = version.mode if version.baked else ""
    cells = (",".join(version.channels), mode, version.baked, " ".join(locations))
    state = f"{version.state}, pending" if version.pending else version.state
    return (version.image, version.version, state, *(cell or "-" for cell in cells))
