"""Builds in Azure: azure-arm, which also puts the image into the Compute Gallery and replicates it."""

from collections.abc import Mapping
from typing import Any

from bakery.clouds.azure.names import GalleryVersion, gallery_image
from bakery.clouds.azure.settings import AzureBase, AzureDistribution, AzureNetwork
from bakery.clouds.builder import RemoteBuilder, require, ssh_variables
from bakery.clouds.job import Job
from bakery.clouds.manifest import Build
from bakery.model.definition import ImageDefinition
from bakery.model.documents import VendorBase
from bakery.model.version import ImageVersion

FIELDS = ("client_id", "client_secret")  # the names in Vault's Azure engine (azure/creds)


def source(definition: ImageDefinition) -> str:
    return "azure-arm.windows" if definition.windows else "azure-arm.linux"


def variables(job: Job) -> dict[str, Any]:
    base, settings = job.definition.base.of(AzureBase), job.definition.distribution.of(AzureDistribution)
    assert base and settings
    parent = GalleryVersion.parse(job.source) if job.source else None
    return {
        "tenant": settings.tenant,
        "subscription": settings.subscription,
        "resource_group": settings.resource_group,
        "gallery": settings.gallery,
        "gallery_image": gallery_image(ImageVersion(job.definition.name, job.definition.arch, job.version)),
        "regions": settings.regions,
        "source_version": {"image": parent.image if parent else "", "version": parent.version if parent else ""},
        "source_urn": _exact_urn(base.urn or "", job.vendor_base),
        "vm_size": base.vm_size,
        "virtual_network": _network_variables(base.network),
        "access_from": base.access_from,
        "secrets": job.secret_references,
        **ssh_variables(job, "20m"),
    }


def _network_variables(network: AzureNetwork | None) -> dict[str, Any]:
    return {
        "name": network.virtual_network if network else "",
        "resource_group": network.resource_group if network else "",
        "subnet": network.subnet if network else "",
        "public_address": network.public_address if network else False,
    }


def _exact_urn(urn: str, newest: VendorBase | None) -> str:
    """The URN with a number for its version, if the number is known."""
    return f"{urn.rpartition(':')[0]}:{newest.identity}" if newest else urn


def environment(fields: Mapping[str, str]) -> dict[str, str]:
    """The sensitive variables of the template; BakeryError if a field is missing."""
    require(fields, FIELDS, "Azure")
    return {f"PKR_VAR_{name}": fields[name] for name in FIELDS}


def ids(build: Build) -> dict[str, str]:
    """The same image ID for each region, since one gallery version serves all. A user's own template may name none."""
    regions = (build.custom_data or {}).get("regions", "")
    return dict.fromkeys(regions.split(","), build.artifact_id)


BUILDER = RemoteBuilder(
    "azure", "bake-public", "packer-plugin-azure", source, variables, environment=environment, ids=ids
)
