"""The rights of roles: a call in a session of a role whose policy was posted needs what AWS asks of it.

Sources: the Service Authorization Reference, pages of Amazon EC2, Amazon Elastic Block Store, AWS Systems Manager,
Amazon S3, AWS STS, Amazon SNS and AWS KMS, for actions, resources and keys of conditions; the EC2 user guide, "Grant
permission to tag resources during creation", for `ec2:CreateAction`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from moto.core.authorization import ActionAuthenticatorMixin
from moto.core.responses import BaseResponse
from moto.ec2.models import EC2Backend, ec2_backends
from moto.sts.models import sts_backends
from moto.utilities.utils import get_partition

from bakery.demo.stand_ins.aws import bucket_policies, images, keys, snapshots
from bakery.demo.stand_ins.aws.calls import Call
from bakery.demo.stand_ins.aws.policies import Need, Statement, Values, allows, names_action
from bakery.demo.stand_ins.aws.world import WORLD

# Code and status of a refusal: EC2 API reference, "Error codes"; S3 API reference, "Error responses"; common errors of
# the query services, of SNS, and of the JSON services.
DENIED = {
    "ec2": ("UnauthorizedOperation", 403),
    "s3": ("AccessDenied", 403),
    "sts": ("AccessDenied", 403),
    "iam": ("AccessDenied", 403),
    "autoscaling": ("AccessDenied", 403),
    "sns": ("AuthorizationError", 403),
    "ebs": ("AccessDeniedException", 403),
}
OTHERS_DENIED = ("AccessDeniedException", 400)
ALWAYS_ALLOWED = {"sts:GetCallerIdentity", "sts:AssumeRoleWithWebIdentity", "sts:AssumeRoleWithSAML"}
IMAGE_CALLS = {
    *("ModifyImageAttribute", "ResetImageAttribute", "DeregisterImage", "EnableImage", "DisableImage"),
    *("EnableImageDeprecation", "DisableImageDeprecation", "CreateImageUsageReport", "RestoreImageFromRecycleBin"),
    *("EnableImageDeregistrationProtection", "DisableImageDeregistrationProtection"),
}
# What removes a resource of the account: its kind in ARNs, and the parameter that names it.
REMOVALS = {
    "TerminateInstances": ("instance", "InstanceIds"),
    "DeleteSecurityGroup": ("security-group", "GroupId"),
    "DeleteVolume": ("volume", "VolumeId"),
    "DeleteKeyPair": ("key-pair", "KeyName"),
}
SNAPSHOT_CALLS = {"ModifySnapshotAttribute", "DeleteSnapshot", "RestoreSnapshotFromRecycleBin"}
BLOCK_CALLS = {"PutSnapshotBlock", "CompleteSnapshot", "ListSnapshotBlocks", "GetSnapshotBlock"}
# The rights with which DescribeImageReferences looks for each type of resource, and the service through which it does
# (EC2 user guide, "Identify your resources referencing specified AMIs").
REFERENCES = {
    "ec2:Instance": ("ec2:DescribeInstances",),
    "ec2:LaunchTemplate": ("ec2:DescribeLaunchTemplates", "ec2:DescribeLaunchTemplateVersions"),
    "ssm:Parameter": ("ssm:DescribeParameters", "ssm:GetParameters"),
    "imagebuilder:ImageRecipe": ("imagebuilder:ListImageRecipes",),
    "imagebuilder:ContainerRecipe": ("imagebuilder:ListContainerRecipes", "imagebuilder:GetContainerRecipe"),
}
THROUGH_IMAGES: dict[str, Values] = {"aws:CalledVia": ["ec2-images.amazonaws.com"]}
# The parameters that name what a call is about.
PARAMETERS, TOPICS = ("Name", "Names", "Path", "ResourceId"), ("TopicArn", "TargetArn", "ResourceArn")

Keys = dict[str, Values]


class Denied(Exception):
    """A call without the right that it needs."""

    def __init__(self, service: str, need: Need) -> None:
        super().__init__(f"The role is not authorized to perform: {need.action} on resource: {need.arn}")
        self.code, self.status = DENIED.get(service, OTHERS_DENIED)


def replace_authorization() -> None:
    """Ask for rights where moto does; all of its services do it before they act."""
    ActionAuthenticatorMixin._authenticate_and_authorize_normal_action = _authorize  # type: ignore[assignment,method-assign]
    ActionAuthenticatorMixin._authenticate_and_authorize_s3_action = _authorize_s3  # type: ignore[assignment,method-assign]


def set_policies(policies: Mapping[str, Mapping[str, Any] | None]) -> None:
    """Check sessions of these roles from now on, or no longer for a policy that is None; by ARN of the role."""
    for role, policy in policies.items():
        WORLD.policies.pop(role, None)
        if policy is not None:
            WORLD.policies[role] = list(policy["Statement"])


def authorize_call(call: Call) -> None:
    """Check a call to a service that moto lacks."""
    if call.key and (statements := _statements(call.account, call.region, call.key)) is not None:
        _require(call.service, statements, Need(f"{call.service}:{call.action}", "*", _global_keys(call.region)))


def may(self: BaseResponse, action: str, arn: str, resource_keys: Keys | None = None) -> bool:
    """Whether the caller has a right besides that of the call itself."""
    statements = _caller_statements(self)
    return statements is None or allows(
        statements, Need(action, arn, {**_global_keys(self.region), **(resource_keys or {})})
    )


def snapshot_need(backend: EC2Backend, action: str, snapshot_id: str, more: Keys | None = None) -> Need:
    """The right to do something with a snapshot."""
    snapshot = snapshots.visible_snapshots(backend).get(snapshot_id)
    traits = {"ec2:SnapshotTime": snapshot.start_time.isoformat(), **_traits(snapshot)} if snapshot else {}
    return Need(action, _arn(backend.region_name, "snapshot", snapshot_id), {**traits, **(more or {})})


def _image_need(backend: EC2Backend, action: str, image_id: str, more: Keys | None = None) -> Need:
    image = images.visible_images(backend).get(image_id)
    traits = {"ec2:Public": str(image.is_public).lower(), **_traits(image)} if image else {}
    return Need(action, _arn(backend.region_name, "image", image_id), {**traits, **(more or {})})


def _traits(resource: Any) -> Keys:
    """Owner and tags of an existing image or snapshot."""
    tags = {f"aws:ResourceTag/{tag['key']}": tag["value"] for tag in resource.get_tags()}
    return {"ec2:Owner": resource.owner_id, **tags}


def _arn(region: str, kind: str, name: str) -> str:
    """ARNs of images and snapshots name no account."""
    return f"arn:{get_partition(region)}:ec2:{region}::{kind}/{name}"


def _authorize(self: BaseResponse, _: str = "*") -> None:
    statements = _caller_statements(self)
    if statements is None:
        return
    service, common = self.boto3_service_name, _global_keys(self.region)
    for need in _needs(self, service, self._get_action()):
        _require(service, statements, Need(need.action, need.arn, {**common, **need.keys}))


def _authorize_s3(self: BaseResponse, bucket_name: str | None = None, key_name: str | None = None) -> None:
    statements = _caller_statements(self)
    if statements is None or bucket_name is None:
        return
    action = f"s3:{self._get_action()}"
    action = {"s3:HeadBucket": "s3:ListBucket"}.get(action, bucket_policies.ACTIONS.get(action, action))
    name = f"{bucket_name}/{key_name}" if key_name else bucket_name
    need = Need(action, f"arn:{get_partition(self.region)}:s3:::{name}", _global_keys(self.region))
    _require("s3", statements, need)


def _caller_statements(self: BaseResponse) -> list[Statement] | None:
    return _statements(self.current_account, self.region, self.get_access_key())


def _statements(account: str, region: str, key: str) -> list[Statement] | None:
    """The policy of the role in whose session a key is; None if it is not checked."""
    if not WORLD.policies:
        return None
    session = sts_backends[account][get_partition(region)].get_assumed_role_from_access_key(key)
    return WORLD.policies.get(session.role_arn) if session else None


def _require(service: str, statements: list[Statement], need: Need) -> None:
    if need.action in ALWAYS_ALLOWED or allows(statements, need):
        return
    if need.arn == "*" and any(_names_resources(statement, need.action) for statement in statements):
        raise NotImplementedError(f"the resource of {need.action} in a policy is unknown here")
    raise Denied(service, need)


def _names_resources(statement: Statement, action: str) -> bool:
    """Whether a statement allows an action on some resources only."""
    resources = statement.get("Resource")
    return statement["Effect"] == "Allow" and names_action(statement, action) and resources not in ("*", ["*"])


def _global_keys(region: str) -> Keys:
    return {"aws:RequestedRegion": region}


def _needs(self: BaseResponse, service: str, action: str) -> Iterator[Need]:
    """The rights that a call needs."""
    backend = ec2_backends[self.current_account][self.region]
    right = f"{service}:{action}"
    match service:
        case "ec2":
            yield from _ec2_needs(self, backend, action)
        case "ebs" if action == "StartSnapshot":
            yield from _start_needs(self)
        case "ebs" if action in BLOCK_CALLS:
            yield snapshot_need(backend, right, self._get_param("SnapshotId"))
        case "ssm":
            yield from _parameter_needs(self, action)
        case "sns":
            topics = [self._get_param(name) for name in TOPICS if self._get_param(name)]
            yield from [Need(right, topic) for topic in topics] or [Need(right, "*")]
        case "sts" if action == "AssumeRole":
            yield Need(right, self._get_param("RoleArn"))
        case "kms" if key := self._get_param("KeyId"):
            yield Need(right, keys.key_arn(backend, key) or key)
        case _:
            yield Need(right, "*")


def _ec2_needs(self: BaseResponse, backend: EC2Backend, action: str) -> Iterator[Need]:
    right = f"ec2:{action}"
    if action in IMAGE_CALLS:
        yield _image_need(backend, right, self._get_param("ImageId"))
    elif action in SNAPSHOT_CALLS:
        yield snapshot_need(backend, right, self._get_param("SnapshotId"))
    elif action == "RegisterImage":
        yield Need(right, _arn(self.region, "image", "*"), _request_tags(self, "image"))
        for mapping in self._get_param("BlockDeviceMappings", []):
            if snapshot_id := mapping.get("Ebs", {}).get("SnapshotId"):
                yield snapshot_need(backend, right, snapshot_id, _request_tags(self, "image"))
        yield from _tag_needs(self, action, "image")
    elif action in ("CopyImage", "CopySnapshot"):
        yield from _copy_needs(self, action)
    elif action in ("CreateTags", "DeleteTags"):
        tags = _tag_keys({tag["Key"]: tag.get("Value", "") for tag in self._get_param("Tags", [])})
        for name in self._get_param("Resources"):
            make_need = snapshot_need if name.startswith("snap-") else _image_need
            if not name.startswith(("snap-", "ami-")):
                raise NotImplementedError(f"rights to tag {name}")
            yield make_need(backend, right, name, tags)
    elif action in REMOVALS:
        yield from _removal_needs(self, backend, action)
    else:
        yield Need(right, "*")
    if action == "DescribeImageReferences":
        yield from _reference_needs(self)


def _reference_needs(self: BaseResponse) -> Iterator[Need]:
    every = REFERENCES if self._get_param("IncludeAllResourceTypes", False) else ()
    for kind in {*every, *(entry["ResourceType"] for entry in self._get_param("ResourceTypes", []))}:
        for right in REFERENCES[kind]:
            yield Need(right, "*", THROUGH_IMAGES)


def _removal_needs(self: BaseResponse, backend: EC2Backend, action: str) -> Iterator[Need]:
    """The right to remove each resource that a call names."""
    kind, parameter = REMOVALS[action]
    names = self._get_param(parameter)
    for name in names if isinstance(names, list) else [names]:
        pair = backend.key_pairs.get(name) if kind == "key-pair" else None
        tags = backend.describe_tags(filters={"resource-id": [pair.id if pair else name]})
        traits: Keys = {f"aws:ResourceTag/{tag['key']}": tag["value"] for tag in tags}
        arn = f"arn:{get_partition(self.region)}:ec2:{self.region}:{self.current_account}:{kind}/{name}"
        yield Need(f"ec2:{action}", arn, traits)


def _copy_needs(self: BaseResponse, action: str) -> Iterator[Need]:
    """Both the source, in its region, and what is made of it."""
    right, source = f"ec2:{action}", ec2_backends[self.current_account][self._get_param("SourceRegion")]
    if action == "CopyImage":
        yield _image_need(source, right, self._get_param("SourceImageId"))
        kinds = ["image", "snapshot"]
    else:
        yield snapshot_need(source, right, self._get_param("SourceSnapshotId"))
        kinds = ["snapshot"]
    for kind in kinds:
        yield Need(right, _arn(self.region, kind, "*"), _request_tags(self, kind))
        yield from _tag_needs(self, action, kind)


def _tag_needs(self: BaseResponse, action: str, kind: str) -> Iterator[Need]:
    """The right to tag what a call makes, if it does."""
    if tags := _request_tags(self, kind):
        yield Need("ec2:CreateTags", _arn(self.region, kind, "*"), {**tags, "ec2:CreateAction": action})


def _request_tags(self: BaseResponse, kind: str) -> Keys:
    specifications = self._get_param("TagSpecifications", [])
    tags = [tag for entry in specifications if entry["ResourceType"] == kind for tag in entry["Tags"]]
    return _tag_keys({tag["Key"]: tag.get("Value", "") for tag in tags})


def _tag_keys(tags: Mapping[str, str]) -> Keys:
    named: Keys = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    return {**named, "aws:TagKeys": list(tags)} if tags else {}


def _start_needs(self: BaseResponse) -> Iterator[Need]:
    """EBS direct tags with the right of EC2, and names no action by which it creates."""
    tags = _tag_keys({tag["Key"]: tag["Value"] for tag in self._get_param("Tags", [])})
    arn = _arn(self.region, "snapshot", "*")
    yield Need("ebs:StartSnapshot", arn, tags)
    if tags:
        yield Need("ec2:CreateTags", arn, tags)


def _parameter_needs(self: BaseResponse, action: str) -> Iterator[Need]:
    texts: list[str] = []
    for field in PARAMETERS:
        value = self._get_param(field)
        texts += value if isinstance(value, list) else [value] if value else []
    resource_keys: Keys = {}
    if action == "PutParameter":
        resource_keys["ssm:Overwrite"] = str(bool(self._get_param("Overwrite", False))).lower()
    place = f"arn:{get_partition(self.region)}:ssm:{self.region}:{self.current_account}:parameter"
    for text in texts:
        name = text.split(":")[0].removeprefix("/")
        yield Need(f"ssm:{action}", f"{place}/{name}", resource_keys)
    if not texts:
        yield Need(f"ssm:{action}", "*")
