"""What differs between Packer's builders: which source of the template fits, and the variables of that template.

A builder is named like the key of the definition's base, and so is the folder of its template.
"""

from bakery.bake.builders import aws, azure, qemu, vsphere
from bakery.bake.builders.builder import Builder, RemoteBuilder

REMOTE: dict[str, RemoteBuilder] = {"aws": aws.BUILDER, "vsphere": vsphere.BUILDER, "azure": azure.BUILDER}
BUILDERS: dict[str, Builder] = {"qemu": qemu.BUILDER, **REMOTE}

__all__ = ["BUILDERS", "REMOTE", "Builder", "RemoteBuilder"]
