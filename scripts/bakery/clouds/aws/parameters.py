"""SSM parameters that hold image IDs: typed, and read back until live.

A successful write of a typed parameter proves nothing: AWS checks the value later, and drops it silently if the caller
may not describe the image. Only reading the value back shows the result.
"""

from collections.abc import Callable, Collection, Iterable, Mapping

from botocore.exceptions import ClientError

from bakery.clouds.aws.calls import do_all, error_code, explain_errors, raise_failures, try_all
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


def read(endpoint: SsmEndpoint, name: str) -> Pointer | None:
    """The current parameter; BakeryError if it has another data type."""
    with explain_errors(f"read {name}", str(endpoint)):
        answer = endpoint.ssm.get_parameters(Names=[name])["Parameters"]
    if not answer:
        return None
    if answer[0].get("DataType") != DATA_TYPE:
        raise BakeryError(
            f"{name} exists with data type {answer[0].get('DataType', 'text')}, which cannot be changed",
            where=str(endpoint),
            detail=f"launch templates accept {DATA_TYPE} only",
            hint=f"delete it (aws ssm delete-parameter --name {name}) and run again",
        )
    return Pointer(endpoint.account, endpoint.region, name, int(answer[0]["Version"]), answer[0]["Value"])


def read_all(endpoints: Endpoints, name: str) -> dict[str, Pointer | None]:
    """The parameter in every location."""
    return do_all(f"read {name}", endpoints, lambda endpoint: read(endpoint, name))


def write_once(
    endpoints: Endpoints, name: str, values: Values, is_gone: Callable[[Pointer], bool]
) -> tuple[Pointer, ...]:
    """Write a parameter that stays as long as its image. An equal one is adopted.

    ConflictError if one names another image that exists. One whose image is gone is written again, which the policies
    of the distribution stack leave to an administrator.
    """
    before = read_all(endpoints, name)
    foreign = {key: parameter for key, parameter in before.items() if parameter and parameter.value != values[key]}
    conflicts = {key: parameter for key, parameter in foreign.items() if not is_gone(parameter)}
    if conflicts:
        raise ConflictError(
            f"{name} belongs to another image",
            where=", ".join(conflicts),
            detail="\n".join(
                f"{key}: {parameter.value}, expected {values[key]}" for key, parameter in conflicts.items()
            ),
            hint="a version's parameter never changes: bake a new version",
        )
    _replace_dead(endpoints, name, values, [key for key in foreign if key not in conflicts])
    absent = {key: endpoint for key, endpoint in endpoints.items() if before[key] is None}
    do_all(
        f"write {name}", absent, lambda endpoint: _put_parameter(endpoint, name, values[str(endpoint)], overwrite=False)
    )
    return _await_live(endpoints, name, values)


def _replace_dead(endpoints: Endpoints, name: str, values: Values, keys: Iterable[str]) -> None:
    try:
        do_all(
            f"write {name}",
            {key: endpoints[key] for key in keys},
            lambda endpoint: _put_parameter(endpoint, name, values[str(endpoint)], overwrite=True),
        )
    except BakeryError as error:
        error.hint = (
            f"its image is gone, and the role may not change the parameter of a version: have an administrator delete "
            f"it (aws ssm delete-parameter --name {name}), then run again"
        )
        raise


def write(endpoints: Endpoints, name: str, values: Values) -> tuple[Pointer, ...]:
    """Write a parameter in every location, whatever it holds, and return when all have their values.

    A location that refuses the write keeps no other one from its value.
    """
    _, failures = try_all(
        endpoints, lambda endpoint: _put_parameter(endpoint, name, values[str(endpoint)], overwrite=True)
    )
    written = {key: endpoint for key, endpoint in endpoints.items() if key not in failures}
    pointers = _await_live(written, name, values)
    raise_failures(f"write {name}", failures)
    return pointers


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
    parameter = read(endpoint, name)
    if parameter is None or parameter.value not in values:
        return parameter is not None
    with explain_errors(f"delete {name}", str(endpoint)):
        try:
            endpoint.ssm.delete_parameter(Name=name)
        except ClientError as error:
            if error_code(error) != "ParameterNotFound":
                raise
    return True


def _put_parameter(endpoint: SsmEndpoint, name: str, value: str, *, overwrite: bool) -> None:
    with explain_errors(f"write {name}", str(endpoint)):
        try:
            endpoint.ssm.put_parameter(Name=name, Value=value, Type="String", DataType=DATA_TYPE, Overwrite=overwrite)
        except ClientError as error:
            # Another run, or a call whose answer was lost, wrote it a moment ago: reading back shows its value.
            if overwrite or error_code(error) != "ParameterAlreadyExists":
                raise


def _await_live(endpoints: Endpoints, name: str, values: Values) -> tuple[Pointer, ...]:
    live: dict[str, Pointer] = {}

    def look() -> bool | None:
        waiting = {key: endpoint for key, endpoint in endpoints.items() if key not in live}
        current = do_all(f"read {name}", waiting, lambda endpoint: read(endpoint, name))
        live.update(
            {key: parameter for key, parameter in current.items() if parameter and parameter.value == values[key]}
        )
        return True if len(live) == len(endpoints) else None

    if wait_until(look, LIVE_SECONDS) is None:
        silent = {
            key: BakeryError(f"{name} did not take the value {values[key]}", where=key, hint=_SILENT)
            for key in endpoints
            if key not in live
        }
        raise_failures(f"write {name}", silent)
    return tuple(live[key] for key in endpoints)


_SILENT = (
    "AWS accepted the write, but dropped the value after its check: the writing role needs ec2:DescribeImages, and "
    "the image must be available there and shared with the account"
)
