"""The machines of an Auto Scaling group: a role, a security group that is closed at first, a launch template."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cdktf import Token
from cdktf_cdktf_provider_aws.iam_instance_profile import IamInstanceProfile
from cdktf_cdktf_provider_aws.iam_role import IamRole
from cdktf_cdktf_provider_aws.iam_role_policy import IamRolePolicy
from cdktf_cdktf_provider_aws.launch_template import (
    LaunchTemplate,
    LaunchTemplateBlockDeviceMappings,
    LaunchTemplateBlockDeviceMappingsEbs,
    LaunchTemplateIamInstanceProfile,
    LaunchTemplateMetadataOptions,
    LaunchTemplateTagSpecifications,
)
from cdktf_cdktf_provider_aws.security_group import SecurityGroup
from cdktf_cdktf_provider_aws.vpc_security_group_egress_rule import VpcSecurityGroupEgressRule
from cdktf_cdktf_provider_aws.vpc_security_group_ingress_rule import VpcSecurityGroupIngressRule
from constructs import Construct

from bakery_stacks.blocks.policy import Statement, policy_document

ROOT_DEVICE = "/dev/xvda"  # `bakery.clouds.aws` registers images with it; importing that would take a second
ASSUMED_BY_EC2 = {
    "Sid": "Machines",
    "Effect": "Allow",
    "Action": "sts:AssumeRole",
    "Principal": {"Service": "ec2.amazonaws.com"},
}


@dataclass(frozen=True)
class Volume:
    """A disk besides the root disk."""

    device: str
    gib: int
    delete_on_termination: bool = True


@dataclass(frozen=True)
class MachineSpec:
    """Settings of a machine. All its resources are named `title`; `image` describes the image to readers of a plan."""

    title: str
    image: str
    image_id: str
    instance_type: str
    disk_gib: int
    user_data: str
    tags: Mapping[str, str]
    volumes: Sequence[Volume] = ()


class Machine(Construct):
    """A launch template with its role and security group. Groups name its version, so a plan shows each change."""

    def __init__(
        self, scope: Construct, name: str, *, spec: MachineSpec, vpc_id: str, rights: Sequence[Statement]
    ) -> None:
        super().__init__(scope, name)
        self._title = spec.title
        group = SecurityGroup(self, "firewall", name=spec.title, description=f"Machines of {spec.title}", vpc_id=vpc_id)
        self.security_group_id: str = group.id
        profile = self._make_profile(rights)
        template = self._make_template(spec, profile)
        self.template_id: str = template.id
        self.template_version: str = Token.as_string(template.latest_version)

    def allow_egress(self, port: int, description: str, *, target: str | None = None) -> None:
        """Allow connections to anywhere, or to the members of another security group."""
        VpcSecurityGroupEgressRule(
            self,
            f"out-{port}",
            security_group_id=self.security_group_id,
            description=description,
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
            cidr_ipv4=None if target else "0.0.0.0/0",
            referenced_security_group_id=target,
        )

    def allow_ingress(self, port: int, description: str, *, source: str) -> None:
        """Allow connections from the members of another security group."""
        VpcSecurityGroupIngressRule(
            self,
            f"in-{port}",
            security_group_id=self.security_group_id,
            description=description,
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
            referenced_security_group_id=source,
        )

    def allow_mutual(self, port: int, description: str) -> None:
        """Allow connections between these machines, in both directions."""
        for rule, name in ((VpcSecurityGroupIngressRule, "in"), (VpcSecurityGroupEgressRule, "out")):
            rule(
                self,
                f"among-{port}-{name}",
                security_group_id=self.security_group_id,
                description=description,
                ip_protocol="tcp",
                from_port=port,
                to_port=port,
                referenced_security_group_id=self.security_group_id,
            )

    def _make_profile(self, rights: Sequence[Statement]) -> str:
        role = IamRole(self, "role", name=self._title, assume_role_policy=policy_document(ASSUMED_BY_EC2))
        self.role_arn: str = role.arn
        IamRolePolicy(self, "rights", name="machine", role=role.id, policy=policy_document(*rights))
        return IamInstanceProfile(self, "profile", name=self._title, role=role.name).arn

    def _make_template(self, spec: MachineSpec, profile_arn: str) -> LaunchTemplate:
        volumes = (Volume(ROOT_DEVICE, spec.disk_gib), *spec.volumes)
        tags = {**spec.tags, "Name": spec.title}
        return LaunchTemplate(
            self,
            "template",
            name=spec.title,
            description=spec.image,
            image_id=spec.image_id,
            instance_type=spec.instance_type,
            iam_instance_profile=LaunchTemplateIamInstanceProfile(arn=profile_arn),
            vpc_security_group_ids=[self.security_group_id],
            block_device_mappings=[_map_volume(volume) for volume in volumes],
            # A container is one hop further away than its machine, so a job cannot get the machine's credentials.
            metadata_options=LaunchTemplateMetadataOptions(
                http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
            ),
            instance_initiated_shutdown_behavior="terminate",
            # The provider's default tags do not reach machines that a template starts.
            tag_specifications=[
                LaunchTemplateTagSpecifications(resource_type=kind, tags=tags) for kind in ("instance", "volume")
            ],
            user_data=base64.b64encode(spec.user_data.encode()).decode(),
        )


def _map_volume(volume: Volume) -> LaunchTemplateBlockDeviceMappings:
    """A disk, encrypted with the key of the image's snapshot, or with the account's key if there is none."""
    ebs = LaunchTemplateBlockDeviceMappingsEbs(
        encrypted="true",
        delete_on_termination=str(volume.delete_on_termination).lower(),
        volume_size=volume.gib,
        volume_type="gp3",
    )
    return LaunchTemplateBlockDeviceMappings(device_name=volume.device, ebs=ebs)
