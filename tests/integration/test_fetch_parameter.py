"""The program that fetches a secret at boot: from the AWS stand-in, with what a metadata service says."""

import ast
import importlib.util
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from doubles.aws.client import StandIn, running
from doubles.metadata import CREDENTIALS, Metadata, serving

SCRIPT = Path(__file__).parents[2] / "ansible/roles/fetch_parameter/files/bakery-fetch-parameter.py"
REGION = "eu-west-1"
NAME = "/bakery/runner/token"
VALUE = "-----BEGIN SECRET-----\nzwölf\n-----END SECRET-----\n"

pytestmark = pytest.mark.integration

Fetch = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def aws_server() -> Iterator[StandIn]:
    with running() as server:
        yield server


@pytest.fixture
def cloud(aws_server: StandIn) -> StandIn:
    aws_server.reset()
    aws_server.client("ssm", REGION).put_parameter(Name=NAME, Value=VALUE, Type="SecureString")
    return aws_server


@pytest.fixture
def metadata() -> Iterator[Metadata]:
    with serving(REGION) as found:
        yield found


@pytest.fixture
def fetch(cloud: StandIn, metadata: Metadata) -> Fetch:
    """Run it as on an instance; `environment` changes what it is told."""

    def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        told = {"AWS_ENDPOINT_URL": cloud.url, "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.url, "LC_ALL": "C.UTF-8"}
        command = [sys.executable, str(SCRIPT), *arguments]
        return subprocess.run(command, env={**told, **environment}, capture_output=True, text=True, timeout=100)

    return run


@pytest.fixture(scope="module")
def program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bakery_fetch_parameter", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_secret_comes_decrypted_and_as_it_is(fetch: Fetch) -> None:
    done = fetch(NAME)
    assert (done.returncode, done.stdout, done.stderr) == (0, VALUE, "")


def test_the_bytes_are_utf_8_whatever_the_locale_is(fetch: Fetch) -> None:
    assert fetch(NAME, LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0").stdout == VALUE


def test_a_role_that_is_not_there_yet_is_waited_for(fetch: Fetch, metadata: Metadata) -> None:
    metadata.roleless = 2
    assert fetch(NAME).stdout == VALUE


@pytest.mark.parametrize(
    "fault",
    [
        {"error": "InternalServerError", "status": 500},
        {"error": "ThrottlingException", "status": 400},
        {"error": "AccessDeniedException", "status": 400},
        {"kind": "reset"},
    ],
    ids=lambda fault: fault.get("error", "reset"),
)
def test_what_may_pass_is_tried_again(fetch: Fetch, cloud: StandIn, fault: dict[str, object]) -> None:
    cloud.fault("ssm", "GetParameter", **fault)
    done = fetch(NAME)
    assert (done.returncode, done.stdout) == (0, VALUE)
    assert cloud.actions().count("GetParameter") == 2


def test_a_refusal_that_stays_is_told_after_a_minute(
    cloud: StandIn, metadata: Metadata, program: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three of them fit into the five minutes that the certificate's unit has."""
    assert 30 < sum(program.WAITS) < 90
    waits: list[float] = []
    monkeypatch.setattr(program.time, "sleep", waits.append)
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.url)
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.url)
    cloud.fault("ssm", "GetParameter", times=99, error="AccessDeniedException", status=400)
    with pytest.raises(program.NotYetError, match="AccessDeniedException"):
        program.fetch_with_retries(NAME)
    assert waits == list(program.WAITS)


def test_an_unknown_name_is_told_at_once(fetch: Fetch) -> None:
    done = fetch("/bakery/nothing")
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot fetch /bakery/nothing: ParameterNotFound" in done.stderr


def test_without_a_name_it_says_how_it_is_called(fetch: Fetch) -> None:
    done = fetch()
    assert done.returncode == 1
    assert "usage: bakery-fetch-parameter NAME > FILE" in done.stderr


def sockets() -> tuple[int, int]:
    """What the journal gives a unit."""
    return tuple(end.detach() for end in socket.socketpair())  # type: ignore[return-value]


@pytest.mark.parametrize("connect", [os.openpty, sockets])
def test_a_secret_is_not_for_a_terminal_or_the_journal(
    metadata: Metadata, connect: Callable[[], tuple[int, int]]
) -> None:
    ends = connect()
    try:
        done = subprocess.run([sys.executable, SCRIPT, NAME], stdout=ends[1], stderr=subprocess.PIPE, text=True)
    finally:
        for end in ends:
            os.close(end)
    assert done.returncode == 1
    assert "not for a terminal or a log" in done.stderr
    assert metadata.asked == []


def test_requests_are_signed_as_aws_wants_them(program: ModuleType) -> None:
    """The stand-in looks at no signature; AWS's own client makes the same one."""
    url, body = "https://ssm.eu-west-1.amazonaws.com", json.dumps({"Name": NAME, "WithDecryption": True}).encode()
    now = datetime.now(UTC)
    ours = program.signed(url, body, REGION, CREDENTIALS, now.strftime("%Y%m%dT%H%M%SZ"))
    headers = {"Content-Type": ours["content-type"], "X-Amz-Target": ours["x-amz-target"]}
    theirs = AWSRequest("POST", f"{url}/", headers, body)
    keys = Credentials(CREDENTIALS["AccessKeyId"], CREDENTIALS["SecretAccessKey"], CREDENTIALS["Token"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.auth.get_current_datetime", lambda: now)
        SigV4Auth(keys, "ssm", REGION).add_auth(theirs)
    assert ours["authorization"] == theirs.headers["Authorization"]


def test_it_runs_on_the_oldest_python_of_an_image() -> None:
    """Rocky 9 has 3.9."""
    ast.parse(SCRIPT.read_text(), feature_version=(3, 9))
