"""The runner image's job logs in to its registry: real buildah, the real Vault, and what stands in for a registry."""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bakery.demo.stand_ins.vault import VaultServer
from doubles.gitlab import GitLab, gitlab
from doubles.programs import Programs
from doubles.serving import at_work
from doubles.vault import vault_server
from integration.duties import ROOT, job_token, set_up

pytestmark = pytest.mark.integration

SECRET = "secret/data/bakery/runner/registry"
USER = "bakery-runner"
# What JSON, Vault and a shell each write in another way.
PASSWORD = r"""canary a&b<c>"d"'e'\f\n\x41%s$HOME é"""
LOGGED_IN = "Login Succeeded!"


@dataclass
class Done:
    code: int
    output: str


class Registry(ThreadingHTTPServer):
    """The first request of a registry's protocol: one user may have an answer."""

    @property
    def name(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        expected = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        right = self.headers.get("Authorization") == f"Basic {expected}"
        self.send_response(200 if right else 401)
        self.send_header("WWW-Authenticate", 'Basic realm="registry"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def registry() -> Iterator[Registry]:
    with at_work(Registry(("127.0.0.1", 0), _Handler)) as server:
        yield server


@pytest.fixture(scope="module")
def ci() -> Iterator[GitLab]:
    with gitlab() as running:
        yield running


@pytest.fixture(scope="module")
def server(ci: GitLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VaultServer]:
    folder = tmp_path_factory.mktemp("vault")
    with vault_server(folder) as running:
        running.client.sys.enable_audit_device("file", options={"file_path": str(folder / "audit.log")})
        set_up(running, ci)
        yield running


@dataclass(frozen=True)
class Job:
    """A job of the pipeline; curl and buildah are the real ones, and note their arguments."""

    programs: Programs
    env: dict[str, str]
    auth: Path

    def __call__(self, **changed: str) -> Done:
        env = {**os.environ, **self.env, **changed}
        script = ROOT / "runner" / "registry-login.sh"
        done = subprocess.run([script], env=env, capture_output=True, text=True, check=False)
        return Done(done.returncode, done.stdout + done.stderr)

    @property
    def arguments(self) -> str:
        return "\n".join([*self.programs.calls("curl"), *self.programs.calls("buildah")])


@pytest.fixture
def job(server: VaultServer, ci: GitLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Job]:
    server.put(SECRET, {"username": USER, "password": PASSWORD})
    for name in ("VAULT_ADDR", "VAULT_NAMESPACE", "VAULT_CACERT", "VAULT_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    curl, buildah = shutil.which("curl"), shutil.which("buildah")
    programs = Programs(tmp_path / "bin", monkeypatch)
    programs.shell("curl", f'exec {curl} "$@"')
    programs.shell("buildah", f'shift; exec {buildah} login --tls-verify=false "$@"')  # plain HTTP here
    with registry() as running:
        env = {
            "BAKERY_RUNNER_REPOSITORY": f"{running.name}/images/bakery/runner",
            "REGISTRY_AUTH_FILE": str(tmp_path / "auth.json"),
            "VAULT_ADDR": server.address,
            "VAULT_ID_TOKEN": job_token(ci, "runner-image"),
        }
        yield Job(programs, env, tmp_path / "auth.json")


def audited(server: VaultServer) -> list[tuple[str, str]]:
    """Operation and path of every request of a job so far."""
    (device,) = server.client.sys.list_enabled_audit_devices()["data"].values()
    lines = [json.loads(line) for line in Path(device["options"]["file_path"]).read_text().splitlines()]
    asked = [line["request"] for line in lines if line["type"] == "request"]
    paths = ("auth/jwt/login", SECRET, "auth/token/revoke-self")
    return [(request["operation"], request["path"]) for request in asked if request["path"] in paths]


def test_with_the_password_that_vault_has(job: Job, server: VaultServer) -> None:
    before = len(audited(server))
    done = job()
    assert (done.code, LOGGED_IN in done.output) == (0, True), done.output
    assert audited(server)[before:] == [
        ("update", "auth/jwt/login"),
        ("read", SECRET),
        ("update", "auth/token/revoke-self"),
    ]
    registry = job.env["BAKERY_RUNNER_REPOSITORY"].partition("/")[0]
    kept = json.loads(job.auth.read_text())["auths"][registry]["auth"]
    assert base64.b64decode(kept).decode() == f"{USER}:{PASSWORD}"
    for hidden in ("canary", job.env["VAULT_ID_TOKEN"], "hvs."):
        assert hidden not in job.arguments
        assert hidden not in done.output
    assert f"login --username {USER} --password-stdin" in job.arguments


def test_vault_comes_first_where_gitlab_has_a_password_too(job: Job) -> None:
    assert job(CI_REGISTRY_USER="gitlab-ci-token", CI_REGISTRY_PASSWORD="wrong").code == 0


def test_without_a_vault_gitlab_gives_the_password(job: Job) -> None:
    done = job(VAULT_ADDR="", CI_REGISTRY_USER=USER, CI_REGISTRY_PASSWORD=PASSWORD)
    assert (done.code, LOGGED_IN in done.output) == (0, True), done.output
    assert job.programs.calls("curl") == []
    assert "canary" not in job.arguments + done.output


def test_a_password_that_the_registry_refuses(job: Job, server: VaultServer) -> None:
    server.put(SECRET, {"username": USER, "password": "canary of yesterday"})
    before = len(audited(server))
    done = job()
    assert done.code != 0
    assert "invalid username/password" in done.output
    assert "canary" not in done.output
    assert audited(server)[before:][-1] == ("update", "auth/token/revoke-self")


def test_a_job_that_vault_lets_not_in(job: Job, ci: GitLab) -> None:
    done = job(VAULT_ID_TOKEN=job_token(ci, "runner-image", ref="feature", ref_protected="false"))
    assert done.code == 1
    assert f"error: Vault at {job.env['VAULT_ADDR']} does not give auth/jwt/login: " in done.output
    assert '\\"ref_protected\\" does not match' in done.output
    assert job.programs.calls("buildah") == []


def test_the_token_of_another_duty(job: Job, ci: GitLab) -> None:
    done = job(VAULT_ID_TOKEN=job_token(ci, "publish"))
    assert done.code == 1
    assert "does not give auth/jwt/login: " in done.output
    assert "invalid audience" in done.output
    assert job.programs.calls("buildah") == []


@pytest.mark.parametrize("values", [{"username": USER}, {"username": USER, "password": 5}], ids=["missing", "number"])
def test_a_secret_that_is_not_whole(job: Job, server: VaultServer, values: dict[str, str]) -> None:
    server.put(SECRET, values)
    done = job()
    assert done.code == 1
    assert done.output == f"error: {SECRET} in Vault needs the keys username and password, both of them text\n"
    assert job.programs.calls("buildah") == []


def test_no_vault_at_its_address(job: Job) -> None:
    done = job(VAULT_ADDR="http://127.0.0.1:1")
    assert done.code == 1
    assert "Vault at http://127.0.0.1:1 does not give auth/jwt/login" in done.output


@pytest.mark.parametrize("address", ["http://vault.example.com:8200", "http://127.0.0.1.example.com"])
def test_an_address_in_clear_gets_no_token(job: Job, address: str) -> None:
    done = job(VAULT_ADDR=address)
    assert done.code == 1
    assert f"VAULT_ADDR '{address}' is not encrypted: write https://" in done.output
    assert not job.arguments
