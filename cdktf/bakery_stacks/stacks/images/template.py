"""A launch template that follows a channel: a plan shows a promotion, and an apply adds a version to the template."""

from cdktf_cdktf_provider_aws.data_aws_ami import DataAwsAmi, DataAwsAmiFilter
from cdktf_cdktf_provider_aws.data_aws_ssm_parameter import DataAwsSsmParameter
from cdktf_cdktf_provider_aws.launch_template import (
    LaunchTemplate,
    LaunchTemplateBlockDeviceMappings,
    LaunchTemplateBlockDeviceMappingsEbs,
    LaunchTemplateMetadataOptions,
    LaunchTemplateTagSpecifications,
)
from cdktf_cdktf_provider_aws.provider import AwsProvider
from constructs import Construct


class ImageTemplate(Construct):
    """The template of one image in one region. `parameter` is the data source that reads the channel."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        image: str,
        tags: dict[str, str],
        parameter: DataAwsSsmParameter,
        provider: AwsProvider,
    ) -> None:
        """`image` is the template's name; `tags` are for machines and disks, which default tags do not reach."""
        super().__init__(scope, name)
        by_id = DataAwsAmiFilter(name="image-id", values=[parameter.insecure_value])
        ami = DataAwsAmi(self, "image", owners=["self"], filter=[by_id], provider=provider)
        template = LaunchTemplate(
            self,
            "template",
            name=image,
            description=f"{tags['bakery:image']} {tags['bakery:version']}",
            image_id=ami.id,
            update_default_version=True,
            block_device_mappings=[_encrypted_disk(ami.root_device_name)],
            metadata_options=LaunchTemplateMetadataOptions(
                http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
            ),
            tag_specifications=[
                LaunchTemplateTagSpecifications(resource_type=kind, tags=tags) for kind in ("instance", "volume")
            ],
            provider=provider,
        )
        self.outputs = {"id": template.id, "version": template.latest_version}


def _encrypted_disk(device: str) -> LaunchTemplateBlockDeviceMappings:
    """No key is named: EBS uses the key of the snapshot, or the account's key if it has none."""
    return LaunchTemplateBlockDeviceMappings(
        device_name=device, ebs=LaunchTemplateBlockDeviceMappingsEbs(encrypted="true", delete_on_termination="true")
    )
