"""Resources that refer to an image: instances, launch templates and parameters of the own account.

Source: the EC2 API reference, DescribeImageReferences. Moto does not have it.
"""

from collections.abc import Callable, Iterator, Mapping

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.responses.amis import AmisResponse
from moto.ssm.models import ssm_backends

from bakery.demo.stand_ins.aws.parameters import IMAGE

INSTANCE, TEMPLATE, PARAMETER = "ec2:Instance", "ec2:LaunchTemplate", "ssm:Parameter"
# There are no recipes of Image Builder here.
RECIPES = ("imagebuilder:ImageRecipe", "imagebuilder:ContainerRecipe")
MAX_IMAGES = 10
MAX_DEPTH = 10_000  # versions of a launch template
DEPTH = 10  # the newest versions that are looked at unless the call says otherwise

Options = Mapping[str, list[str]]
References = Iterator[tuple[str, str]]  # image ID, and ARN of the resource that refers to it


def describe_image_references(self: AmisResponse) -> ActionResult:
    self.error_on_dryrun()
    ids = self._get_param("ImageIds")
    if not 1 <= len(ids) <= MAX_IMAGES:
        raise EC2ClientError("InvalidParameterValue", f"A request takes 1 to {MAX_IMAGES} images, not {len(ids)}")
    references = [
        {"ImageId": image_id, "ResourceType": kind, "Arn": arn}
        for kind, options in _reference_types(self).items()
        for image_id, arn in list_references(self.ec2_backend, kind, options)
        if image_id in ids
    ]
    return ActionResult({"ImageReferences": references})


def _reference_types(self: AmisResponse) -> dict[str, Options]:
    """The options of each type of resource to check."""
    every = (INSTANCE, TEMPLATE, PARAMETER, *RECIPES) if self._get_param("IncludeAllResourceTypes", False) else ()
    types: dict[str, Options] = {kind: {} for kind in every} | requested_types(self)
    if not types:
        raise EC2ClientError("MissingParameter", "Either IncludeAllResourceTypes or ResourceTypes must be specified")
    return types


def requested_types(self: AmisResponse) -> dict[str, Options]:
    """The options of each type of resource that the request names."""
    return {
        entry["ResourceType"]: {
            option["OptionName"]: option["OptionValues"] for option in entry.get("ResourceTypeOptions", ())
        }
        for entry in self._get_param("ResourceTypes", [])
    }


def list_references(backend: EC2Backend, kind: str, options: Options) -> References:
    """The references to images in one account and region."""
    kinds: dict[str, Callable[[EC2Backend, Options], References]] = {
        INSTANCE: _instance_references,
        TEMPLATE: _template_references,
        PARAMETER: _parameter_references,
    }
    return kinds[kind](backend, options) if kind in kinds else iter(())


def _instance_references(backend: EC2Backend, options: Options) -> References:
    states = options.get("state-name")
    for instance in backend.all_instances():
        if not states or instance._state.name in states:
            yield instance.image_id, f"arn:aws:ec2:{_place(backend)}:instance/{instance.id}"


def _template_references(backend: EC2Backend, options: Options) -> References:
    """A template counts once for an image, whatever the number of its versions."""
    [depth] = options.get("version-depth", [str(DEPTH)])
    if not (depth.isdigit() and 1 <= int(depth) <= MAX_DEPTH):
        raise EC2ClientError("InvalidParameterValue", f"version-depth is from 1 to {MAX_DEPTH}, not {depth}")
    for template in backend.launch_templates.values():
        for image_id in {version.image_id for version in template.versions[-int(depth) :]}:
            yield image_id, f"arn:aws:ec2:{_place(backend)}:launch-template/{template.id}"


def _parameter_references(backend: EC2Backend, _: Options) -> References:
    for name, versions in ssm_backends[backend.account_id][backend.region_name]._parameters.items():
        if versions and versions[-1].data_type == IMAGE:
            yield versions[-1].value, f"arn:aws:ssm:{_place(backend)}:parameter/{name.removeprefix('/')}"


def _place(backend: EC2Backend) -> str:
    return f"{backend.region_name}:{backend.account_id}"


HANDLERS = (describe_image_references,)
