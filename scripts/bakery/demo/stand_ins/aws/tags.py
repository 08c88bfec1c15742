"""EC2 tags: each account sets and sees its own on a shared image or snapshot; moto lets only owners set some.

Source: the EC2 user guide, "Tag your Amazon EC2 resources": tags on a public or shared resource are available only to
the account that sets them.
"""

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.exceptions import InvalidAMIIdError, InvalidSnapshotIdError
from moto.ec2.models import EC2Backend, validate_resource_ids
from moto.ec2.responses.tags import TagResponse

from bakery.demo.stand_ins.aws import images, snapshots

_moto_delete_tags = TagResponse.delete_tags


def create_tags(self: TagResponse) -> ActionResult:
    self.error_on_dryrun()
    names = self._get_param("Resources", [])
    _require_visible(self.ec2_backend, names)
    self.ec2_backend.create_tags(names, {tag["Key"]: tag.get("Value", "") for tag in self._get_param("Tags", [])})
    return EmptyResult()


def delete_tags(self: TagResponse) -> ActionResult:
    _require_visible(self.ec2_backend, self._get_param("Resources", []))
    return _moto_delete_tags(self)


def _require_visible(backend: EC2Backend, names: list[str]) -> None:
    """Raise the error for a resource that the account does not see."""
    validate_resource_ids(names)
    own: list[str] = []
    for name in names:
        if name.startswith("ami-"):
            if name not in images.visible_images(backend):
                raise InvalidAMIIdError([name])
        elif name.startswith("snap-"):
            if name not in snapshots.visible_snapshots(backend):
                raise InvalidSnapshotIdError()
        else:
            own.append(name)
    backend.do_resources_exist(own)


HANDLERS = (create_tags, delete_tags)
