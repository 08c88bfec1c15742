"""The runner image's job logs in to the runner stack's repository: real curl, and what stands in for STS and ECR.

They check what AWS does: the token's role, and each signature, which botocore computes again.
"""

import base64
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from doubles.programs import Programs
from doubles.serving import at_work

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
ROLE = "arn:aws:iam::123456789012:role/bakery-prod-push"
TOKEN = "header.canary+of/gitlab=.signature"
KEYS = Credentials("ASIACANARY", "canary/secret+key=", "canary//session+token==")
PASSWORD = "canary-password=="
CREDENTIALS = f"""\
<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleWithWebIdentityResult>
    <Credentials>
      <AccessKeyId>{KEYS.access_key}</AccessKeyId>
      <SecretAccessKey>{KEYS.secret_key}</SecretAccessKey>
      <SessionToken>{KEYS.token}</SessionToken>
    </Credentials>
  </AssumeRoleWithWebIdentityResult>
</AssumeRoleWithWebIdentityResponse>
"""
LOGIN = '{{"authorizationData":[{{"authorizationToken":"{}","expiresAt":1.7E9,"proxyEndpoint":"https://r"}}]}}'


class Cloud(ThreadingHTTPServer):
    """Both services; `role` is the one that the token may take."""

    role = ROLE


class _Handler(BaseHTTPRequestHandler):
    server: Cloud

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["X-Amz-Target"]:
            good = self._signed(body) and self.headers["X-Amz-Security-Token"] == KEYS.token
            self._answer(good, LOGIN.format(base64.b64encode(f"AWS:{PASSWORD}".encode()).decode()))
        else:
            form = {name: value for name, [value] in parse_qs(body.decode(), strict_parsing=True).items()}
            self._answer(form == self._expected(), CREDENTIALS)

    def _expected(self) -> dict[str, str]:
        return {
            "Action": "AssumeRoleWithWebIdentity",
            "Version": "2011-06-15",
            "RoleArn": self.server.role,
            "RoleSessionName": "gitlab-job-13",
            "WebIdentityToken": TOKEN,
        }

    def _signed(self, body: bytes) -> bool:
        """As AWS checks it: everything that begins with x-amz- is signed, for this service and region."""
        about, signed, signature = self.headers["Authorization"].removeprefix("AWS4-HMAC-SHA256 ").split(",")
        names = signed.strip().removeprefix("SignedHeaders=").split(";")
        sent = [name.lower() for name in self.headers if name.lower().startswith("x-amz-")]
        request = AWSRequest(
            "POST", f"http://{self.headers['Host']}/", {name: self.headers[name] for name in names}, body
        )
        request.context["timestamp"] = self.headers["X-Amz-Date"]
        auth = SigV4Auth(KEYS, "ecr", "eu-central-1")
        text = auth.string_to_sign(request, auth.canonical_request(request))
        right = f"Signature={auth.signature(text, request)}"
        whose = about.removeprefix("Credential=") == auth.scope(request)
        return whose and signature.strip() == right and set(sent) <= set(names)

    def _answer(self, good: bool, text: str) -> None:
        data = (text if good else "<Error><Code>AccessDenied</Code></Error>").encode()
        self.send_response(200 if good else 403)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def cloud() -> Iterator[Cloud]:
    with at_work(Cloud(("127.0.0.1", 0), _Handler)) as server:
        yield server


@dataclass(frozen=True)
class Job:
    """A job of the pipeline; curl is the real one and notes its arguments, buildah keeps what it is told."""

    programs: Programs
    cloud: Cloud
    env: dict[str, str]
    password: Path

    def __call__(self, **changed: str) -> "subprocess.CompletedProcess[str]":
        env = {**os.environ, **self.env, **changed}
        script = ROOT / "runner" / "ecr-login.sh"
        return subprocess.run([script], env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Job]:
    curl = subprocess.run(["which", "curl"], capture_output=True, text=True, check=True).stdout.strip()
    programs = Programs(tmp_path / "bin", monkeypatch)
    programs.shell("curl", f'exec {curl} "$@"')
    programs.shell("buildah", f"cat >{tmp_path}/password")
    with cloud() as server:
        env = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
            "AWS_ID_TOKEN": TOKEN,
            "BAKERY_PUSH_ROLE_ARN": ROLE,
            "BAKERY_RUNNER_REPOSITORY": f"{REGISTRY}/bakery-prod-runner",
            "CI_JOB_ID": "13",
        }
        yield Job(programs, server, env, tmp_path / "password")


def test_the_token_gets_a_role_and_that_a_password(job: Job) -> None:
    done = job()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert job.programs.calls("buildah") == [f"login --username AWS --password-stdin {REGISTRY}"]
    assert job.password.read_text().rstrip("\n") == PASSWORD


def test_no_secret_is_an_argument(job: Job) -> None:
    assert job().returncode == 0
    said = "\n".join([*job.programs.calls("curl"), *job.programs.calls("buildah")])
    assert ROLE in said
    assert "canary" not in said.lower()


def test_a_ref_that_may_not_take_the_role(job: Job) -> None:
    job.cloud.role = f"{ROLE}-of-others"
    done = job()
    assert done.returncode == 1
    assert (
        "error: STS at sts.eu-central-1.amazonaws.com refuses: <Error><Code>AccessDenied</Code></Error>" in done.stderr
    )
    assert job.programs.calls("buildah") == []


def test_a_project_without_the_role(job: Job) -> None:
    done = job(BAKERY_PUSH_ROLE_ARN="")
    assert (done.returncode, job.programs.calls("curl")) == (1, [])
    assert done.stderr.startswith("error: BAKERY_PUSH_ROLE_ARN is not set")


def test_a_repository_that_is_not_in_ecr(job: Job) -> None:
    done = job(BAKERY_RUNNER_REPOSITORY="registry.example.com/runner")
    assert (done.returncode, job.programs.calls("curl")) == (1, [])
    assert done.stderr.startswith("error: BAKERY_RUNNER_REPOSITORY is not ACCOUNT.dkr.ecr.")
