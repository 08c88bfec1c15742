"""SSM parameters that hold image IDs: typed, and read back until live.

A successful write of a typed parameter proves nothing: AWS checks the value later, and drops it silently if the caller
may not describe the image. Only reading the value back shows the result.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from botocore.exceptions import ClientError

from bakery.clouds.aws.calls import DENIED, do_all, error_code, explain_errors, raise_failures, try_all
from bakery.clouds.aws.session import SsmEndpoint
from bakery.host.errors import BakeryError, ConflictError
from bakery.host.waiting import wait_until
from bakery.model.documents import Pointer

DATA_TYPE = "aws:ec2:image"
LIVE_SECONDS = 120.0  # validation takes seconds; a value that is not live by then was dropped
# Removing waits less: it removes a new parameter when that appears, and a dropped one never appears.
REMOVE_SECONDS = 30.0

Endpoints = Mapping[str, SsmEndpoint]  # by their text
Values = Mapping[str, str]  # desired value by account and region


class DataTypeError(BakeryError):
    """A parameter has another data type, which cannot be changed."""


def read(endpoint: SsmEndpoint, name: str) -> Pointer | None:
    """The current parameter; DataTypeError if launch templates do not accept it."""
    pointer, data_type = _read_any(endpoint, name)
    if pointer and data_type != DATA_TYPE:
        raise DataTypeError(
            f"{name} exists with data type {data_type}, which cannot be changed",
            where=str(endpoint),
            detail=f"launch templates accept {DATA_TYPE} only",
            hint=f"delete it (aws ssm delete-parameter --name {name}) and run again",
        )
    return pointer


def read_channel(endpoints: Endpoints, name: str) -> dict[str, Pointer | None]:
    """A channel's parameter in every location. A value of another data type says so, and is no image's ID."""

    def read_there(endpoint: SsmEndpoint) -> Pointer | None:
        pointer, data_type = _read_any(endpoint, name)
        if pointer and data_type != DATA_TYPE:
            return replace(pointer, value=f"{pointer.value} (data type {data_type})")
        return pointer

    return do_all(f"read {name}", endpoints, read_there)


def _read_any(endpoint: SsmEndpoint, name: str) -> tuple[Pointer | None, str]:
    """The current parameter, and its data type."""
    with explain_errors(f"read {name}", str(endpoint)):
        answer = endpoint.ssm.get_parameters(Names=[name])["Parameters"]
    if not answer:
        return None, ""
    [parameter] = answer
    pointer = Pointer(endpoint.account, endpoint.region, name, int(parameter["Version"]), parameter["Value"])
    return pointer, parameter.get("DataType", "text")


def write_once(
    endpoint: SsmEndpoint, name: str, value: str, before: Pointer | None, is_gone: Callable[[Pointer], bool]
) -> Pointer:
    """Write a parameter that stays as long as its image. An equal one is adopted.

    `before` is the parameter that was there. ConflictError if it names another image that exists. One whose image is
    gone is written again, which the policies of the distribution stack leave to an administrator.
    """
    if before is None and not _put_parameter(endpoint, name, value, overwrite=False):
        before = read(endpoint, name)  # another run, or a call whose answer was lost, wrote it a moment ago
    if before is None:
        return _await_live(endpoint, name, value)
    if before.value == value:
        return before
    if not is_gone(before):
        raise ConflictError(
            f"{name} belongs to another image",
            where=str(endpoint),
            detail=f"it is {before.value}, expected {value}",
            hint="a version's parameter never changes: bake a new version",
        )
    _replace_dead(endpoint, name, value)
    return _await_live(endpoint, name, value)


def _replace_dead(endpoint: SsmEndpoint, name: str, value: str) -> None:
    try:
        _put_parameter(endpoint, name, value, overwrite=True)
    except BakeryError as error:
        error.hint = (
            f"its image is gone, and the role may not change the parameter of a version: have an administrator delete "
            f"it (aws ssm delete-parameter --name {name}), then run again"
        )
        raise


def write(endpoints: Endpoints, name: str, values: Values) -> tuple[Pointer, ...]:
    """Write a parameter in every location, whatever it holds, and return when all have their values.

    A location that fails keeps no other one from its value. A parameter of another data type is deleted and made again.
    """

    def write_there(endpoint: SsmEndpoint) -> Pointer:
        _overwrite(endpoint, name, values[str(endpoint)])
        return _await_live(endpoint, name, values[str(endpoint)])

    pointers, failures = try_all(endpoints, write_there)
    raise_failures(f"write {name}", failures)
    return tuple(pointers[key] for key in endpoints)


def _overwrite(endpoint: SsmEndpoint, name: str, value: str) -> None:
    try:
        _put_parameter(endpoint, name, value, overwrite=True)
    except BakeryError as error:
        # No code of the API stands for a wrong data type alone, so the parameter itself says what is wrong.
        if not isinstance(error.__cause__, ClientError) or error_code(error.__cause__) in DENIED:
            raise
        pointer, data_type = _read_any(endpoint, name)
        if pointer is None or data_type == DATA_TYPE:
            raise
        _delete_parameter(endpoint, name)
        _put_parameter(endpoint, name, value, overwrite=True)


def remove(endpoints: Endpoints, name: str, values: Mapping[str, Collection[str]]) -> None:
    """Remove a parameter in every location in which it holds one of the values.

    A write that AWS has not checked yet shows up later, so an absent parameter is waited for.
    """
    waiting = dict(endpoints)

    def remove_present() -> bool | None:
        results = do_all(
            f"remove {name}", waiting, lambda endpoint: _remove_present(endpoint, name, values[str(endpoint)])
        )
        for key in [key for key, present in results.items() if present]:
            del waiting[key]
        return None if waiting else True

    wait_until(remove_present, REMOVE_SECONDS)


def _remove_present(endpoint: SsmEndpoint, name: str, values: Collection[str]) -> bool:
    """Delete a parameter if it holds one of the values; whether there was one, of any value."""
    parameter, _ = _read_any(endpoint, name)
    if parameter is None or parameter.value not in values:
        return parameter is not None
    _delete_parameter(endpoint, name)
    return True


def _delete_parameter(endpoint: SsmEndpoint, name: str) -> None:
    """Delete a parameter; no error if it is gone."""
    with explain_errors(f"delete {name}", str(endpoint)):
        try:
            endpoint.ssm.delete_parameter(Name=name)
        except ClientError as error:
            if error_code(error) != "ParameterNotFound":
                raise


def _put_parameter(endpoint: SsmEndpoint, name: str, value: str, *, overwrite: bool) -> bool:
    """Write a parameter; False if there is one that must not be overwritten."""
    with explain_errors(f"write {name}", str(endpoint)):
        try:
            endpoint.ssm.put_parameter(Name=name, Value=value, Type="String", DataType=DATA_TYPE, Overwrite=overwrite)
        except ClientError as error:
            if overwrite or error_code(error) != "ParameterAlreadyExists":
                raise
            return False
    return True


def _await_live(endpoint: SsmEndpoint, name: str, value: str) -> Pointer:
    def look() -> Pointer | None:
        pointer = read(endpoint, name)
        return pointer if pointer and pointer.value == value else None

    pointer = wait_until(look, LIVE_SECONDS)
    if pointer is None:
        raise BakeryError(f"{name} did not take the value {value}", where=str(endpoint), hint=_SILENT)
    return pointer


_SILENT = (
    "AWS accepted the write, but dropped the value after its check: the writing role needs ec2:DescribeImages, and "
    "the image must be available there and shared with the account"
)
