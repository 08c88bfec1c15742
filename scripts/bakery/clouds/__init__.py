"""The places that images go to: a folder and a line here for each; docs/how-to/add-a-cloud.md says how."""

from bakery.clouds import aws, azure, local, vsphere
from bakery.clouds.builder import Builder, RemoteBuilder
from bakery.clouds.cloud import Cloud

CLOUDS: dict[str, Cloud] = {
    "local": local.CLOUD,
    "aws": aws.CLOUD,
    "vsphere": vsphere.CLOUD,
    "azure": azure.CLOUD,
}
# The one that Terraform's state is in, and most stacks: its login is what `cdktf` needs.
STACKS = aws.CLOUD

BUILDERS: dict[str, Builder] = {cloud.builder.name: cloud.builder for cloud in CLOUDS.values()}
REMOTE: dict[str, RemoteBuilder] = {
    name: builder for name, builder in BUILDERS.items() if isinstance(builder, RemoteBuilder)
}
