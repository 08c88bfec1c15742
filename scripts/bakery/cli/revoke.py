"""`bakery revoke`: forbid a version for good."""

from typing import Annotated

import typer

from bakery.catalog.search import find_descendants
from bakery.cli import options
from bakery.cli.session import find_catalog
from bakery.host.errors import UsageError
from bakery.model.version import ImageVersion


def _check_reason(text: str) -> str:
    if not text.strip():
        raise UsageError("--reason is empty", hint="give a reason: it is recorded, and cannot be changed later")
    return text


Why = Annotated[str, typer.Option("--reason", help="The reason, which the record keeps.", callback=_check_reason)]


def revoke(
    image: options.Image,
    version: options.Version,
    reason: Why,
    arch: options.Arch = options.ARCH,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
) -> None:
    """Forbid a version for good.

    No verb promotes or publishes it any more. Fails while a channel points at it. Its images and parameters stay, so
    consumers that pin it keep working. Lists the images that were built on it.

    Example: bakery revoke web 1.0.3 --reason "CVE-2026-1234"
    """
    image_catalog = find_catalog(workspace, catalog)
    record = image_catalog.revoke(image_catalog.record(ImageVersion(image, arch, version)), reason)
    print(f"{image} {version} is revoked: {record.reason}")
    for child in find_descendants(image_catalog, record):
        print(f"built on it, and not revoked: {child.image} {child.version}")
