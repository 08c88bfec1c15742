"""All clouds: a folder and a line here for each; docs/how-to/add-a-cloud.md says how."""

from bakery.clouds import aws, azure, local, vsphere
from bakery.clouds.builder import Builder, RemoteBuilder
from bakery.clouds.cloud import Cloud

CLOUDS: dict[str, Cloud] = {
    "local": local.CLOUD,
    "aws": aws.CLOUD,
    "vsphere": vsphere.CLOUD,
    "azure": azure.CLOUD,
}
# Terraform's state and most stacks are there, so `cdktf` logs in to it.
STACKS = aws.CLOUD

BUILDERS: dict[str, Builder] = {cloud.builder.name: cloud.builder for cloud in CLOUDS.values()}
REMOTE: dict[str, RemoteBuilder] = {
    name: builder for name, builder in BUILDERS.items() if isinstance(builder, RemoteBuilder)
}
