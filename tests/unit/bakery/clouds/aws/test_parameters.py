"""Parameters against an SSM that takes writes, drops them, refuses them or answers late."""

import time
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from bakery.clouds.aws import parameters
from bakery.clouds.aws.session import SsmEndpoint
from bakery.host.errors import BakeryError, ConflictError
from bakery.model.documents import Pointer

NAME = "/bakery/web/x86_64/channels/stable"
REGIONS = ("eu", "us", "ap")
OLD = {f"1/{region}": f"ami-{region}-old" for region in REGIONS}
NEW = {f"1/{region}": f"ami-{region}-new" for region in REGIONS}


class FakeSsm:
    """One parameter. A write shows at the second read after it, or never when `silent`."""

    def __init__(self) -> None:
        self.versions: list[str] = []
        self.pending: list[str] = []
        self.data_type = "aws:ec2:image"
        self.silent = False
        self.errors: list[Exception] = []

    def get_parameters(self, Names: list[str]) -> dict[str, Any]:
        shown = self.versions[-1:]
        self.versions += [] if self.silent else self.pending
        self.pending = []
        found = {"Name": Names[0], "DataType": self.data_type, "Version": len(self.versions)}
        return {"Parameters": [found | {"Value": value} for value in shown]}

    def put_parameter(self, Value: str, Overwrite: bool, DataType: str, **_: str) -> None:
        if self.errors:
            raise self.errors.pop()
        if self.versions and self.data_type != DataType:
            raise _refusal("ValidationException")
        self.data_type = DataType
        if self.versions and not Overwrite:
            raise _refusal("ParameterAlreadyExists")
        self.pending.append(Value)

    def delete_parameter(self, Name: str) -> None:
        self.versions.clear()


def _refusal(code: str) -> ClientError:
    answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    return ClientError(answer, "PutParameter")


Fakes = dict[str, FakeSsm]


def _write_once(fakes: Fakes, values: dict[str, str], gone: str = "") -> tuple[Pointer, ...]:
    return tuple(
        parameters.write_once(
            endpoint, NAME, values[key], parameters.read(endpoint, NAME), lambda pointer: pointer.value == gone
        )
        for key, endpoint in _endpoints(fakes).items()
    )


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> Fakes:
    naps: list[float] = []  # they alone move the clock
    monkeypatch.setattr(time, "sleep", naps.append)
    monkeypatch.setattr(time, "monotonic", lambda: sum(naps))
    return {region: FakeSsm() for region in REGIONS}


def _endpoints(fakes: Fakes) -> dict[str, SsmEndpoint]:
    login = cast(Any, SimpleNamespace(ssm=fakes.get))
    endpoints = [SsmEndpoint("1", region, login) for region in fakes]
    return {str(endpoint): endpoint for endpoint in endpoints}


def _set(fakes: Fakes, values: dict[str, str]) -> None:
    for region, fake in fakes.items():
        fake.versions = [values[f"1/{region}"]]


def _seen(fakes: Fakes) -> dict[str, str]:
    """What is live once everything has settled."""
    for fake in fakes.values():
        fake.get_parameters([NAME])
    return {f"1/{region}": fake.versions[-1] for region, fake in fakes.items() if fake.versions}


def test_fix(fakes: Fakes) -> None:
    first = _write_once(fakes, NEW)
    assert [(found.region, found.value, found.number) for found in first] == [
        (region, f"ami-{region}-new", 1) for region in REGIONS
    ]
    assert _write_once(fakes, NEW) == first
    assert [len(fake.versions) for fake in fakes.values()] == [1, 1, 1]


def test_fix_never_overwrites(fakes: Fakes) -> None:
    fakes["us"].versions = ["ami-other"]
    with pytest.raises(ConflictError, match="belongs to another image") as caught:
        _write_once(fakes, NEW)
    assert caught.value.where == "1/us"
    assert fakes["us"].versions == ["ami-other"]
    assert not fakes["us"].pending


def test_a_parameter_whose_image_is_gone_is_written_again(fakes: Fakes) -> None:
    fakes["us"].versions = ["ami-dead"]
    _write_once(fakes, NEW, gone="ami-dead")
    assert _seen(fakes) == NEW


