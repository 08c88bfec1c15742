"""The runner image's job proposes its digest in a merge request: real curl and Vault, a stand-in for GitLab's API.

The stand-in answers the two calls as GitLab's documentation has them ("Repository files API", "Merge requests API").
"""

import base64
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
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

SECRET = "secret/data/bakery/runner/proposal"
TOKEN = "canary-glpat-4711"
FILES = "/api/v4/projects/7/repository/files/%2Egitlab-ci%2Eyml"
REQUESTS = "/api/v4/projects/7/merge_requests"
PINNED = f"registry.example.com/images/bakery/runner@sha256:{'1' * 63}2"


class Api(ThreadingHTTPServer):
    """Keeps the fields of each call; refuses those without the token."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.calls: list[tuple[str, str, dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Api

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        good = self.headers["PRIVATE-TOKEN"] == TOKEN and (self.command, self.path) in (
            ("PUT", FILES),
            ("POST", REQUESTS),
        )
        if good:
            self.server.calls.append((self.command, self.path, fields(self.headers, body)))
        self.send_response(200 if good else 401)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_PUT = do_POST = _answer

    def log_message(self, *_: object) -> None:
        pass


def fields(headers: Message, body: bytes) -> dict[str, str]:
    """Of a form of several parts."""
    message = BytesParser().parsebytes(f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode() + body)
    parts = message.get_payload()
    assert isinstance(parts, list)
    found = {}
    for part in parts:
        assert isinstance(part, Message)
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        found[str(part.get_param("name", header="content-disposition"))] = content.decode()
    return found


@contextmanager
def api() -> Iterator[Api]:
    with at_work(Api()) as server:
        yield server


@pytest.fixture(scope="module")
def ci() -> Iterator[GitLab]:
    with gitlab() as running:
        yield running


@pytest.fixture(scope="module")
def vault(ci: GitLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VaultServer]:
    with vault_server(tmp_path_factory.mktemp("vault")) as running:
        set_up(running, ci)
        running.put(SECRET, {"token": TOKEN})
        yield running


@dataclass(frozen=True)
class Job:
    """The folder of a job whose image is pushed; curl is the real one and notes its arguments."""

    programs: Programs
    gitlab: Api
    folder: Path
    env: dict[str, str]

    def __call__(self, **changed: str) -> "subprocess.CompletedProcess[str]":
        script, env = ROOT / "runner" / "propose.sh", {**os.environ, **self.env, **changed}
        return subprocess.run([script], cwd=self.folder, env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def job(vault: VaultServer, ci: GitLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Job]:
    for name in ("VAULT_NAMESPACE", "VAULT_CACERT", "VAULT_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    shutil.copy(ROOT / ".gitlab-ci.yml", tmp_path)
    (tmp_path / "runner.image").write_text(f"{PINNED}\n")
    curl = shutil.which("curl")
    programs = Programs(tmp_path / "bin", monkeypatch)
    programs.shell("curl", f'exec {curl} "$@"')
    with api() as running:
        env = {
            "BAKERY_GITLAB_URL": running.url,
            "CI_COMMIT_BRANCH": "main",
            "CI_COMMIT_SHORT_SHA": "0123abcd",
            "CI_PROJECT_ID": "7",
            "VAULT_ADDR": vault.address,
            "VAULT_ID_TOKEN": job_token(ci, "runner-image"),
        }
        yield Job(programs, running, tmp_path, env)


def test_the_digest_is_all_that_a_merge_request_changes(job: Job) -> None:
    done = job()
    assert (done.returncode, done.stderr) == (0, "")
    (change, request) = job.gitlab.calls
    assert change[:2] == ("PUT", FILES)
    content = base64.b64decode(change[2].pop("content")).decode()
    branch = f"runner-image-{'1' * 11}2"
    assert change[2] == {
        "branch": branch,
        "start_branch": "main",
        "commit_message": "runner: use the image of 0123abcd",
        "encoding": "base64",
    }
    before = (ROOT / ".gitlab-ci.yml").read_text()
    assert content == re.sub(r"(?<=runner_image: )\S+", PINNED, before)
    assert content != before
    assert request[:2] == ("POST", REQUESTS)
    assert request[2] == {
        "source_branch": branch,
        "target_branch": "main",
        "title": "Use the runner image of 0123abcd",
        "remove_source_branch": "true",
    }


def test_no_secret_is_an_argument_or_printed(job: Job) -> None:
    done = job()
    for text in (*job.programs.calls("curl"), done.stdout, done.stderr):
        assert TOKEN not in text
        assert job.env["VAULT_ID_TOKEN"] not in text


def test_without_gitlabs_address_a_person_is_told_the_line(job: Job) -> None:
    done = job(BAKERY_GITLAB_URL="")
    assert (done.returncode, job.programs.calls("curl")) == (0, [])
    assert f"runner_image: {PINNED}" in done.stdout


def test_a_token_that_gitlab_refuses(job: Job, vault: VaultServer) -> None:
    vault.put(SECRET, {"token": "expired"})
    try:
        done = job()
    finally:
        vault.put(SECRET, {"token": TOKEN})
    assert done.returncode == 1
    assert f"error: GitLab at {job.gitlab.url} refuses PUT repository/files/%2Egitlab-ci%2Eyml" in done.stderr


@pytest.mark.parametrize("count", [0, 2])
def test_a_file_without_the_one_line_is_left_alone(job: Job, count: int) -> None:
    (job.folder / ".gitlab-ci.yml").write_text(f"      runner_image: {PINNED}\n" * count)
    done = job()
    assert (done.returncode, job.gitlab.calls) == (1, [])
    assert "has no single line 'runner_image: REPOSITORY@sha256:DIGEST' to change" in done.stderr
