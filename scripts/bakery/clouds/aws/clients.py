"""Types of boto3's clients and their answers, for mypy only: they come from stubs that a run does not need."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_ebs import EBSClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import CreateVolumePermissionTypeDef as VolumePermission
    from mypy_boto3_ec2.type_defs import FilterTypeDef as Filter
    from mypy_boto3_ec2.type_defs import ImageTypeDef as Image
    from mypy_boto3_ec2.type_defs import LaunchPermissionTypeDef as LaunchPermission
    from mypy_boto3_ec2.type_defs import SnapshotTypeDef as Snapshot
    from mypy_boto3_ec2.type_defs import TagSpecificationTypeDef as TagSpecification
    from mypy_boto3_ec2.type_defs import TagTypeDef as Tag
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_sts import STSClient
else:
    EBSClient = EC2Client = SSMClient = STSClient = Any
    Filter = Image = LaunchPermission = Snapshot = TagSpecification = Tag = VolumePermission = Any

__all__ = [
    "EBSClient",
    "EC2Client",
    "Filter",
    "Image",
    "LaunchPermission",
    "SSMClient",
    "STSClient",
    "Snapshot",
    "Tag",
    "TagSpecification",
    "VolumePermission",
]
