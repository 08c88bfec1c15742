"""SSM parameters that hold image IDs: typed, read back until live, and changed in every account and region or in none.

A successful write of a typed parameter proves nothing: AWS checks the value later, and drops it silently if the caller
may not describe the image. Only reading the value back shows the result.
"""

from collections.abc import Mapping

from botocore.exceptions import ClientError

from bakery.clouds.aws.calls import do_all, error_code, explain_errors, raise_failures, try_all
from bakery.clouds.aws.session import SsmEndpoint
from bakery.host.errors import BakeryError, ConflictError
from bakery.host.waiting import wait_until
from bakery.model.documents import Pointer

DATA_TYPE = "aws:ec2:image"
LIVE_SECONDS = 120.0  # validation takes seconds; a value that is not live by then was dropped
# Undoing waits less: it removes a new parameter when that appears, and a dropped one never appears.
UNDO_SECONDS = 30.0

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


def write_once(endpoints: Endpoints, name: str, values: Values) -> tuple[Pointer, ...]:
    """Write a parameter that never changes. An equal one is adopted; a different one raises ConflictError."""
    before = read_all(endpoints, name)
    conflicts = {key: parameter for key, parameter in before.items() if parameter and parameter.value != values[key]}
    if conflicts:
        raise ConflictError(
            f"{name} belongs to another image",
            where=", ".join(conflicts),
            detail="\n".join(
                f"{key}: {parameter.value}, expected {values[key]}" for key, parameter in conflicts.items()
            ),
            hint="a version's parameter never changes: bake a new version",
        )
    absent = {key: endpoint for key, endpoint in endpoints.items() if before[key] is None}
    do_all(
        f"write {name}", absent, lambda endpoint: _put_parameter(endpoint, name, values[str(endpoint)], overwrite=False)
    )
    return _await_live(endpoints, name, values)


def move(endpoints: Endpoints, name: str, values: Values) -> tuple[Pointer, ...]:
    """Point a parameter at new values in every location. If one location fails, all get their old value back."""
    before = read_all(endpoints, name)
    writes = {key: endpoint for key, endpoint in endpoints.items() if _parameter_value(before[key]) != values[key]}
    try:
        _, failures = try_all(
            writes, lambda endpoint: _put_parameter(endpoint, name, values[str(endpoint)], overwrite=True)
        )
        writes = {key: endpoint for key, endpoint in writes.items() if not _is_refusal(failures.get(key))}
        raise_failures(f"move {name}", failures)
        return _await_live(endpoints, name, values)
    except BaseException as error:
        summary = _Undo(writes, name, before, values).run()
        if isinstance(error, BakeryError):
            error.detail = f"{error.detail}\n{summary}".strip()
        raise


def remove(endpoint: SsmEndpoint, name: str, value: str) -> bool:
    """Delete a parameter if it holds `value`; False if it is absent or holds another value."""
    parameter = read(endpoint, name)
    if parameter is None or parameter.value != value:
        return False
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


def _is_refusal(error: BakeryError | None) -> bool:
    """Whether AWS refused the write. After any other failure, such as a lost answer, the write may still show up."""
    cause = error.__cause__ if error else None
    return isinstance(cause, ClientError) and cause.response["ResponseMetadata"]["HTTPStatusCode"] < 500


class _Undo:
    """Restores the old value in every location that a failed move may have written to, and reads it back."""

    def __init__(self, endpoints: Endpoints, name: str, before: Mapping[str, Pointer | None], values: Values) -> None:
        self._endpoints = endpoints
        self._name = name
        self._old = {key: _parameter_value(before[key]) for key in endpoints}
        self._new = values
        self._written: set[str] = set()
        self._restored: set[str] = set()
        self._failures: dict[str, BakeryError] = {}

    def run(self) -> str:
        """Report the locations that were restored and those that were not, one line each."""
        wait_until(self._poll_endpoints, UNDO_SECONDS)
        late = self._written - self._restored - self._failures.keys()
        problems = self._failures | {key: BakeryError("written, but not live yet") for key in late}
        return "\n".join(
            [f"restored in {key}: {self._old[key] or 'absent'}" for key in self._endpoints if key in self._restored]
            + [
                f"NOT restored in {key}, it should be {self._old[key] or 'absent'}: {error.detail or error.message}"
                for key, error in problems.items()
            ]
        )

    def _poll_endpoints(self) -> bool | None:
        outcomes = self._restored | self._failures.keys()
        waiting = {key: endpoint for key, endpoint in self._endpoints.items() if key not in outcomes}
        results, failures = try_all(waiting, self._restore_value)
        self._restored.update(key for key, done in results.items() if done)
        self._failures.update(failures)
        return True if len(self._restored) + len(self._failures) == len(self._endpoints) else None

    def _restore_value(self, endpoint: SsmEndpoint) -> bool:
        key = str(endpoint)
        if not self._old[key]:
            return remove(endpoint, self._name, self._new[key])
        if key not in self._written:
            _put_parameter(endpoint, self._name, self._old[key], overwrite=True)
            self._written.add(key)
        return _parameter_value(read(endpoint, self._name)) == self._old[key]


def _parameter_value(parameter: Pointer | None) -> str:
    return parameter.value if parameter else ""
