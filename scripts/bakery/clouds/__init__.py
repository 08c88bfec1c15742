"""What differs between Packer's builders: which source of the template fits, and the variables of that template.

A builder is named like the key of the definition's base, and so is the folder of its template.
"""

from bakery.clouds.aws import builder as aws
from bakery.clouds.azure import builder as azure
from bakery.clouds.builder import Builder, RemoteBuilder
from bakery.clouds.local import builder as qemu
from bakery.clouds.vsphere import builder as vsphere

REMOTE: dict[str, RemoteBuilder] = {"aws": aws.BUILDER, "vsphere": vsphere.BUILDER, "azure": azure.BUILDER}
BUILDERS: dict[str, Builder] = {"qemu": qemu.BUILDER, **REMOTE}

__all__ = ["BUILDERS", "REMOTE", "Builder", "RemoteBuilder"]
