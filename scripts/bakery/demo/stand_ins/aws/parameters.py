"""SSM parameters of data type `aws:ec2:image`: accepted at once, live later, dropped silently if invalid."""

from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.ssm.exceptions import ValidationException
from moto.ssm.models import SimpleSystemManagerBackend
from moto.ssm.responses import SimpleSystemManagerResponse

from bakery.demo.stand_ins.aws import permissions
from bakery.demo.stand_ins.aws.images import visible_images
from bakery.demo.stand_ins.aws.world import WORLD, PendingParameter

IMAGE = "aws:ec2:image"

moto_put_parameter = SimpleSystemManagerResponse.put_parameter
moto_get_parameter = SimpleSystemManagerResponse.get_parameter
moto_get_parameters = SimpleSystemManagerResponse.get_parameters
moto_get_parameters_by_path = SimpleSystemManagerResponse.get_parameters_by_path
moto_get_parameter_history = SimpleSystemManagerResponse.get_parameter_history


def put_parameter(self: SimpleSystemManagerResponse) -> ActionResult:
    backend, name = self.ssm_backend, self._get_param("Name")
    data_type = self._get_param("DataType", "text")
    _settle_version(backend, name)
    current = backend.get_parameter(name)
    if current and current.data_type != data_type:
        message = f"The data type of {name} is {current.data_type} and cannot be changed to {data_type}"
        raise ValidationException(message)
    if data_type == IMAGE and self._get_param("Type", "String") != "String":
        raise ValidationException(f"A parameter of data type {IMAGE} has the type String")
    answer = moto_put_parameter(self)
    if data_type == IMAGE:
        _withhold_version(backend, name, permissions.may(self, "ec2:DescribeImages", "*"))
    return answer


def _withhold_version(backend: SimpleSystemManagerBackend, name: str, permitted: bool) -> None:
    """Remove the version that moto has just added, until it is validated."""
    versions = backend._parameters[name]
    pending = PendingParameter(versions.pop(), WORLD.settings.parameter_reads, permitted)
    if not versions:
        del backend._parameters[backend._parameters.normalize_name(name)]
    WORLD.parameters[_parameter_key(backend, name)] = pending


def _settle_version(backend: SimpleSystemManagerBackend, name: str) -> None:
    """Make the pending version live if its image is available here and its writer may see images, else drop it."""
    pending = WORLD.parameters.pop(_parameter_key(backend, name), None)
    if pending is None:
        return
    image = visible_images(ec2_backends[backend.account_id][backend.region_name]).get(pending.version.value)
    if image and image.state == "available" and pending.permitted:
        backend._parameters[name].append(pending.version)


def _count_read(backend: SimpleSystemManagerBackend, name: str) -> None:
    """Count a read; after enough reads, the pending version becomes live."""
    pending = WORLD.parameters.get(_parameter_key(backend, name))
    if pending is None:
        return
    pending.reads_left -= 1
    if pending.reads_left < 0:
        _settle_version(backend, name)


def _parameter_key(backend: SimpleSystemManagerBackend, name: str) -> tuple[str, str, str]:
    """The bare name, without ARN, version and label."""
    bare = backend._strip_parameter_arn(name).split(":")[0]
    return backend.account_id, backend.region_name, backend._parameters.normalize_name(bare)


def get_parameter(self: SimpleSystemManagerResponse) -> ActionResult:
    _count_read(self.ssm_backend, self._get_param("Name"))
    return moto_get_parameter(self)


def get_parameters(self: SimpleSystemManagerResponse) -> ActionResult:
    for name in self._get_param("Names"):
        _count_read(self.ssm_backend, name)
    return moto_get_parameters(self)


def get_parameters_by_path(self: SimpleSystemManagerResponse) -> ActionResult:
    backend = self.ssm_backend
    for account, region, name in list(WORLD.parameters):
        if (account, region) == (backend.account_id, backend.region_name) and name.startswith(self._get_param("Path")):
            _count_read(backend, name)
    return moto_get_parameters_by_path(self)


def get_parameter_history(self: SimpleSystemManagerResponse) -> ActionResult:
    _count_read(self.ssm_backend, self._get_param("Name"))
    return moto_get_parameter_history(self)


HANDLERS = (put_parameter, get_parameter, get_parameters, get_parameters_by_path, get_parameter_history)
