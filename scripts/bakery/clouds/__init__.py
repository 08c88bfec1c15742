"""All clouds. Each has a folder and a line here; docs/how-to/add-a-cloud.md has the steps."""

from bakery.clouds import aws, azure, local, vsphere
from bakery.clouds.builder import Builder, RemoteBuilder
from bakery.clouds.cloud import Cloud

CLOUDS: dict[str, Cloud] = {
    "local": local.CLOUD,
    "aws": aws.CLOUD,
    "vsphere": vsphere.CLOUD,
    "azure": azure.CLOUD,
}
# `cdktf` logs in to this cloud, which has Terraform's state and most stacks.
STACKS = aws.CLOUD

BUILDERS: dict[str, Builder] = {cloud.builder.name: cloud.builder for cloud in CLOUDS.values()}
REMOTE: dict[str, RemoteBuilder] = {
    name: builder for name, builder in BUILDERS.items() if isinstance(builder, RemoteBuilder)
}