def test_the_policy_keeps_the_parameter_of_an_image_that_is_gone(fakes: Fakes) -> None:
    """Nobody but an administrator removes it, and the hint says so."""
    fakes["us"].versions = ["ami-dead"]
    fakes["us"].errors = [_refusal("AccessDeniedException")]
    with pytest.raises(BakeryError) as caught:
        _write_once(fakes, NEW, gone="ami-dead")
    assert f"have an administrator delete it (aws ssm delete-parameter --name {NAME})" in caught.value.hint


def test_fix_explains_silence(fakes: Fakes) -> None:
    fakes["us"].silent = True
    with pytest.raises(BakeryError, match="did not take the value ami-us-new") as caught:
        _write_once(fakes, NEW)
    assert "ec2:DescribeImages" in caught.value.hint


def test_fix_adopts_what_was_written_meanwhile(fakes: Fakes) -> None:
    fakes["us"].errors = [_refusal("ParameterAlreadyExists")]
    fakes["us"].pending = ["ami-us-new"]
    assert len(_write_once(fakes, NEW)) == 3


def test_text_is_refused(fakes: Fakes) -> None:
    _set(fakes, OLD)
    fakes["ap"].data_type = "text"
    with pytest.raises(BakeryError, match="data type text, which cannot be changed"):
        parameters.read(_endpoints(fakes)["1/ap"], NAME)


def test_text_in_a_channel_is_no_image(fakes: Fakes) -> None:
    _set(fakes, OLD)
    fakes["ap"].data_type = "text"
    pointers = parameters.read_channel(_endpoints(fakes), NAME)
    values = {key: pointer.value for key, pointer in pointers.items() if pointer}
    assert values == {**OLD, "1/ap": f"{OLD['1/ap']} (data type text)"}


def test_text_in_a_channel_is_replaced_when_it_is_written(fakes: Fakes) -> None:
    _set(fakes, OLD)
    fakes["ap"].data_type = "text"
    written = parameters.write(_endpoints(fakes), NAME, NEW)
    assert _seen(fakes) == NEW
    assert fakes["ap"].data_type == "aws:ec2:image"
    assert {pointer.region: pointer.number for pointer in written} == {"eu": 2, "us": 2, "ap": 1}


def test_a_refused_write_deletes_nothing(fakes: Fakes) -> None:
    """Neither a denied one over text, nor one of a value that AWS does not take."""
    _set(fakes, OLD)
    fakes["ap"].data_type = "text"
    for region, code in (("ap", "AccessDeniedException"), ("us", "ValidationException")):
        fakes[region].errors = [_refusal(code)]
    with pytest.raises(BakeryError):
        parameters.write(_endpoints(fakes), NAME, NEW)
    assert _seen(fakes) == {**NEW, "1/ap": OLD["1/ap"], "1/us": OLD["1/us"]}


def test_write(fakes: Fakes) -> None:
    _set(fakes, OLD)
    written = parameters.write(_endpoints(fakes), NAME, NEW)
    assert _seen(fakes) == NEW
    assert {pointer.number for pointer in written} == {2}


@pytest.mark.parametrize("failure", ["refused", "unreachable", "silent"])
def test_a_location_that_fails_keeps_no_other_from_its_value(fakes: Fakes, failure: str) -> None:
    _set(fakes, OLD)
    if failure == "silent":
        fakes["ap"].silent = True
    else:
        unreachable = EndpointConnectionError(endpoint_url="https://ssm")
        fakes["ap"].errors = [_refusal("AccessDeniedException") if failure == "refused" else unreachable]
    with pytest.raises(BakeryError):
        parameters.write(_endpoints(fakes), NAME, NEW)
    assert _seen(fakes) == {**NEW, "1/ap": OLD["1/ap"]}


def test_remove(fakes: Fakes) -> None:
    _set(fakes, OLD)
    parameters.remove(_endpoints(fakes), NAME, {key: [OLD[key], NEW[key]] for key in OLD})
    assert _seen(fakes) == {}


def test_a_write_that_shows_up_late_is_removed(fakes: Fakes) -> None:
    fakes["ap"].pending = [NEW["1/ap"]]
    parameters.remove(_endpoints(fakes), NAME, {key: [value] for key, value in NEW.items()})
    assert _seen(fakes) == {}
    assert not fakes["ap"].pending


def test_remove_only_what_is_ours(fakes: Fakes) -> None:
    _set(fakes, OLD)
    parameters.remove(_endpoints(fakes), NAME, {**{key: [value] for key, value in OLD.items()}, "1/eu": [NEW["1/eu"]]})
    assert _seen(fakes) == {"1/eu": OLD["1/eu"]}
