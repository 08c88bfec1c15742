"""Builds in vSphere: vsphere-clone or vsphere-iso, which also put the image into the content library."""

import os
from collections.abc import Mapping
from typing import Any

from bakery.clouds.builder import RemoteBuilder, require, ssh_variables
from bakery.clouds.job import Job
from bakery.clouds.manifest import Build
from bakery.clouds.vsphere.settings import Iso, VsphereBase, VsphereDistribution
from bakery.host.errors import BakeryError
from bakery.model.definition import ImageDefinition

FIELDS = ("username", "password")
NO_ISO = Iso(path="", answers="", label="")


def source(definition: ImageDefinition) -> str:
    base = definition.base.of(VsphereBase)
    assert base
    system = "windows" if definition.windows else "linux"
    return f"vsphere-iso.{system}" if base.iso else f"vsphere-clone.{system}"


def variables(job: Job) -> dict[str, Any]:
    base, settings = job.definition.base.of(VsphereBase), job.definition.distribution.of(VsphereDistribution)
    assert base and settings and settings.build  # the definition requires it
    iso, site = base.iso or NO_ISO, settings.build
    return {
        "server": settings.server,
        "library": settings.library,
        "datacenter": site.datacenter,
        "cluster": site.cluster,
        "datastore": site.datastore,
        "network": site.network or "",
        "folder": site.folder or "",
        "source_vm": base.template or "",
        "iso": iso.path,
        "answers": str(job.project.definitions / iso.answers) if base.iso else "",
        "answers_label": iso.label,
        "boot_command": iso.boot_command,
        "guest_os": iso.guest_os,
        "disk_mib": iso.disk_gib << 10,
        "user": base.user,
        "secrets": job.secret_references,
        **ssh_variables(job, "30m" if base.iso else "10m"),  # an installed system boots once more
    }


def environment(fields: Mapping[str, str]) -> dict[str, str]:
    """The login as variables of the template, and the CA where Go programs look for it."""
    require(fields, FIELDS, "vCenter")
    authority = os.environ.get("VSPHERE_CACERT")
    return {
        "PKR_VAR_username": fields["username"],
        "PKR_VAR_password": fields["password"],
        **({"SSL_CERT_FILE": authority} if authority else {}),
    }


def ids(build: Build) -> dict[str, str]:
    """The item's name by library. The plugin's artifact ID cannot be used: it names the machine, which is deleted."""
    custom_data = build.custom_data or {}
    if not custom_data.get("library") or not custom_data.get("item"):
        raise BakeryError(
            "Packer's manifest does not say which content library has the image",
            hint="the template's manifest needs custom_data with library and item",
        )
    return {custom_data["library"]: custom_data["item"]}


BUILDER = RemoteBuilder(
    "vsphere", "bake-private", "packer-plugin-vsphere", source, variables, environment=environment, ids=ids
)
